"""The difference of two arms, with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ab_testing.moments import UnitMoments, variance_of
from contracts.experiment_verdicts import NotComputable, NotComputableReason


@dataclass(frozen=True, slots=True)
class Difference:
    """B's mean minus A's, over users."""

    value: float
    variance: float
    """Squared standard error."""
    degrees_of_freedom: float
    """Welch-Satterthwaite, over users."""
    users_a: int
    users_b: int

    @property
    def standard_error(self) -> float:
        """Standard error of the difference."""
        return math.sqrt(self.variance)

    @property
    def users(self) -> int:
        """Users of both arms."""
        return self.users_a + self.users_b

    @property
    def z(self) -> float:
        """The difference in standard errors."""
        return self.value / self.standard_error


def compare(a: UnitMoments, b: UnitMoments) -> Difference | NotComputable:
    """B against A, both by users."""
    variance_a, variance_b = variance_of(a), variance_of(b)
    mean_a, mean_b = a.mean, b.mean
    if variance_a is None or variance_b is None or mean_a is None or mean_b is None:
        return NotComputable(reason=NotComputableReason.TOO_FEW_USERS, users_a=a.users, users_b=b.users)
    return difference_of(mean_b - mean_a, variance_a, variance_b, a.users, b.users)


def difference_of(
    value: float, variance_a: float, variance_b: float, users_a: int, users_b: int
) -> Difference | NotComputable:
    """A difference from both arms' squared standard errors."""
    variance = variance_a + variance_b
    if variance <= 0:
        return NotComputable(reason=NotComputableReason.NO_SPREAD, users_a=users_a, users_b=users_b)
    return Difference(
        value=value,
        variance=variance,
        degrees_of_freedom=variance**2 / (variance_a**2 / (users_a - 1) + variance_b**2 / (users_b - 1)),
        users_a=users_a,
        users_b=users_b,
    )
