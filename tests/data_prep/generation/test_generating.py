"""Documents to samples, against real HTTP servers: faithful, foolish, silent and failing ones, and through a kill."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.data_policy import DataPolicy, MaskingPolicy
from contracts.enums import MaskingAction, PersonalDataKind, QuestionTemplate, SampleFault
from contracts.errors import InvalidRequestError, UnavailableError
from contracts.generation import GenerateRequest, GenerationReport, TokenPrice
from data_prep.documents.reading import read_document
from data_prep.generation import client as client_module
from data_prep.generation.generating import finished_report, generate
from data_prep.generation.passages import Passages, read_passages
from tests.conftest import REPOSITORY_ROOT
from tests.data_prep.generation.endpoint import Body, Endpoint, endpoint, faithful, faithful_samples, passage_of, said

TOPICS = (
    "화물차 심야 할인 소급",
    "미납 통행료 분할 납부",
    "휴게소 유실물 인계",
    "포트홀 긴급 복구",
    "하도급 승인 심사",
    "교량 신축이음 보수",
)
TEXTS = (
    "신청은 지난 {0}개월의 운행에 한하여 인정하며 단말기를 달지 않은 차량은 제외한다. 서식은 지사 창구에서 받는다.",
    "납부 고지를 받은 이용자는 {0}회까지 나누어 낼 수 있고 첫 회는 청구서를 받은 달에 낸다. 연체하면 약정이 취소된다.",
    "발견한 직원은 물품 대장에 습득 장소를 적고 {0}시간 안에 소장에게 넘긴다. 귀중품은 봉투에 담아 서명한다.",
    "순찰자는 파손 지점을 사진으로 남기고 {0}분 안에 상황실에 알린다. 비가 오면 임시 포장재로 메운다.",
    "원도급자는 하수급인의 면허와 시공 실적을 갖추어 {0}일 전에 승인을 요청한다. 감독은 저가 여부를 살핀다.",
    "점검자는 고무재의 찢김과 단차를 재어 {0}밀리미터를 넘으면 교체를 건의한다. 통제 계획은 야간을 기본으로 한다.",
)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Six documents of two sections each."""
    folder = tmp_path / "documents"
    for number, (topic, text) in enumerate(zip(TOPICS, TEXTS, strict=True), 3):
        path = folder / ("tolls" if number % 2 else "safety") / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        other = (
            f"{topic} 담당자는 기록을 {number + 20}년간 보존하고 분기마다 처장에게 건수와 사유를 보고하여야 한다. "
            "감사에서 지적된 사항은 다음 분기 보고에 조치 결과를 붙이고, 보존 기간이 지난 기록은 파기 대장에 적은 뒤 없앤다."
        )
        path.write_text(
            f"# {topic} 지침\n\n## 처리 기준\n\n{topic}의 {text.format(number)} 그 밖의 절차는 지사장이 정하여 게시한다.\n\n## 사후 관리\n\n{other}\n",
            "utf-8",
        )
    return folder


def request(**changes) -> GenerateRequest:
    given = {"dataset_name": "demo", "documents": ["documents"], "model": "m", "concurrency": 4, "attempts": 2}
    return GenerateRequest(**{**given, **changes})


def passages_of(documents: Path, asked: GenerateRequest) -> Passages:
    return read_passages(asked, relative_to=documents.parent, allowed_roots=[documents.parent])


def run(documents: Path, server: Endpoint, **changes) -> GenerationReport:
    asked = request(**changes)
    out = documents.parent / "generations"
    return generate(asked, passages_of(documents, asked), DataPolicy(), out, endpoint_url=server.url)


def lines_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_every_passage_becomes_samples_that_lead_back_to_their_span(documents):
    with endpoint(faithful) as server:
        report = run(documents, server)

    rows = lines_of(report.samples_path)
    assert report.complete
    assert (report.chunks, report.accepted, len(rows)) == (12, 12, 12)
    for row in rows:
        lineage = row["metadata"]["lineage"]
        document = read_document(documents / lineage["document"])
        assert document.sha256 == lineage["document_sha256"]
        evidence = document.text[lineage["evidence_start"] : lineage["evidence_end"]]
        assert evidence in document.text[lineage["start"] : lineage["end"]]
        assert row["messages"][-1]["content"].rstrip(".") == evidence.rstrip(".")
        assert (lineage["generator_model"], lineage["template"]) == ("m", "qa")
        assert row["metadata"]["category"] in {"tolls", "safety"}
        assert row["metadata"]["source"] == lineage["document"]
    assert len({row["id"] for row in rows}) == 12


