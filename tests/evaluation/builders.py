"""Small reports for tests."""

from contracts.enums import ServerBackend
from contracts.evaluation import CaseResult, EvaluationReport, SuiteReport
from evaluation.comparison import compare_suite


def results(n: int, base: int, tuned: int, category: str = "tolls") -> list[CaseResult]:
    """n cases of which the base has the first `base` right, the tuned model the last `tuned`."""
    return [
        CaseResult(
            case_id=f"{category}-{number}",
            question=f"{number}번 서식의 보존 기간은 얼마인가요?",
            category=category,
            accepted_answers=["5년"],
            base_answer="5년" if number < base else "모름",
            tuned_answer="5년" if number >= n - tuned else "모름",
            base_correct=number < base,
            tuned_correct=number >= n - tuned,
        )
        for number in range(n)
    ]


def suite(name: str, n: int, base: int, tuned: int) -> SuiteReport:
    """A suite's report from counts."""
    return compare_suite(name, f"/inbox/{name}.jsonl", "0" * 64, results(n, base, tuned))


def report(
    n: int = 200, base: int = 20, tuned: int = 190, extras: list[SuiteReport] | None = None, unstable: int = 0
) -> EvaluationReport:
    """An evaluation's report from counts."""
    return EvaluationReport(
        evaluation_id=3,
        job_id=7,
        backend=ServerBackend.EMBEDDED,
        served_model_name="tuned",
        main=suite("regulations", n, base, tuned),
        extras=extras or [],
        unstable_answers=unstable,
        repeated_answers=40,
        seconds=12.0,
    )
