"""CUPED: the part of a difference that was there before the experiment is taken out (Deng, Xu, Kohavi, Walker 2013)."""

from __future__ import annotations

from dataclasses import dataclass

from ab_testing.comparison import Difference, compare, difference_of
from ab_testing.moments import UnitMoments, variance_of
from contracts.experiment_verdicts import NotComputable, NotComputableReason


@dataclass(frozen=True, slots=True)
class AdjustedDifference:
    """A difference with and without its covariate."""

    adjusted: Difference
    unadjusted: Difference
    slope: float
    """Of the metric's mean on the covariate's, both arms together."""
    variance_saved: float
    """Share of the variance that the covariate explains: 0.5 halves the users needed."""


def adjust_for_covariate(a: UnitMoments, b: UnitMoments) -> AdjustedDifference | NotComputable:
    """B against A as if both had begun alike. The covariate must have been known before the first answer."""
    plain = compare(a, b)
    if isinstance(plain, NotComputable):
        return plain
    if a.covariate is None or b.covariate is None:
        return NotComputable(reason=NotComputableReason.NO_COVARIATE, users_a=a.users, users_b=b.users)
    shift_a, shift_b = _covariate(a), _covariate(b)
    spread = shift_a.variance + shift_b.variance
    if spread <= 0:
        return NotComputable(reason=NotComputableReason.NO_COVARIATE, users_a=a.users, users_b=b.users)
    slope = (shift_a.covariance + shift_b.covariance) / spread

    def left(arm: UnitMoments, shift: _CovariateMean) -> float:
        variance = variance_of(arm) or 0.0
        return max(0.0, variance - 2 * slope * shift.covariance + slope**2 * shift.variance)

    adjusted = difference_of(
        plain.value - slope * (shift_b.mean - shift_a.mean), left(a, shift_a), left(b, shift_b), a.users, b.users
    )
    if isinstance(adjusted, NotComputable):
        return adjusted
    return AdjustedDifference(
        adjusted=adjusted, unadjusted=plain, slope=slope, variance_saved=1 - adjusted.variance / plain.variance
    )


@dataclass(frozen=True, slots=True)
class _CovariateMean:
    mean: float
    variance: float
    """Squared standard error of the mean."""
    covariance: float
    """With the metric's mean, linearised."""


def _covariate(arm: UnitMoments) -> _CovariateMean:
    assert arm.covariate is not None
    assert arm.mean is not None
    sums, users = arm.covariate, arm.users
    mean = sums.covariate / users
    freedom = users * (users - 1)
    # the residuals value - ratio x weight sum to 0, so the covariate's mean drops out
    together = (sums.covariate_value - arm.mean * sums.covariate_weight) / (arm.sums.weight / users)
    return _CovariateMean(
        mean=mean,
        variance=max(0.0, sums.covariate_squared - users * mean**2) / freedom,
        covariance=together / freedom,
    )
