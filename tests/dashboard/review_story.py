"""A generation with samples of each kind, put up for review, and its report."""

from pathlib import Path

from contracts.enums import QuestionTemplate, ReviewVerdict, SampleFault
from contracts.generation import GenerationReport, NewReview, SourceDocument
from contracts.record import JsonObject
from stages.services import Services
from storage.files import write_json_atomically

GENERATION = "regulations-5f0c31ab92de"
EMPTY_GENERATION = "regulations-000000000000"
PASSAGE = (
    "제7조(처리 기한) ① 지사는 신청서를 접수한 날부터 45일 이내에 결과를 확정한다.\n"
    "② 대조할 통행이 만 건을 넘으면 <b>운송사</b>와 미리 일정을 협의한다."
)
EVIDENCE = "접수한 날부터 45일 이내에 결과를 확정한다"
QUESTION = "화물차 심야 할인 소급 신청은 언제까지 처리되나요?"
ANSWER = "신청서를 접수한 날부터 45일 이내에 결과를 확정합니다."


def tell_review(services: Services, samples: int = 4) -> list[int]:
    """Samples of which the first is accepted, and a generation that brought nothing. Returns the review_ids in order."""
    with services.unit_of_work() as uow:
        uow.reviews.put_up(GENERATION, "regulations", [_sample(position) for position in range(samples)])
        ids = uow.reviews.positions(GENERATION)
        uow.reviews.decide(ids[0], ReviewVerdict.ACCEPT, reviewer="김검토", seen=None)
    _write_report(services, GENERATION, generated=9, accepted=samples)
    _write_report(services, EMPTY_GENERATION, generated=0, accepted=0)
    return ids


def _sample(position: int) -> NewReview:
    template = list(QuestionTemplate)[position % 4]
    start = PASSAGE.index(EVIDENCE)
    question = QUESTION if template in {QuestionTemplate.QA, QuestionTemplate.RAG} else f"{QUESTION}\n\n{PASSAGE}"
    messages: list[JsonObject] = [{"role": "user", "content": question}, {"role": "assistant", "content": ANSWER}]
    if template is QuestionTemplate.CHAT:
        messages += [
            {"role": "user", "content": "통행이 만 건을 넘으면 어떻게 되나요?"},
            {"role": "assistant", "content": "운송사와 미리 일정을 협의하여 자료를 나누어 받습니다."},
        ]
    return NewReview(
        sample_id=f"{position:016x}",
        position=position,
        template=template,
        document="tolls/toll-night-freight.md",
        grounding=0.82,
        quality=0.97,
        messages=messages,
        metadata={
            "source": "tolls/toll-night-freight.md",
            "category": "tolls",
            "lineage": {
                "start": 100,
                "end": 100 + len(PASSAGE),
                "evidence_start": 100 + start,
                "evidence_end": 100 + start + len(EVIDENCE),
                "headings": ["화물차 심야 할인 소급 적용 지침", "처리"],
                "article": "제7조(처리 기한)",
                "page": 3,
            },
        },
        passage=PASSAGE,
    )


def _write_report(services: Services, generation_id: str, generated: int, accepted: int) -> None:
    folder: Path = services.settings.generations_dir / "regulations" / generation_id
    report = GenerationReport(
        generation_id=generation_id,
        dataset_name="regulations",
        complete=True,
        message="질문 4건 가운데 4건에 답을 받았습니다.",
        samples_path=str(folder / "samples.jsonl"),
        rejected_path=str(folder / "rejected.jsonl"),
        model="Qwen/Qwen3-32B",
        documents=[SourceDocument(name="tolls/toll-night-freight.md", sha256="a" * 64, chunks=4)],
        skipped=[],
        chunks=4,
        questions=4,
        answered=4,
        unanswered=0,
        without_samples=0,
        asked_now=4,
        generated=generated,
        accepted=accepted,
        by_template={QuestionTemplate.QA: accepted},
        rejected={SampleFault.WRONG_NUMBER: 3, SampleFault.NOT_GROUNDED: 2}
        if accepted
        else {SampleFault.UNREADABLE: 4},
        masked={"이름": 1},
        mean_grounding=0.82 if accepted else 0.0,
        mean_quality=0.97 if accepted else 0.0,
        input_tokens=51_200,
        output_tokens=8_400,
        tokens_estimated=False,
        cost=84.8,
        cost_now=84.8,
        currency="KRW",
        seconds=12.5,
    )
    write_json_atomically(folder / "report.json", report.model_dump(mode="json"))
