"""A version beside the one in production, case by case."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from contracts.enums import PairedOutcome
from contracts.errors import NotFoundError
from contracts.model_comparison import CategoryCounts, ComparedCases, PairedCase
from stages.compare_models import compare_models

if TYPE_CHECKING:
    from contracts.model_comparison import ModelComparison, SuiteComparison
    from contracts.models import ModelVersion
    from database.unit_of_work import UnitOfWork
    from stages.services import Services


def measure_of(version: ModelVersion, services: Services) -> ModelVersion | None:
    """What a version is compared with: the one in production; for that itself, the one that a rollback brings back."""
    with services.unit_of_work() as uow:
        production = uow.models.production(version.model_name)
        if production is not None and production.model_id != version.model_id:
            return production
        previous = None if production is None else uow.promotions.previous(version.model_name)
        return None if previous is None or previous == version.model_id else uow.models.get(previous)


def compare_with(measure: ModelVersion, version: ModelVersion, services: Services) -> ModelComparison:
    """The version beside its measure, without cases and rows."""
    given = [f"model:{measure.model_id}", f"model:{version.model_id}"]
    return compare_models(given, services, shown=0, with_rows=False)


def compared_cases(
    suite: SuiteComparison,
    services: Services,
    outcome: PairedOutcome,
    *,
    category: str | None = None,
    offset: int = 0,
    limit: int = 10,
) -> ComparedCases:
    """Some cases of a comparison whose cases are kept, in the order of their categories."""
    assert suite.reference_id is not None and suite.other_id is not None, "a comparison without cases"
    with services.unit_of_work() as uow:
        if suite.source == "evaluation":
            pairs = _of_evaluations(suite.reference_id, suite.other_id, uow)
            categories = _counted(pairs)
            fitting = [pair for pair in pairs if pair.outcome is outcome and category in {None, pair.category}]
            cases = fitting[offset : offset + limit]
        else:
            categories = uow.model_results.paired_categories(suite.reference_id, suite.other_id)
            cases = uow.model_results.paired_page(
                suite.reference_id,
                suite.other_id,
                outcome,
                category=category,
                suite_id=_suite_id(suite, uow),
                offset=offset,
                limit=limit,
            )
    total = sum(found.counts.get(outcome, 0) for found in categories if category in {None, found.category})
    return ComparedCases(categories=categories, total=total, cases=cases)


def _suite_id(suite: SuiteComparison, uow: UnitOfWork) -> int | None:
    if suite.suite_version is None:
        return None
    try:
        return uow.suites.find(suite.suite, suite.suite_version).suite_id
    except NotFoundError:
        return None


def _of_evaluations(reference_id: int, other_id: int, uow: UnitOfWork) -> list[PairedCase]:
    others = {case.case_id: case for case in uow.evaluations.cases(other_id)}
    pairs = [
        PairedCase(
            case_id=case.case_id,
            category=case.category,
            question=case.question,
            expected=case.accepted_answers,
            reference_answer=case.tuned_answer,
            other_answer=others[case.case_id].tuned_answer,
            outcome=PairedOutcome.of(case.tuned_correct, others[case.case_id].tuned_correct),
        )
        for case in uow.evaluations.cases(reference_id)
        if case.case_id in others
    ]
    return sorted(pairs, key=lambda pair: (pair.category, pair.case_id))


def _counted(pairs: list[PairedCase]) -> list[CategoryCounts]:
    found: dict[str, Counter[PairedOutcome]] = {}
    for pair in pairs:
        found.setdefault(pair.category, Counter())[pair.outcome] += 1
    return [CategoryCounts(category=category, counts=dict(counts)) for category, counts in found.items()]
