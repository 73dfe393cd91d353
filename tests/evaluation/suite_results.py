"""Suite results to store and compare, for tests of what comes after an evaluation."""

from contracts.enums import EvaluatedKind, SuiteKind
from contracts.record import utc_now
from contracts.suites import CaseScore, EvaluatedModel, EvaluationConditions, SuiteResult
from evaluation.suites.cases import case_estimates, category_estimates


def conditions(suite: str = "road-rules", sha256: str = "5" * 64) -> EvaluationConditions:
    """Conditions of a small managed suite."""
    return EvaluationConditions(
        suite_name=suite,
        suite_version=1,
        suite_sha256=sha256,
        system_prompt_sha256="0" * 64,
        template_sha256="1" * 64,
        engine="vllm 0.32.0",
        sampling={"temperature": 0, "max_tokens": 128},
        scoring="scorers 1",
    )


def case_scores(rights: list[bool], category: str = "tolls") -> list[CaseScore]:
    """One answer each."""
    return [
        CaseScore(
            case_id=f"c-{number:04d}",
            category=category,
            answer="5년입니다." if right else "모릅니다.",
            score=float(right),
            correct=right,
            latency_ms=100.0 + number,
        )
        for number, right in enumerate(rights)
    ]


def suite_result(cases: list[CaseScore], content_hash: str = "a" * 64, suite: str = "road-rules") -> SuiteResult:
    """What a model with that content scored."""
    return SuiteResult(
        result_id=0,
        model=EvaluatedModel(kind=EvaluatedKind.FOLDER, name="demo-base", content_hash=content_hash),
        conditions=conditions(suite),
        kind=SuiteKind.CASES,
        scores=case_estimates(cases),
        by_category=category_estimates(cases),
        n=len(cases),
        excluded={},
        unstable_answers=0,
        repeated_answers=0,
        seconds=1.0,
        created_at=utc_now(),
    )