def test_all_templates_are_asked_for_and_become_what_they_are(documents):
    with endpoint(faithful) as server:
        report = run(documents, server, templates=list(QuestionTemplate), sample_system_prompt="도로 안내원입니다.")

    assert report.by_template == dict.fromkeys(QuestionTemplate, 12)
    by_template = {row["metadata"]["template"]: row for row in lines_of(report.samples_path)}
    assert all(
        row["messages"][0] == {"role": "system", "content": "도로 안내원입니다."} for row in by_template.values()
    )
    assert [turn["role"] for turn in by_template["chat"]["messages"][1:]] == ["user", "assistant"] * 2
    assert passage_of(server.bodies[0])
    rag = by_template["rag"]["messages"][1]["content"]
    assert rag.count("[문서 ") == 4
    assert len(by_template["rag"]["metadata"]["lineage"]["distractors"]) == 3
    summary = by_template["summary"]["messages"][1]["content"]
    assert summary.split("\n\n", 1)[1]


def test_the_customers_own_system_prompt_is_what_the_generator_is_told(documents):
    with endpoint(faithful) as server:
        run(documents, server, system_prompt="당신은 도로공사의 교육 담당자입니다.")
    assert {body["messages"][0]["content"] for body in server.bodies} == {"당신은 도로공사의 교육 담당자입니다."}


def test_the_same_request_again_pays_for_nothing_and_gives_the_same_files(documents):
    with endpoint(faithful) as server:
        first = run(documents, server)
        before = Path(first.samples_path).read_bytes()
        second = run(documents, server)
        assert len(server.bodies) == 12
    assert second.asked_now == 0
    assert Path(second.samples_path).read_bytes() == before


def test_another_limit_or_more_documents_use_the_answers_that_are_there(documents):
    with endpoint(faithful) as server:
        run(documents, server)
        strict = run(documents, server, min_grounding=0.99)
        assert len(server.bodies) == 12
        assert strict.rejected[SampleFault.NOT_GROUNDED] > 0
        (documents / "new.md").write_text(
            "# 제설 자재 비축\n\n제설 자재는 11월까지 창고에 채워 두고 재고를 매주 확인하여 보고한다.\n" * 2, "utf-8"
        )
        report = run(documents, server)
        assert len(server.bodies) == 12 + report.chunks - 12


def test_tokens_and_cost_are_told(documents):
    price = TokenPrice(input_per_million=1000, output_per_million=5000)
    with endpoint(faithful) as server:
        report = run(documents, server, price=price)
    assert (report.input_tokens, report.output_tokens) == (12_000, 1_200)
    assert report.cost == pytest.approx(12_000 * 0.001 + 1_200 * 0.005)
    assert report.cost_now == report.cost


def test_no_more_is_asked_once_the_limit_of_the_cost_is_reached_and_the_rest_follows_later(documents):
    price = TokenPrice(input_per_million=1000)
    with endpoint(faithful) as server:
        first = run(documents, server, price=price, max_cost=3.0, concurrency=1)
        assert (first.complete, first.answered, first.unanswered) == (False, 3, 9)
        assert first.rejected == {SampleFault.NO_ANSWER: 9}
        second = run(documents, server, price=price, max_cost=100.0)
        assert len(server.bodies) == 12
    assert second.generation_id == first.generation_id
    assert (second.complete, second.accepted, second.asked_now) == (True, 12, 9)


def test_a_finished_generation_is_not_worked_on_again(documents):
    asked = request()
    passages = passages_of(documents, asked)
    out = documents.parent / "generations"
    assert finished_report(asked, passages, DataPolicy(), out) is None
    with endpoint(faithful) as server:
        report = run(documents, server)
    found = finished_report(asked, passages, DataPolicy(), out)
    assert found is not None
    assert (found.accepted, found.asked_now) == (report.accepted, 0)


