"""Two models asked the same questions: the mean paired difference over units, valid once, at the size planned before.

A unit is what is independent of the others: a user with all their questions, a document with all its cases. The test
flips each unit's sign (Fisher 1935): exact where nothing but chance says which model's answer is which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ab_testing.moments import Array
from contracts.errors import InvalidRequestError
from contracts.experiment_verdicts import Bounds, ExperimentVerdict

WHOLE_ALPHA = 0.05
"""Of all replays of one A/B test together."""
_FIRST_SHARE = 0.8
USUAL_SPREAD = 0.75
"""Standard deviation of a unit's difference where one question in two or so has a winner."""
_FLIPS = 9_999
_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """B minus A on the same questions, over units."""

    units: int
    difference: float
    bounds: Bounds
    p_value: float
    verdict: ExperimentVerdict


def alpha_of(number: int, challengers: int = 1) -> float:
    """Error rate of a challenger's replay of that number, from 1: 0.04, then a fifth of the one before; 0.05 in all.

    Several challengers of one A/B test share it (Bonferroni).
    """
    return WHOLE_ALPHA * _FIRST_SHARE * (1 - _FIRST_SHARE) ** (number - 1) / challengers


def detectable_difference(units: int, alpha: float, *, power: float = 0.8, spread: float = USUAL_SPREAD) -> float:
    """The true difference that so many units find with that chance; at most 1, which is all there is."""
    needed = (stats.norm.isf(alpha / 2) + stats.norm.ppf(power)) * spread / math.sqrt(units)
    return min(1.0, float(needed))


def compare_pairs(differences: Sequence[tuple[str, float]], *, alpha: float, margin: float) -> PairedDifference:
    """The verdict on (unit, B minus A) of each question, from -1 to 1. Looked at before the planned size it is void.

    A winner needs both the test and the interval. Raises InvalidRequestError without two units.
    """
    means = _unit_means(differences)
    if len(means) < 2:
        raise InvalidRequestError(
            "A paired comparison needs two units or more",
            value=f"{len(differences)} questions of {len(means)} units",
            allowed="questions of different users or documents",
            next_step="ask more questions",
        )
    difference = float(means.mean())
    half = max(_half_width(means, alpha), _unseen(len(means), alpha))
    # no difference is beyond a win or a loss of every question
    bounds = Bounds(lower=max(-1.0, difference - half), upper=min(1.0, difference + half), level=1 - alpha)
    p_value = sign_flip_p(means)
    return PairedDifference(len(means), difference, bounds, p_value, _verdict(bounds, p_value, alpha, margin))


def sign_flip_p(means: Array) -> float:
    """Two-sided: the share of random signs that bring a mean as far from 0, the observed one counted (Phipson, Smyth 2010)."""
    decided = means[means != 0]
    if not len(decided):
        return 1.0
    observed, random, as_far = abs(float(decided.sum())), np.random.default_rng(len(decided)), 0
    for begun in range(0, _FLIPS, _AT_A_TIME):
        signs = random.choice((-1.0, 1.0), size=(min(_AT_A_TIME, _FLIPS - begun), len(decided)))
        as_far += int((np.abs(signs @ decided) >= observed - 1e-9).sum())
    return (1 + as_far) / (1 + _FLIPS)


def _unit_means(differences: Sequence[tuple[str, float]]) -> Array:
    by_unit: dict[str, list[float]] = {}
    for unit, difference in differences:
        by_unit.setdefault(unit, []).append(difference)
    return np.array([sum(found) / len(found) for found in by_unit.values()])


def _half_width(means: Array, alpha: float) -> float:
    return float(stats.t.isf(alpha / 2, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means)))


def _unseen(units: int, alpha: float) -> float:
    """The largest share of differing units that shows none among so many with a chance of alpha / 2: the interval is
    never narrower, also where no unit differs.
    """
    return float(-math.expm1(math.log(alpha / 2) / units))


def _verdict(bounds: Bounds, p_value: float, alpha: float, margin: float) -> ExperimentVerdict:
    if p_value <= alpha and bounds.lower > 0:
        return ExperimentVerdict.BETTER_B
    if p_value <= alpha and bounds.upper < 0:
        return ExperimentVerdict.BETTER_A
    if -margin < bounds.lower and bounds.upper < margin:
        return ExperimentVerdict.NO_RELEVANT_DIFFERENCE
    return ExperimentVerdict.INCONCLUSIVE
