"""Intervals that hold at every look at once, so that looking often finds nothing that is not there.

Asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021), in the form of a bound on the
z value: a difference is shown when it is further than `two_sided_bound` standard errors from 0. `users` counts
both arms.
"""

from __future__ import annotations

import math

import numpy as np

from ab_testing.comparison import Difference
from ab_testing.moments import Numbers
from contracts.experiment_verdicts import Bounds


def mixture_variance(alpha: float, tuned_at_users: float) -> float:
    """rho²: the mixture that makes the sequence narrowest at that many users."""
    spent = -2 * math.log(alpha)
    return (spent + math.log(spent + 1)) / tuned_at_users


def two_sided_bound(users: Numbers, *, alpha: float, rho_squared: float) -> Numbers:
    """|z| beyond which a difference is shown."""
    growth = users * rho_squared
    bound: Numbers = np.sqrt(2 * (growth + 1) / growth * np.log(np.sqrt(growth + 1) / alpha))
    return bound


def one_sided_bound(users: Numbers, *, alpha: float, rho_squared: float) -> Numbers:
    """How far z must be for a difference in one direction to be shown; rho² from `mixture_variance(2 * alpha, ...)`."""
    growth = users * rho_squared
    bound: Numbers = np.sqrt(2 * (growth + 1) / growth * np.log1p(np.sqrt(growth + 1) / (2 * alpha)))
    return bound


def sequence_bounds(difference: Difference, *, alpha: float, tuned_at_users: float) -> Bounds:
    """The difference's interval, valid at every look."""
    rho_squared = mixture_variance(alpha, tuned_at_users)
    half = difference.standard_error * float(
        two_sided_bound(float(difference.users), alpha=alpha, rho_squared=rho_squared)
    )
    return Bounds(lower=difference.value - half, upper=difference.value + half, level=1 - alpha)


def lower_bound(difference: Difference, *, alpha: float, tuned_at_users: float) -> float:
    """What the difference is at least, valid at every look."""
    rho_squared = mixture_variance(2 * alpha, tuned_at_users)
    bound = float(one_sided_bound(float(difference.users), alpha=alpha, rho_squared=rho_squared))
    return difference.value - difference.standard_error * bound


def e_value(difference: Difference, *, alpha: float, tuned_at_users: float) -> float:
    """Evidence against "no difference": 1 on average, at most, at every look, if there is none."""
    growth = difference.users * mixture_variance(alpha, tuned_at_users)
    exponent = growth * difference.z**2 / (2 * (growth + 1))
    return math.exp(min(exponent, 700.0)) / math.sqrt(growth + 1)


def always_valid_p(difference: Difference, *, alpha: float, tuned_at_users: float) -> float:
    """A p value that may be read at any look: below alpha exactly when the interval leaves 0 out."""
    return min(1.0, 1 / e_value(difference, alpha=alpha, tuned_at_users=tuned_at_users))
