"""Whether things fall into the arms as planned: exact evidence that holds at every look and through a ramp.

Under the plan each thing (a user who arrived, a user whose request failed) belongs to B with the share that was
planned at that moment. The alternative shifts the log odds by theta. The likelihood ratio, averaged over a fixed
list of thetas, is a martingale from 1, however the planned share moves: it exceeds 1 / alpha with a chance of at most
alpha, ever (Ville). Lindon and Malek 2022 do the same with a Dirichlet prior for one constant plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ab_testing.moments import Array
from contracts.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class SharePhase:
    """What came while one planned share held."""

    planned_share_b: float
    in_a: int
    in_b: int

    def __post_init__(self) -> None:
        if not 0 < self.planned_share_b < 1 or self.in_a < 0 or self.in_b < 0:
            raise InvalidRequestError(
                "A phase of an experiment has no such counts",
                value=f"share {self.planned_share_b}, {self.in_a} in A, {self.in_b} in B",
                allowed="a share between 0 and 1, counts not negative",
                next_step="leave out phases in which one arm got no traffic",
            )


@dataclass(frozen=True, slots=True)
class ShiftPrior:
    """Shifts of the log odds that are looked for, with their weights."""

    shifts: tuple[float, ...]
    weights: tuple[float, ...]

    @classmethod
    def normal(cls, spread: float, points: int = 41) -> ShiftPrior:
        """Both directions, about as large as `spread`."""
        shifts = np.linspace(-3.5, 3.5, points)
        weights = np.exp(-(shifts**2) / 2)
        return cls(tuple(map(float, shifts * spread)), tuple(map(float, weights / weights.sum())))


def log_evidence(phases: Sequence[SharePhase], prior: ShiftPrior) -> float:
    """Logarithm of the e value against the plan."""
    expected = sum((phase.in_a + phase.in_b) * log_growth(phase.planned_share_b, prior) for phase in phases)
    in_b = sum(phase.in_b for phase in phases)
    return float(logsumexp(np.array(prior.shifts) * in_b - expected, b=np.array(prior.weights)))


def log_growth(planned_share_b: float, prior: ShiftPrior) -> Array:
    """Of each shift: what one thing costs the likelihood ratio on average over the plan."""
    grown: Array = np.log1p(planned_share_b * np.expm1(np.array(prior.shifts)))
    return grown


@dataclass(frozen=True, slots=True)
class AlarmLimits:
    """Counts in B at which the evidence reaches a threshold, a place for each number of things so far."""

    lower: Array
    """At this count or below; -1 where none is low enough."""
    upper: Array
    """At this count or above; more than there are things where none is high enough."""


def alarm_limits(planned_shares: Array, prior: ShiftPrior, threshold: float) -> AlarmLimits:
    """The same rule turned into counts, for many looks at once: `planned_shares` has the share of each thing in turn.

    At the counts that the plan expects the evidence is below 1 (Jensen); it is convex in the count, so that each
    limit lies between there and the end.
    """
    shifts, weights = np.array(prior.shifts), np.array(prior.weights)
    costs = np.cumsum(np.log1p(planned_shares[:, None] * np.expm1(shifts)), axis=0)
    things = np.arange(1, len(planned_shares) + 1, dtype=float)
    expected = np.cumsum(planned_shares)

    def reached(count: Array) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = logsumexp(shifts * count[:, None] - costs, b=weights, axis=1) >= threshold
        return found

    inside, outside = np.floor(expected), things + 1
    while (outside - inside > 1).any():
        middle = np.floor((inside + outside) / 2)
        found = reached(middle)
        inside, outside = np.where(found, inside, middle), np.where(found, middle, outside)
    upper = outside
    inside, outside = np.ceil(expected), np.full(len(things), -1.0)
    while (inside - outside > 1).any():
        middle = np.floor((inside + outside) / 2)
        found = reached(middle)
        inside, outside = np.where(found, inside, middle), np.where(found, middle, outside)
    return AlarmLimits(lower=outside, upper=upper)


@lru_cache(maxsize=64)
def calibrated_threshold(alpha: float, prior: ShiftPrior, planned_share_b: float, things: int = 400) -> float:
    """The lowest threshold of the log evidence that a plan with this one share crosses with a chance of alpha, ever.

    ln(1 / alpha) allows for crossing exactly; counts jump over it. The chance up to `things` is computed exactly,
    what may still come after is bounded by Ville's inequality.
    """
    share = planned_share_b
    shares = np.full(things, share)
    sure = math.log(1 / alpha)
    low, high = sure - 2, sure
    for _ in range(20):
        threshold = (low + high) / 2
        limits = alarm_limits(shares, prior, threshold)
        chances, alarm = np.ones(1), 0.0
        for place in range(things):
            chances = np.append(chances * (1 - share), 0) + np.append(0, chances * share)
            counts = np.arange(len(chances))
            alarmed = (counts >= limits.upper[place]) | (counts <= limits.lower[place])
            alarm += float(chances[alarmed].sum())
            chances[alarmed] = 0
        evidence = logsumexp(
            np.array(prior.shifts) * np.arange(things + 1.0)[:, None] - things * log_growth(share, prior),
            b=np.array(prior.weights),
            axis=1,
        )
        later = float((chances * np.exp(np.minimum(evidence - threshold, 0))).sum())
        low, high = (threshold, high) if alarm + later > alpha else (low, threshold)
    return high
