"""Safety suites: questions that tempt, scored for harm and refusals, and KoBBQ's samples, scored for bias."""

from collections.abc import Sequence

from contracts.errors import InvalidDataError, InvalidRequestError
from contracts.evaluation import TestCase
from contracts.record import JsonObject
from contracts.suites import CaseScore, EvaluationConditions, ScoreEstimate
from evaluation.answer_scoring import final_answer
from evaluation.asking import Answer, ask
from evaluation.intervals import rate_estimate
from evaluation.safety import kobbq, prompts
from evaluation.safety.answers import findings_of, safety_estimates
from evaluation.safety.detectors import TOXIC, SafetyDetectors
from evaluation.safety.kobbq import ReadAnswer, Reading, Sample, kobbq_estimates, reading_of
from evaluation.safety.refusals import REFUSAL_RULES
from evaluation.scorers.registry import SCORING_VERSION
from evaluation.suites.kind import Outcome, RunOptions, RunState, Subject, conditions_of
from evaluation.test_cases import Suite

TOOL = "safety"
"""Name of the detectors among a run's tools."""


def safety_conditions(suite: Suite, subject: Subject, options: RunOptions) -> EvaluationConditions:
    """Of a suite whose answers are scored by detectors; other detectors make another result."""
    scoring = f"scorers {SCORING_VERSION}"
    if _scorer(suite) == prompts.SCORER:
        scoring += f", refusals {REFUSAL_RULES}, toxic from {TOXIC}, {_detectors(options).version}"
    return conditions_of(
        suite,
        subject,
        options,
        engine=subject.engine,
        sampling={"temperature": 0, "max_tokens": options.max_answer_tokens},
        scoring=scoring,
    )


def run_safety(suite: Suite, subject: Subject, options: RunOptions, state: RunState) -> Outcome:
    """Ask every case, a tenth of them twice, and look at the answers."""
    answers = ask(
        suite.cases,
        endpoint_url=subject.need_endpoint(),
        model=subject.served_name,
        concurrency=options.concurrency,
        system_prompt=options.system_prompt,
        max_answer_tokens=options.max_answer_tokens,
        on_progress=state.on_progress,
        journal=state.journal,
    )
    if _scorer(suite) == kobbq.SCORER:
        return score_kobbq(suite.cases, answers)
    return score_safety(suite.cases, answers, _detectors(options))


def check_safety(suite: Suite, subject: Subject) -> None:
    """Raises before a model is loaded where the cases are not all of one probe."""
    _scorer(suite)


def score_safety(cases: Sequence[TestCase], answers: Sequence[Answer], detectors: SafetyDetectors) -> Outcome:
    """Harm and refusals of answers to questions that tempt."""
    findings = findings_of(cases, [final_answer(answer.text) for answer in answers], detectors)
    scored = [
        _case_score(case, answer, finding.is_safe, finding.remark, finding.as_json())
        for case, answer, finding in zip(cases, answers, findings, strict=True)
    ]
    return Outcome(scored, safety_estimates(findings), _by_category("safe_answers", scored))


def score_kobbq(cases: Sequence[TestCase], answers: Sequence[Answer]) -> Outcome:
    """Accuracy and bias of answers to KoBBQ's samples."""
    scored, read = [], []
    for case, answer in zip(cases, answers, strict=True):
        reading = reading_of(case, final_answer(answer.text))
        sample = Sample.of(case.id)
        biased = case.options[kobbq.BIASED_ANSWER]
        meant = {
            kobbq.UNKNOWN: Reading.UNKNOWN,
            biased: Reading.BIASED,
        }.get(case.accepted_answers[0], Reading.COUNTER_BIASED)
        read.append(ReadAnswer(sample, reading, reading is meant))
        remark = "보기 밖의 답변" if reading is Reading.OUT_OF_CHOICE else ""
        findings: JsonObject = {"reading": reading.value, "ambiguous": sample.is_ambiguous}
        scored.append(_case_score(case, answer, reading is meant, remark, findings))
    return Outcome(scored, kobbq_estimates(read), _by_category("accuracy", scored))


def _case_score(case: TestCase, answer: Answer, is_right: bool, remark: str, findings: JsonObject) -> CaseScore:
    return CaseScore(
        case_id=case.id,
        category=case.category,
        answer=answer.text,
        score=float(is_right),
        correct=is_right,
        source_document=case.source_document,
        repeated_answer=answer.repeated_text,
        latency_ms=answer.latency_ms,
        answer_tokens=answer.tokens,
        finish_reason=answer.finish_reason,
        remark=remark,
        findings=findings,
    )


def _by_category(name: str, scored: Sequence[CaseScore]) -> dict[str, ScoreEstimate]:
    outcomes: dict[str, list[bool]] = {}
    for case in scored:
        outcomes.setdefault(case.category, []).append(case.correct)
    return {category: rate_estimate(name, sum(rights), len(rights)) for category, rights in sorted(outcomes.items())}


def _scorer(suite: Suite) -> str:
    scorers = {case.scorer for case in suite.cases}
    if len(scorers) != 1 or not scorers <= {prompts.SCORER, kobbq.SCORER}:
        raise InvalidDataError(
            "The cases of a safety suite are not of one probe",
            value=", ".join(sorted(scorers)) or "no case",
            allowed=f"all {prompts.SCORER}, or all {kobbq.SCORER}",
            next_step="make a suite of each",
        )
    return scorers.pop()


def _detectors(options: RunOptions) -> SafetyDetectors:
    detectors = options.tools.get(TOOL)
    if not isinstance(detectors, SafetyDetectors):
        raise InvalidRequestError(
            "A safety suite needs the detectors of data preparation",
            next_step="evaluate through `tuneway evaluate`, which lends them",
        )
    return detectors
