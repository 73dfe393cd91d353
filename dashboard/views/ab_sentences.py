"""What a test of two says besides its verdict, in the same words on the page and in its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.experiment_verdicts import DecisionBasis
from contracts.words import significance
from dashboard.formats import number, percent

if TYPE_CHECKING:
    from contracts.experiment_results import ExperimentResults
    from contracts.experiment_verdicts import DecisionLook
    from dashboard.texts import Words


def difference_sentence(look: DecisionLook, words: Words) -> str | None:
    """The difference with its interval, in Markdown; None before there is one."""
    if look.bounds is None:
        return None
    return words(
        "ab_tests.difference_final" if look.basis is DecisionBasis.FINAL else "ab_tests.difference",
        difference=number(look.difference, 2),
        level=percent(look.bounds.level, 0),
        lower=number(look.bounds.lower, 2),
        upper=number(look.bounds.upper, 2),
    )


def response_time_sentence(results: ExperimentResults, words: Words) -> str | None:
    """How much slower or faster the new model answers, in Markdown; None before there is anything to say."""
    time = results.response_time
    if time is None:
        return None
    return words(
        "ab_tests.response_time",
        ratio=number(time.ratio, 2),
        lower=number(time.lower, 2),
        upper=number(time.upper, 2),
    )


def fixed_horizon_sentence(results: ExperimentResults, planned_users: int, words: Words) -> str | None:
    """What the classical test says, which decides nothing; None before it can be made."""
    if results.comparison is None:
        return None
    return words("ab_tests.fixed_horizon", p=significance(results.comparison.p_value), planned=number(planned_users))
