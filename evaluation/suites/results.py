"""From what a run found to the result that is stored, and the files in which it waits for that."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from contracts.record import utc_now
from contracts.suites import CaseScore, EvaluatedModel, EvaluationConditions, SuiteResult
from evaluation.suites.kind import Outcome
from evaluation.test_cases import Suite
from storage.files import read_json, write_json_atomically
from storage.stored_files import open_stored_text, write_stored_text

RESULT_FILE = "result.json"
CASES_FILE = "cases.jsonl"


def suite_result(
    model: EvaluatedModel, suite: Suite, conditions: EvaluationConditions, outcome: Outcome, seconds: float
) -> SuiteResult:
    """One model's result on one suite; its result_id is 0 until it is stored."""
    return SuiteResult(
        result_id=0,
        model=model,
        conditions=conditions,
        kind=suite.kind,
        scores=outcome.scores,
        by_category=outcome.by_category,
        n=len(outcome.cases),
        excluded=dict(Counter(suite.excluded) + Counter(outcome.excluded)),
        unstable_answers=sum(case.is_unstable for case in outcome.cases),
        repeated_answers=sum(case.repeated_answer is not None for case in outcome.cases),
        seconds=seconds,
        created_at=utc_now(),
    )


def write_result(folder: Path, result: SuiteResult, cases: list[CaseScore]) -> None:
    """Keep a result and its cases; the result last, so that its existence means that all is there."""
    lines = [case.model_dump_json(exclude_defaults=True) for case in cases]
    write_stored_text(folder / CASES_FILE, "".join(line + "\n" for line in lines))
    write_json_atomically(folder / RESULT_FILE, result.model_dump(mode="json"))


def read_result(folder: Path) -> SuiteResult | None:
    """The result that the folder keeps; None where the run has not come so far."""
    found = read_json(folder / RESULT_FILE)
    return None if found is None else SuiteResult.model_validate(found)


def read_cases(folder: Path) -> Iterator[CaseScore]:
    """The cases beside a kept result, one after the other."""
    with open_stored_text(folder / CASES_FILE) as stream:
        for line in stream:
            yield CaseScore.model_validate_json(line)
