"""Documents to checked samples: ask the generator about every passage, keep what its passage bears out.

    generations/<dataset name>/answers.jsonl        every answer that was paid for
    generations/<dataset name>/<id>/samples.jsonl   canonical rows, each with its lineage
                                    rejected.jsonl  what was not taken, and why
                                    report.json     written last

Everything after the answers is a function of them: the same answers give the same files, whatever was killed when.
"""

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.data_policy import DataPolicy
from contracts.enums import MaskingAction, PersonalDataKind, QuestionTemplate, SampleFault
from contracts.generation import GenerateRequest, GenerationReport
from contracts.record import JsonObject
from data_prep.documents.chunks import Chunk
from data_prep.duplicates.near import find_near_duplicates
from data_prep.generation.answers import samples_in
from data_prep.generation.asking import Asked, answers_in, ask_all, cost_of
from data_prep.generation.checks import check_candidate, evidence_span
from data_prep.generation.grounding import grounding, source_of
from data_prep.generation.journal import Journal
from data_prep.generation.passages import Passages
from data_prep.generation.templates import (
    Candidate,
    Passage,
    Question,
    candidates_of,
    messages_of,
    question_for,
    title_of,
)
from data_prep.masking.masker import Masker
from data_prep.normalisation import comparable, normalise
from data_prep.quality.judging import QualityJudge
from data_prep.rows import Message, OnProgress, Row
from storage.files import read_json, write_json_atomically
from storage.stored_files import write_stored_text

GENERATION_RULES = "1"
"""Raise when the same answers would give other samples: earlier reports are then not taken for the same."""
SAMPLES_FILE, REJECTED_FILE, REPORT_FILE = "samples.jsonl", "rejected.jsonl", "report.json"
_NOT_OF_THE_OUTCOME = {
    "documents", "qdrant", "endpoint_url", "api_key_file", "concurrency", "timeout_seconds", "attempts", "price", "max_cost",
}  # fmt: skip
_DISTRACTOR_TRIES = 20
_MIN_ANSWER_CHARACTERS = 2
"""`5일` is an answer; how short one may be in a dataset is for the preparation to say."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample that passed the checks of its own text."""

    row: Row
    chunk: Chunk
    template: QuestionTemplate
    turns: tuple[tuple[str, str], ...]
    """As the generator wrote them."""
    passage: str
    """As the generator saw it."""
    grounding: float
    quality: float
    compared: Row
    """What makes it the same sample as another: its turns without context."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sample, or a whole answer, that is not taken."""

    fault: SampleFault
    detail: str
    chunk: Chunk
    template: QuestionTemplate
    turns: tuple[tuple[str, str], ...] = ()


def generation_id(request: GenerateRequest, passages: Passages, policy: DataPolicy) -> str:
    """Content address: the passages and everything in the request that the samples depend on."""
    asked = request.model_dump(mode="json", exclude=_NOT_OF_THE_OUTCOME)
    identity = json.dumps(
        [GENERATION_RULES, asked, policy.model_dump(mode="json"), [chunk.chunk_id for chunk in passages.chunks]],
        ensure_ascii=False,
        sort_keys=True,
    )
    return f"{request.dataset_name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def finished_report(
    request: GenerateRequest, passages: Passages, policy: DataPolicy, generations_dir: Path
) -> GenerationReport | None:
    """The report of a generation of which nothing is left to ask; None where there is none."""
    name = generation_id(request, passages, policy)
    record = read_json(generations_dir / request.dataset_name / name / REPORT_FILE)
    if record is None:
        return None
    report = GenerationReport.model_validate(record)
    return report.model_copy(update={"asked_now": 0, "cost_now": 0.0}) if report.complete else None


