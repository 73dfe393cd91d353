"""Base and tuned model on the same questions: from answers to a suite's report."""

from collections.abc import Mapping, Sequence

from contracts.evaluation import Accuracy, AccuracyLost, CaseResult, SuiteReport, TestCase
from contracts.suites import CaseScore
from evaluation.statistics import mcnemar_exact, paired_difference_interval, wilson_interval


def pair_scores(cases: Sequence[TestCase], base: Sequence[CaseScore], tuned: Sequence[CaseScore]) -> list[CaseResult]:
    """Both models' answers beside the accepted ones, of the cases that have a score of both."""
    base_of = {score.case_id: score for score in base}
    tuned_of = {score.case_id: score for score in tuned}
    return [
        CaseResult(
            case_id=case.id,
            question=case.question,
            category=case.category,
            accepted_answers=case.accepted_answers,
            base_answer=base_of[case.id].answer,
            tuned_answer=tuned_of[case.id].answer,
            base_correct=base_of[case.id].correct,
            tuned_correct=tuned_of[case.id].correct,
        )
        for case in cases
        if case.id in base_of and case.id in tuned_of
    ]


def accuracy_of(outcomes: Sequence[tuple[str, bool]]) -> Accuracy:
    """Accuracy with its interval, from (category, answered right) of each case."""
    correct = sum(right for _, right in outcomes)
    by_category: dict[str, float] = {}
    for category in sorted({category for category, _ in outcomes}):
        rights = [right for other, right in outcomes if other == category]
        by_category[category] = sum(rights) / len(rights)
    return Accuracy(
        n=len(outcomes),
        correct=correct,
        accuracy=correct / len(outcomes) if outcomes else 0.0,
        interval=wilson_interval(correct, len(outcomes)),
        by_category=by_category,
    )


def accuracy_lost(suite: SuiteReport) -> AccuracyLost:
    """What a compression costs, from its comparison with its parent, which stands as the base there."""
    return AccuracyLost(
        suite=suite.name,
        suite_sha256=suite.sha256,
        parent=suite.base,
        compressed=suite.tuned,
        lost=suite.base.accuracy - suite.tuned.accuracy,
        interval=paired_difference_interval(suite.tuned.n, suite.lost, suite.won),
        newly_wrong=suite.lost,
        newly_right=suite.won,
        mcnemar_p=suite.mcnemar_p,
    )


def compare_suite(
    name: str, path: str, sha256: str, results: Sequence[CaseResult], excluded: Mapping[str, int] | None = None
) -> SuiteReport:
    """One suite's report: both accuracies and the paired comparison."""
    won = sum(result.tuned_correct and not result.base_correct for result in results)
    lost = sum(result.base_correct and not result.tuned_correct for result in results)
    return SuiteReport(
        name=name,
        path=path,
        sha256=sha256,
        base=accuracy_of([(result.category, result.base_correct) for result in results]),
        tuned=accuracy_of([(result.category, result.tuned_correct) for result in results]),
        mcnemar_p=mcnemar_exact(won, lost),
        won=won,
        lost=lost,
        excluded=dict(excluded or {}),
    )
