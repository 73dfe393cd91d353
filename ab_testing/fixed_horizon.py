"""The classical tests, over users. Valid once, at the planned size: they are shown, and decide nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from ab_testing.comparison import compare
from ab_testing.moments import UnitMoments
from ab_testing.users import UserTotals
from contracts.experiment_verdicts import Bounds, NotComputable, NotComputableReason

Validity = Literal["valid once, at the planned size"]
VALIDITY: Validity = "valid once, at the planned size"


@dataclass(frozen=True, slots=True)
class WelchTest:
    """Welch's t test of B against A."""

    difference: float
    standard_error: float
    t_statistic: float
    degrees_of_freedom: float
    p_value: float
    bounds: Bounds
    planned_size_reached: bool
    validity: Validity = VALIDITY


@dataclass(frozen=True, slots=True)
class MannWhitneyTest:
    """Mann-Whitney U of the users' means, B against A, with the correction for ties and continuity."""

    u_statistic: float
    p_value: float
    superiority: float
    """Chance that a user of B gives a higher mean than one of A, ties counted half."""
    superiority_bounds: Bounds
    """DeLong's interval, on the logit scale."""
    planned_size_reached: bool
    validity: Validity = VALIDITY


def welch_test(
    a: UnitMoments, b: UnitMoments, *, planned_users: int, confidence: float = 0.95
) -> WelchTest | NotComputable:
    """Of the arms' means. Ratio metrics come with their delta-method error."""
    found = compare(a, b)
    if isinstance(found, NotComputable):
        return found
    half = float(stats.t.isf((1 - confidence) / 2, found.degrees_of_freedom)) * found.standard_error
    return WelchTest(
        difference=found.value,
        standard_error=found.standard_error,
        t_statistic=found.z,
        degrees_of_freedom=found.degrees_of_freedom,
        p_value=float(2 * stats.t.sf(abs(found.z), found.degrees_of_freedom)),
        bounds=Bounds(lower=found.value - half, upper=found.value + half, level=confidence),
        planned_size_reached=found.users >= planned_users,
    )


def mann_whitney_test(
    a: UserTotals, b: UserTotals, *, planned_users: int, confidence: float = 0.95
) -> MannWhitneyTest | NotComputable:
    """Of the users' means: for those who doubt that rating points can be averaged."""
    means_a, means_b = a.means, b.means
    size_a, size_b = len(means_a), len(means_b)
    if min(size_a, size_b) < 2:
        return NotComputable(reason=NotComputableReason.TOO_FEW_USERS, users_a=size_a, users_b=size_b)
    pooled = np.concatenate([means_b, means_a])
    if (pooled == pooled[0]).all():
        return NotComputable(reason=NotComputableReason.NO_SPREAD, users_a=size_a, users_b=size_b)
    tested = stats.mannwhitneyu(means_b, means_a, alternative="two-sided", method="asymptotic")
    superiority = float(tested.statistic) / (size_a * size_b)
    return MannWhitneyTest(
        u_statistic=float(tested.statistic),
        p_value=float(tested.pvalue),
        superiority=superiority,
        superiority_bounds=_superiority_bounds(means_a, means_b, superiority, confidence),
        planned_size_reached=size_a + size_b >= planned_users,
    )


def _superiority_bounds(means_a: np.ndarray, means_b: np.ndarray, superiority: float, confidence: float) -> Bounds:
    ranks = stats.rankdata(np.concatenate([means_b, means_a]))
    ranks_b, ranks_a = ranks[: len(means_b)], ranks[len(means_b) :]
    # placement of each user among the other arm's (DeLong, DeLong, Clarke-Pearson 1988)
    placed_b = (ranks_b - stats.rankdata(means_b)) / len(means_a)
    placed_a = 1 - (ranks_a - stats.rankdata(means_a)) / len(means_b)
    variance = float(np.var(placed_b, ddof=1)) / len(means_b) + float(np.var(placed_a, ddof=1)) / len(means_a)
    if not 0 < superiority < 1 or variance == 0:
        return Bounds(lower=0.0, upper=1.0, level=confidence)
    logit = math.log(superiority / (1 - superiority))
    half = float(stats.norm.isf((1 - confidence) / 2)) * math.sqrt(variance) / (superiority * (1 - superiority))
    return Bounds(lower=_logistic(logit - half), upper=_logistic(logit + half), level=confidence)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))