def generate(
    request: GenerateRequest,
    passages: Passages,
    policy: DataPolicy,
    generations_dir: Path,
    *,
    endpoint_url: str,
    served_model: str | None = None,
    api_key: str | None = None,
    on_samples: Callable[[str, Sequence[Sample]], None] | None = None,
    on_progress: OnProgress | None = None,
) -> GenerationReport:
    """Ask, check, write. The same request again asks only what has no answer yet, and writes the files anew.

    `on_samples(generation_id, samples)` is called before the report is written: what is reported has been handed on.
    """
    started = time.monotonic()
    folder = generations_dir / request.dataset_name / generation_id(request, passages, policy)
    with Journal(generations_dir / request.dataset_name) as journal:
        masker = _CountingMasker(policy)
        shown = _masked_passages(passages.chunks, masker, on_progress)
        total = len(shown) * len(request.templates)
        asked = ask_all(
            lambda: _questions(shown, request),
            request,
            journal,
            endpoint_url=endpoint_url,
            model=served_model or request.model,
            api_key=api_key,
            on_progress=on_progress,
        )
        work = _Assembly(request, passages, policy, shown, folder.name, journal, asked, masker)
        work.write_samples(folder, total, on_progress)
        if on_samples is not None:
            on_samples(folder.name, work.samples)
        report = work.report(folder, total, time.monotonic() - started)
        write_json_atomically(folder / REPORT_FILE, report.model_dump(mode="json"))
    return report


def masker_for(policy: DataPolicy) -> Masker:
    """Masks by the policy. Pseudonyms are for the preparation, which has the dataset's key: here they are masked."""
    actions = {
        kind: action for kind, action in policy.masking.actions.items() if action is not MaskingAction.PSEUDONYMISE
    }
    return Masker(policy.masking.model_copy(update={"actions": actions}))