NONSENSE = "이기 는 를에 xq## 하늘 하늘 하늘 zz"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda _: said(NONSENSE), SampleFault.UNREADABLE),
        (lambda _: said(""), SampleFault.UNREADABLE),
        (lambda _: said('{"samples": [{"question": "심야 할인은', "length"), SampleFault.UNREADABLE),
        (lambda _: said('{"samples": [{"question": "질문", "answer": "답변"}]}'), SampleFault.COPIES_PROMPT),
        (lambda _: said('{"samples": [{"question": "", "answer": null}]}'), SampleFault.EMPTY),
        (lambda _: said('{"samples": [{"question": "When?", "answer": "Within 3 days."}]}'), SampleFault.WRONG_LANGUAGE),
    ],
    ids=["nonsense", "nothing", "half JSON", "the example", "empty turns", "English"],
)  # fmt: skip
def test_a_generator_that_answers_badly_ends_in_a_report_that_says_so(documents, answer, fault):
    with endpoint(answer) as server:
        report = run(documents, server)
    assert report.complete
    assert report.accepted == 0
    assert report.rejected == {fault: 12}
    assert Path(report.samples_path).read_bytes() == b""
    assert "통과한 표본이 없어" in report.message
    assert {line["fault"] for line in lines_of(report.rejected_path)} == {fault.value}


def test_an_unreadable_answer_is_asked_for_once_more_and_never_paid_for_a_third_time(documents):
    with endpoint(lambda _: said(NONSENSE)) as server:
        run(documents, server)
        run(documents, server)
        assert len(server.bodies) == 24
    assert len({body["seed"] for body in server.bodies}) == 2


def test_a_readable_second_answer_is_taken(documents):
    def answer(body: Body):
        return said("{") if body["seed"] == 0 else faithful(body)

    with endpoint(answer) as server:
        report = run(documents, server)
    assert (report.accepted, report.asked_now) == (12, 24)


def test_what_is_whole_in_an_answer_that_was_cut_off_is_used(documents):
    def answer(body: Body):
        return said(
            json.dumps({"samples": faithful_samples(body)}, ensure_ascii=False)[:-2] + ', {"question": "또', "length"
        )

    with endpoint(answer) as server:
        report = run(documents, server)
    assert (report.accepted, report.asked_now) == (12, 12)


def test_a_question_that_fails_alone_is_left_and_asked_again_by_the_next_run(documents):
    healed = threading.Event()

    def answer(body: Body):
        return (500, "crash") if "포트홀" in passage_of(body) and not healed.is_set() else faithful(body)

    with endpoint(answer) as server:
        first = run(documents, server)
        assert (first.complete, first.unanswered, first.accepted) == (False, 2, 10)
        assert "다시 실행하면" in first.message
        healed.set()
        second = run(documents, server)
    assert (second.complete, second.accepted, second.asked_now) == (True, 12, 2)


def test_an_endpoint_that_only_fails_ends_the_run_with_what_to_do(documents):
    with endpoint(lambda _: (500, "CUDA out of memory")) as server:
        with pytest.raises(UnavailableError, match="CUDA out of memory"):
            run(documents, server)
        assert len(server.bodies) <= 2 * 14


def test_an_endpoint_that_refuses_everything_ends_the_run_with_what_to_do(documents):
    refusal = (400, {"error": "maximum context length is 512"})
    with endpoint(lambda _: refusal) as server, pytest.raises(InvalidRequestError, match="max_chunk_characters"):
        run(documents, server)


def test_samples_that_ask_the_same_are_kept_once(documents):
    same = {
        "question": "기록은 얼마나 보존하고 누구에게 보고하나요?",
        "answer": "기록을 보존하고 분기마다 처장에게 보고하여야 합니다.",
    }
    with endpoint(lambda _: said(json.dumps({"samples": [same, same]}))) as server:
        report = run(documents, server)
    assert report.accepted == 1
    assert report.rejected[SampleFault.DUPLICATE] == report.generated - 1 - report.rejected.get(
        SampleFault.NOT_GROUNDED, 0
    )


def test_personal_data_never_leaves_and_is_in_no_file(documents):
    secret = "010-2345-6789"
    (documents / "contact.md").write_text(
        f"# 담당자 연락\n\n긴급 복구 담당자에게 {secret}로 먼저 전화하고 상황실에 알린 뒤 현장으로 출동하여야 한다.\n",
        "utf-8",
    )
    with endpoint(faithful) as server:
        report = run(documents, server)
    assert secret not in "".join(server.prompts)
    assert report.masked["전화번호"] == 1
    folder = documents.parent / "generations"
    assert all(secret not in path.read_text("utf-8") for path in folder.rglob("*") if path.is_file())


