"""Suites of own test cases: ask all, score each by its own scorer."""

from collections import Counter
from collections.abc import Mapping, Sequence

from contracts.evaluation import TestCase
from contracts.suites import CaseScore, EvaluationConditions, ScoreEstimate
from evaluation.asking import Answer, ask
from evaluation.intervals import mean_estimate, quantile_estimate, rate_estimate
from evaluation.scorers.registry import SCORING_VERSION, is_right, score_answer, scorer_of
from evaluation.scorers.score import Score
from evaluation.speed import speed_estimates
from evaluation.suites.kind import Outcome, RunOptions, RunState, Subject, conditions_of
from evaluation.test_cases import Suite

NO_JUDGE = "no_judge"
"""Why a case is excluded that a judge scores in a run without one."""
LATENCY_QUANTILES = {"latency_ms_p50": 0.5, "latency_ms_p90": 0.9, "latency_ms_p99": 0.99}


def served_conditions(suite: Suite, subject: Subject, options: RunOptions) -> EvaluationConditions:
    """Of a suite whose questions are answered by the server at temperature 0."""
    judged = any(scorer_of(case).needs_judge for case in suite.cases)
    scoring = f"scorers {SCORING_VERSION}" + (f", judge {options.judge_version or 'none'}" if judged else "")
    return conditions_of(
        suite,
        subject,
        options,
        engine=subject.engine,
        sampling={"temperature": 0, "max_tokens": options.max_answer_tokens},
        scoring=scoring,
    )


def run_cases(suite: Suite, subject: Subject, options: RunOptions, state: RunState) -> Outcome:
    """Ask every case, a tenth of them twice, and score the answers."""
    url = subject.need_endpoint()
    answers = ask(
        suite.cases,
        endpoint_url=url,
        model=subject.served_name,
        concurrency=options.concurrency,
        system_prompt=options.system_prompt,
        max_answer_tokens=options.max_answer_tokens,
        on_progress=state.on_progress,
        journal=state.journal,
    )
    outcome = score_answers(suite.cases, answers, options)
    speed = speed_estimates(suite.cases, url, subject.served_name, options) if options.speed else []
    return Outcome(outcome.cases, [*outcome.scores, *speed], outcome.by_category, outcome.excluded)


def score_answers(cases: Sequence[TestCase], answers: Sequence[Answer], options: RunOptions) -> Outcome:
    """Each answer's score, and what they come to. A case that needs a judge is excluded where there is none."""
    judged = [pair for pair in zip(cases, answers, strict=True) if scorer_of(pair[0]).needs_judge]
    verdicts: Mapping[str, Score | str] = (
        options.judge(judged) if options.judge is not None and judged else {case.id: NO_JUDGE for case, _ in judged}
    )
    scored: list[CaseScore] = []
    excluded: Counter[str] = Counter()
    for case, answer in zip(cases, answers, strict=True):
        score = verdicts[case.id] if case.id in verdicts else score_answer(case, answer.text)
        if isinstance(score, str):
            excluded[score] += 1
        else:
            scored.append(_case_score(case, answer, score))
    return Outcome(scored, case_estimates(scored), category_estimates(scored), dict(excluded))


def case_estimates(scored: Sequence[CaseScore]) -> list[ScoreEstimate]:
    """Accuracy first; the mean score where some answers are partly right; latency as it was."""
    estimates = [rate_estimate("accuracy", sum(case.correct for case in scored), len(scored))]
    if any(0 < case.score < 1 for case in scored):
        estimates.append(
            mean_estimate("mean_score", [case.score for case in scored], [case.source_document for case in scored])
        )
    latencies = [case.latency_ms for case in scored if case.latency_ms is not None]
    if latencies:
        estimates += [quantile_estimate(name, latencies, share) for name, share in LATENCY_QUANTILES.items()]
    return estimates


def category_estimates(scored: Sequence[CaseScore]) -> dict[str, ScoreEstimate]:
    """Accuracy within each category."""
    outcomes: dict[str, list[bool]] = {}
    for case in scored:
        outcomes.setdefault(case.category, []).append(case.correct)
    return {
        category: rate_estimate("accuracy", sum(rights), len(rights)) for category, rights in sorted(outcomes.items())
    }


def _case_score(case: TestCase, answer: Answer, score: Score) -> CaseScore:
    return CaseScore(
        case_id=case.id,
        category=case.category,
        answer=answer.text,
        score=score.value,
        correct=is_right(case, score),
        source_document=case.source_document,
        repeated_answer=answer.repeated_text,
        latency_ms=answer.latency_ms,
        answer_tokens=answer.tokens,
        finish_reason=answer.finish_reason,
        remark=score.remark,
    )