class _CountingMasker:
    """Masks and counts what it replaced, by kind."""

    def __init__(self, policy: DataPolicy) -> None:
        self.replaced: Counter[str] = Counter()
        self._masker = masker_for(policy)

    def mask(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The texts of one row without personal data."""
        masked = self._masker.mask(texts)
        self.replaced.update(datum.kind.value for found in masked.found for datum in found)
        return masked.texts


def _masked_passages(chunks: Sequence[Chunk], masker: _CountingMasker, on_progress: OnProgress | None) -> list[Passage]:
    """The passages as they may leave this installation: without personal data."""
    passages = []
    for number, chunk in enumerate(chunks):
        if on_progress is not None and number % 100 == 0:
            on_progress("masking the passages", number, len(chunks))
        texts = [chunk.text, title_of(chunk), chunk.article, chunk.table_header, *chunk.heading_path]
        text, title, article, header, *headings = masker.mask([_writable(one) for one in texts])
        passages.append(Passage(chunk, text, title, tuple(headings), article, header))
    return passages


def _questions(passages: Sequence[Passage], request: GenerateRequest) -> Iterator[Question]:
    for passage in passages:
        for template in request.templates:
            yield question_for(passage, template, request)


class _Assembly:
    """The samples of the journal's answers, one passage after another."""

    def __init__(
        self,
        request: GenerateRequest,
        passages: Passages,
        policy: DataPolicy,
        shown: Sequence[Passage],
        generation: str,
        journal: Journal,
        asked: Asked,
        masker: _CountingMasker,
    ) -> None:
        self.samples: list[Sample] = []
        self._rejected: list[Rejected] = []
        self._request = request
        self._passages = passages
        self._shown = shown
        self._generation = generation
        self._judge = QualityJudge(policy.quality, request.min_quality_score, _MIN_ANSWER_CHARACTERS)
        self._journal = journal
        self._asked = asked
        self._masker = masker
        self._generated = self._unanswered = self._without = 0
        self._input_tokens = self._output_tokens = 0
        self._estimated = False
        self._cost = 0.0

    def write_samples(self, folder: Path, total: int, on_progress: OnProgress | None) -> None:
        """Make the samples and write them, and beside them what is not taken."""
        for number, question in enumerate(_questions(self._shown, self._request)):
            if on_progress is not None and number % 100 == 0:
                on_progress("checking the samples", number, total)
            self._take(question)
        self._remove_duplicates(on_progress)
        write_stored_text(folder / SAMPLES_FILE, _lines(_sample_line(sample) for sample in self.samples))
        # what was not taken may be anything a model says
        write_stored_text(folder / REJECTED_FILE, _lines(self._rejected_line(one) for one in self._rejected))
        if on_progress is not None:
            on_progress("checking the samples", total, total)

    def _take(self, question: Question) -> None:
        completions = list(answers_in(self._journal, question, self._request))
        for completion in completions:
            self._input_tokens += completion.input_tokens
            self._output_tokens += completion.output_tokens
            self._estimated |= completion.tokens_estimated
            self._cost += cost_of(completion, self._request.price)
        read = [samples_in(completion.text) for completion in completions]
        samples = next((one for one in read if one is not None), None)
        if samples is None:
            self._without_samples(question, len(completions))
            return
        self._without += not samples
        source = source_of(question.passage.matter)
        grounded: list[tuple[int, Candidate, float]] = []
        for position, given in enumerate(candidates_of(question.template, samples)):
            self._generated += 1
            candidate = _normalised(given)
            verdict = check_candidate(candidate, question, source, self._request)
            if verdict.fault is None:
                grounded.append((position, candidate, verdict.grounding))
            else:
                self._reject(verdict.fault, verdict.detail, question, candidate)
        rows = [
            Row(self._sample_id(question, position), _turns(candidate, question)) for position, candidate, _ in grounded
        ]
        for row, (_, candidate, share), quality in zip(rows, grounded, self._judge.judge(rows), strict=True):
            if quality.removal is None:
                self.samples.append(self._sample(question, candidate, row, share, quality.score))
            else:
                said = f"{quality.removal.reason.value} {quality.removal.detail}".strip()
                self._reject(SampleFault.LOW_QUALITY, said, question, candidate)

    def _reject(self, fault: SampleFault, detail: str, question: Question, candidate: Candidate) -> None:
        self._rejected.append(Rejected(fault, detail, question.passage.chunk, question.template, candidate.turns))

    def _sample_id(self, question: Question, position: int) -> str:
        identity = f"{question.prompt_sha256}\0{self._request.model}\0{self._request.seed}\0{position}"
        return hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()

    def _without_samples(self, question: Question, answers: int) -> None:
        if answers == self._request.readable_attempts:
            fault, detail = SampleFault.UNREADABLE, f"{answers} answers, none of them the JSON that was asked for"
        else:
            fault = SampleFault.NO_ANSWER
            detail = self._asked.failures.get(question.prompt_sha256, "not asked: the limit of the cost was reached")
            self._unanswered += 1
        self._rejected.append(Rejected(fault, detail, question.passage.chunk, question.template))

    def _sample(
        self, question: Question, candidate: Candidate, compared: Row, grounded: float, quality: float
    ) -> Sample:
        """The sample with its context, its personal data masked."""
        request, chunk, sample_id = self._request, question.passage.chunk, compared.row_id
        draw = random.Random(sample_id)  # noqa: S311 - the same sample in every run
        used, distractors = self._distractors(question, candidate, draw)
        messages = messages_of(question, candidate, request, distractors, draw)
        contents = self._masker.mask([message.content for message in messages])
        spoken = tuple(replace(message, content=text) for message, text in zip(messages, contents, strict=True))
        metadata: JsonObject = {
            "source": chunk.document,
            **({"category": category} if (category := _category(request, chunk)) else {}),
            "quality_score": round(quality, 4),
            "template": question.template.value,
            "lineage": self._lineage(question, candidate, grounded, used),
        }
        return Sample(
            row=Row(sample_id, spoken, metadata),
            chunk=chunk,
            template=question.template,
            turns=candidate.turns,
            passage=question.passage.text,
            grounding=grounded,
            quality=quality,
            compared=compared,
        )

    def _lineage(self, question: Question, candidate: Candidate, grounded: float, used: Sequence[Chunk]) -> JsonObject:
        chunk = question.passage.chunk
        lineage: JsonObject = {
            "document": chunk.document,
            "document_sha256": chunk.document_sha256,
            "chunk_id": chunk.chunk_id,
            "start": chunk.start,
            "end": chunk.end,
            "generator_model": self._request.model,
            "template": question.template.value,
            "prompt_sha256": question.prompt_sha256,
            "grounding": round(grounded, 4),
            "generation_id": self._generation,
        }
        if question.passage.headings:
            lineage["headings"] = list(question.passage.headings)
        if question.passage.article:
            lineage["article"] = question.passage.article
        if chunk.page is not None:
            lineage["page"] = chunk.page
        span = evidence_span(candidate.evidence, chunk.text)
        if span is not None:
            lineage["evidence_start"], lineage["evidence_end"] = chunk.start + span[0], chunk.start + span[1]
        if used:
            lineage["distractors"] = [one.chunk_id for one in used]
        return lineage

    def _distractors(
        self, question: Question, candidate: Candidate, draw: random.Random
    ) -> tuple[list[Chunk], list[str]]:
        """Other passages for the template rag, none of which answers the question too."""
        if question.template is not QuestionTemplate.RAG:
            return [], []
        asked, answer = candidate.turns[0]
        taken: list[Passage] = []
        for _ in range(_DISTRACTOR_TRIES):
            if len(taken) == self._request.distractors:
                break
            other = draw.choice(self._shown)
            if other is question.passage or other in taken:
                continue
            if grounding(asked, answer, source_of(other.matter)) < self._request.min_grounding:
                taken.append(other)
        return [other.chunk for other in taken], [other.text for other in taken]

    def _remove_duplicates(self, on_progress: OnProgress | None) -> None:
        """Of samples that ask the same, or say nearly the same, the best one stays; of these the first."""
        best: dict[tuple[str, str], int] = {}
        for index, sample in enumerate(self.samples):
            key = (sample.template.value, comparable(sample.compared.question))
            if key not in best or _worth(sample) > _worth(self.samples[best[key]]):
                best[key] = index
        kept = sorted(best.values())
        removed = dict.fromkeys(set(range(len(self.samples))) - set(kept), "asks what another sample asks")
        for template in self._request.templates:
            same = [index for index in kept if self.samples[index].template is template]
            near = find_near_duplicates(
                [self.samples[index].compared for index in same],
                [_worth(self.samples[index]) for index in same],
                self._request.near_duplicate_threshold,
                on_progress,
            )
            removed.update({same[position]: removal.detail for position, removal in near.items()})
        for index in sorted(removed):
            sample = self.samples[index]
            self._rejected.append(
                Rejected(SampleFault.DUPLICATE, removed[index], sample.chunk, sample.template, sample.turns)
            )
        self.samples = [sample for index, sample in enumerate(self.samples) if index not in removed]

    def _rejected_line(self, one: Rejected) -> JsonObject:
        texts = self._masker.mask([text for turn in one.turns for text in turn])
        return {
            "fault": one.fault.value,
            "detail": one.detail,
            "template": one.template.value,
            "document": one.chunk.document,
            "chunk_id": one.chunk.chunk_id,
            "start": one.chunk.start,
            "end": one.chunk.end,
            "turns": [
                {"question": asked, "answer": answer} for asked, answer in zip(texts[::2], texts[1::2], strict=True)
            ],
        }

    def report(self, folder: Path, total: int, seconds: float) -> GenerationReport:
        """What it all came to."""
        faults = Counter(one.fault for one in self._rejected)
        templates = Counter(sample.template for sample in self.samples)
        return GenerationReport(
            generation_id=self._generation,
            dataset_name=self._request.dataset_name,
            complete=not self._unanswered,
            message=_message(total, self._unanswered, self._without, self._generated, len(self.samples), faults),
            samples_path=str(folder / SAMPLES_FILE),
            rejected_path=str(folder / REJECTED_FILE),
            model=self._request.model,
            policy=self._request.policy,
            documents=list(self._passages.documents),
            skipped=list(self._passages.skipped),
            chunks=len(self._shown),
            questions=total,
            answered=total - self._unanswered,
            unanswered=self._unanswered,
            without_samples=self._without,
            asked_now=self._asked.answered_now,
            generated=self._generated,
            accepted=len(self.samples),
            by_template={template: templates[template] for template in self._request.templates},
            rejected={fault: faults[fault] for fault in SampleFault if faults[fault]},
            masked={kind.value: count for kind in PersonalDataKind if (count := self._masker.replaced[kind.value])},
            mean_grounding=_mean([sample.grounding for sample in self.samples]),
            mean_quality=_mean([sample.quality for sample in self.samples]),
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            tokens_estimated=self._estimated,
            cost=round(self._cost, 6),
            cost_now=round(self._asked.cost_now, 6),
            currency=self._request.price.currency,
            seconds=round(seconds, 3),
        )


FAULT_WORDS = {
    SampleFault.UNREADABLE: "답이 요청한 JSON이 아님",
    SampleFault.NO_ANSWER: "답을 받지 못함",
    SampleFault.EMPTY: "빈 질문이나 답변",
    SampleFault.COPIES_PROMPT: "지시문이나 본문을 그대로 옮김",
    SampleFault.WRONG_LANGUAGE: "한국어가 아님",
    SampleFault.REFERS_TO_PASSAGE: "질문이 '이 문서'를 가리킴",
    SampleFault.WRONG_NUMBER: "본문에 없는 수치",
    SampleFault.NOT_GROUNDED: "본문에 근거가 없음",
    SampleFault.LOW_QUALITY: "품질 점수 미달",
    SampleFault.DUPLICATE: "다른 표본과 중복",
}


def _message(
    total: int, unanswered: int, without: int, generated: int, accepted: int, faults: Counter[SampleFault]
) -> str:
    """The outcome as people read it."""
    sentences = [
        f"질문 {total:,}건 가운데 {total - unanswered:,}건에 답을 받았고, 표본 {generated:,}건 중 {accepted:,}건이 검사를 통과했습니다."
    ]
    if faults:
        sentences.append(
            "제외한 이유: "
            + ", ".join(f"{FAULT_WORDS[fault]} {count:,}건" for fault, count in faults.most_common())
            + "."
        )
    if without:
        sentences.append(f"{without:,}건은 질문거리가 없다는 답이었습니다.")
    if unanswered:
        sentences.append("같은 요청으로 다시 실행하면 답을 받지 못한 질문만 다시 묻습니다.")
    if not accepted:
        sentences.append(
            "통과한 표본이 없어 학습에 쓸 것이 없습니다. 생성 모델이 한국어 지시를 따르는지 확인하고, 더 큰 모델을 쓰거나 기준을 낮추십시오."
        )
    return " ".join(sentences)


def _worth(sample: Sample) -> float:
    return sample.quality + sample.grounding


def _normalised(candidate: Candidate) -> Candidate:
    turns = tuple((normalise(_writable(asked)), normalise(_writable(answer))) for asked, answer in candidate.turns)
    return replace(candidate, turns=turns)


def _writable(text: str) -> str:
    """Half a character, as broken servers send it, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def _turns(candidate: Candidate, question: Question) -> tuple[Message, ...]:
    """The sample without context, as its quality is judged: a summary's question is the passage."""
    return tuple(
        message
        for asked, answer in candidate.turns
        for message in (Message("user", asked or question.passage.text), Message("assistant", answer))
    )


def _category(request: GenerateRequest, chunk: Chunk) -> str:
    given = chunk.payload.get("category")
    folder = chunk.document.rsplit("/", 2)[-2] if "/" in chunk.document else ""
    return request.category or (given if isinstance(given, str) else "") or folder


def _sample_line(sample: Sample) -> JsonObject:
    return {
        "id": sample.row.row_id,
        "messages": [{"role": message.role, "content": message.content} for message in sample.row.messages],
        "metadata": sample.row.metadata,
    }


def _lines(values: Iterator[JsonObject]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