def test_what_the_policy_keeps_reaches_the_samples(documents):
    number = "02-2345-6789"
    (documents / "contact.md").write_text(
        f"# 상황실 연락\n\n긴급 복구가 필요하면 상황실 {number}로 먼저 전화하고 상황을 알린 뒤 현장으로 출동하여야 한다.\n",
        "utf-8",
    )
    masking = MaskingPolicy(
        actions={PersonalDataKind.PHONE_NUMBER: MaskingAction.KEEP},
        keep_reasons={PersonalDataKind.PHONE_NUMBER: "기관의 대표 번호"},
    )
    asked = request()
    with endpoint(faithful) as server:
        report = generate(
            asked, passages_of(documents, asked), DataPolicy(masking=masking), documents.parent / "generations",
            endpoint_url=server.url,
        )  # fmt: skip
    assert number in Path(report.samples_path).read_text("utf-8")
    assert report.masked == {}


def test_the_questions_go_out_together_up_to_the_number_given(documents):
    with endpoint(faithful, delay=0.1) as server:
        run(documents, server, concurrency=4)
    assert server.most_under_way == 4


def test_progress_counts_every_question_and_begins_where_the_last_run_stopped(documents):
    told: list[tuple[str, int, int]] = []
    asked = request()
    passages = passages_of(documents, asked)
    with endpoint(faithful) as server:
        run(documents, server, max_cost=5.0, price=TokenPrice(input_per_million=1000), concurrency=1)
        generate(
            asked, passages, DataPolicy(), documents.parent / "generations", endpoint_url=server.url,
            on_progress=lambda *step: told.append(step),
        )  # fmt: skip
    steps = [step[1:] for step in told if step[0] == "asking the generator"]
    assert steps[0] == (5, 12)
    assert steps[-1] == (12, 12)


def test_one_passage_in_two_documents_is_paid_for_once(documents):
    text = "# 공통 지침\n\n모든 지사는 매주 월요일에 점검 결과를 본사 상황실에 보고하고 그 기록을 남겨 두어야 한다. 보고를 거른 지사는 사유를 적어 다음 날까지 다시 보고한다.\n"
    (documents / "tolls" / "same.md").write_text(text, "utf-8")
    (documents / "safety" / "same.md").write_text(text + "\n", "utf-8")
    with endpoint(faithful) as server:
        report = run(documents, server)
        assert len(server.bodies) == report.questions - 1
    assert report.rejected == {SampleFault.DUPLICATE: 1}


def test_the_samples_are_rows_that_the_import_takes(documents):
    from contracts.datasets import ImportRequest
    from data_prep.imports.importing import import_files

    with endpoint(faithful) as server:
        report = run(documents, server, templates=list(QuestionTemplate))
    imported = import_files(
        ImportRequest(dataset_name="demo", input_files=[report.samples_path]),
        imports_dir=documents.parent / "imports", relative_to=documents.parent, allowed_roots=[documents.parent],
        min_free_disk_gb=0.0,
    )  # fmt: skip
    assert (imported.total_rows, imported.broken_rows) == (report.accepted, 0)


PROGRAM = """
import sys
from pathlib import Path
from contracts.data_policy import DataPolicy
from contracts.generation import GenerateRequest
from data_prep.generation.generating import generate
from data_prep.generation.passages import read_passages
root, url = Path(sys.argv[1]), sys.argv[2]
request = GenerateRequest.model_validate_json(sys.argv[3])
passages = read_passages(request, relative_to=root, allowed_roots=[root])
generate(request, passages, DataPolicy(), root / "generations", endpoint_url=url)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3])
def test_a_run_that_is_killed_again_and_again_never_pays_twice_for_an_answer(documents, kills):
    """An answer that was on its way when the process died is the only one that is asked for again."""
    asked = request(concurrency=2)
    answered = itertools.count()
    with endpoint(lambda body: (next(answered), faithful(body))[1], delay=0.15) as server:
        arguments = [sys.executable, "-c", PROGRAM, str(documents.parent), server.url, asked.model_dump_json()]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)}
        for _ in range(kills):
            before = len(server.bodies)
            process = subprocess.Popen(arguments, env=environment)
            while len(server.bodies) < before + 3 and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.3)
        report = run(documents, server, concurrency=2)
        seen = len(server.bodies)
    assert (report.complete, report.accepted) == (True, 12)
    assert seen <= 12 + 2 * kills  # two were under way at each kill
    journal = documents.parent / "generations" / "demo" / "answers.jsonl"
    keys = [json.loads(line)["key"] for line in journal.read_text("utf-8").splitlines()]
    assert len(keys) == len(set(keys)) == 12
