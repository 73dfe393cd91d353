"""One arm's sufficient statistics. The unit is the user: no function here takes values without their users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from contracts.errors import InvalidRequestError

Array = NDArray[np.float64]
Numbers = TypeVar("Numbers", float, Array)
"""A number, or the same number of many experiments at once."""


class RatioSums(NamedTuple):
    """Sums over users of each user's weight (how many values), value sum, and their products."""

    weight: float
    value: float
    weight_squared: float
    weight_value: float
    value_squared: float


class CovariateSums(NamedTuple):
    """Sums over users of something known about each user before the experiment."""

    covariate: float
    covariate_squared: float
    covariate_weight: float
    covariate_value: float


@dataclass(frozen=True, slots=True)
class UnitMoments:
    """What one arm's users say, in sums over users.

    A user's weight is the number of their values (1 where each user's mean is taken), their value the sum of them.
    """

    users: int
    sums: RatioSums
    covariate: CovariateSums | None = None

    def __post_init__(self) -> None:
        numbers = (*self.sums, *(self.covariate or ()))
        if self.users < 0 or not all(map(math.isfinite, numbers)) or self.sums.weight < 0:
            raise InvalidRequestError(
                "An arm's sums are not those of users",
                value=(self.users, *numbers),
                allowed="finite numbers, users and weights not negative",
                next_step="sum over users: users, weight, value, weight², weight·value, value²",
            )
        # Cauchy-Schwarz: (sum of weights)^2 <= users x (sum of squared weights). One more squared weight than
        # that is what a table of values, taken for a table of users, gives.
        if self.sums.weight**2 > self.users * self.sums.weight_squared * (1 + 1e-9):
            raise InvalidRequestError(
                "There are more values than these users can have given",
                value=f"{self.users} users, weights {self.sums.weight:g}, squared {self.sums.weight_squared:g}",
                allowed="users x sum of squared weights is at least the square of the sum of weights",
                next_step="square each user's weight before summing over users",
            )

    @classmethod
    def of_user_means(cls, *, users: int, sum_of_means: float, sum_of_squared_means: float) -> Self:
        """From each user's mean: everybody counts the same."""
        return cls(
            users=users, sums=RatioSums(float(users), sum_of_means, float(users), sum_of_means, sum_of_squared_means)
        )

    @classmethod
    def of_users(cls, counts: Array, sums: Array, covariate: Array | None = None) -> Self:
        """From two columns, a row a user: how many values the user gave, and their sum."""
        counts, sums = np.asarray(counts, dtype=float), np.asarray(sums, dtype=float)
        if counts.ndim != 1 or counts.shape != sums.shape or (counts < 1).any():
            raise InvalidRequestError(
                "The columns are not one row a user",
                value=f"shapes {counts.shape} and {sums.shape}",
                allowed="two columns of the same length, each count at least 1",
                next_step="group the values by user first, or hand them to ab_testing.users.gather_users",
            )
        ratio = RatioSums(
            float(counts.sum()),
            float(sums.sum()),
            float(counts @ counts),
            float(counts @ sums),
            float(sums @ sums),
        )
        if covariate is None:
            return cls(users=len(counts), sums=ratio)
        x = np.asarray(covariate, dtype=float)
        return cls(
            users=len(counts),
            sums=ratio,
            covariate=CovariateSums(float(x.sum()), float(x @ x), float(x @ counts), float(x @ sums)),
        )

    @property
    def mean(self) -> float | None:
        """Sum of values by sum of weights; None before the first."""
        return self.sums.value / self.sums.weight if self.sums.weight > 0 else None

    @property
    def values(self) -> float:
        """How many values the users gave, where weights count them."""
        return self.sums.weight


def ratio_mean(weight: Numbers, value: Numbers) -> Numbers:
    """Sum of values by sum of weights."""
    return value / weight


def ratio_variance(
    users: Numbers,
    weight: Numbers,
    value: Numbers,
    weight_squared: Numbers,
    weight_value: Numbers,
    value_squared: Numbers,
) -> Numbers:
    """Squared standard error of the ratio mean: delta method over users.

    With weights of 1 this is the sample variance of a mean; with counts it equals, for one arm, the
    cluster-robust error of an intercept (CR1).
    """
    mean = value / weight
    # residuals value_i - mean x weight_i sum to 0; rounding can bring their squares below it
    squares = value_squared - 2 * mean * weight_value + mean * mean * weight_squared
    return abs(squares) * users / ((users - 1) * weight * weight)


def variance_of(moments: UnitMoments) -> float | None:
    """Squared standard error of the arm's mean; None before the second user."""
    if moments.users < 2 or moments.sums.weight <= 0:
        return None
    variance = ratio_variance(float(moments.users), *moments.sums)
    # what rounding leaves of equal values: 1e-14 of the values' own size
    return variance if variance > 1e-14 * moments.sums.value_squared / moments.sums.weight**2 else 0.0
