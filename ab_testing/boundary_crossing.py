"""How a plan behaves, by numerical integration: chance to find an effect, users it takes, and the effect that is
left of a difference at which an experiment stopped early.

The difference in standard errors, times the square root of the share of the planned users, is a Brownian motion
with drift; the plan's bound is followed from look to look (Armitage, McPherson, Rowe 1969; Jennison and Turnbull
2000, chapter 19). Between two points of the grid there are many looks, one a user: the bound is moved inwards by
what a walk with that step oversteps it on average (Siegmund 1985: 0.5826 standard deviations of a step).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats
from scipy.special import ndtr

from ab_testing.confidence_sequence import mixture_variance, two_sided_bound
from ab_testing.moments import Array
from contracts.experiment_verdicts import DecisionBasis, DecisionLook, DecisionPlan

_LOOKS = 60
_POINTS = 151
_OVERSTEP = 0.5826
_BEYOND = 8.0
# drifts, in standard errors at the planned size, for which a plan's table is kept
_DRIFTS = np.linspace(-4.0, 12.0, 321)


@dataclass(frozen=True, slots=True)
class PlanCharacteristics:
    """A plan under one true effect."""

    power: float
    """Chance that a winner is declared, right or wrong."""
    right_winner: float
    """Chance that the better arm is declared the winner."""
    expected_users: float
    """Mean number of users, both arms, at the decision."""


@dataclass(frozen=True, slots=True)
class _Crossings:
    """Of one plan: rows are drifts, columns looks."""

    shares: Array
    """Looks, as shares of the planned users."""
    above: Array
    """Chance to cross the upper bound at each look."""
    below: Array
    last_points: Array
    """Grid over the walk one look before the planned size, among those that never crossed."""
    last_density: Array
    """Without drift, times the grid's weights."""
    last_bound: float
    """Of the continuous test at the planned size."""

    def final_chance(self, drifts: Array, z: float) -> Array:
        """Of each drift: never to cross, and to end above z at the planned size."""
        if z >= self.last_bound:
            return np.zeros(len(drifts))
        drift, elapsed = drifts[:, None], float(self.shares[-2])
        step = 1 - elapsed
        tilted = self.last_density * np.exp(drift * self.last_points - drift**2 * elapsed / 2)
        ends = self.last_points + drift * step
        inside = ndtr((self.last_bound - ends) / math.sqrt(step)) - ndtr((z - ends) / math.sqrt(step))
        chance: Array = (tilted * inside).sum(axis=1)
        return chance


def plan_characteristics(plan: DecisionPlan, drift: float) -> PlanCharacteristics:
    """The plan when the true difference is `drift` standard errors at the planned size; a margin is left aside."""
    (found,) = characteristics_by_drift(plan, (float(drift),))
    return found


def characteristics_by_drift(plan: DecisionPlan, drifts: tuple[float, ...]) -> list[PlanCharacteristics]:
    """The same for several true differences at once."""
    crossings = _crossings(plan, drifts)
    bound = float(stats.norm.isf(plan.final_alpha / 2)) if plan.final_alpha > 0 else math.inf
    at_end_above = crossings.final_chance(np.array(drifts), bound)
    at_end_below = crossings.final_chance(-np.array(drifts), bound)
    found = []
    for place, drift in enumerate(drifts):
        above, below = crossings.above[place], crossings.below[place]
        right = float(above.sum() + at_end_above[place])
        wrong = float(below.sum() + at_end_below[place])
        stopped_at = float(((above + below) * crossings.shares).sum()) + 1 - float(above.sum() + below.sum())
        found.append(
            PlanCharacteristics(
                power=right + wrong,
                right_winner=wrong if drift < 0 else right,
                expected_users=stopped_at * plan.planned_users,
            )
        )
    return found


def corrected_difference(plan: DecisionPlan, look: DecisionLook) -> float | None:
    """The difference without the exaggeration of early stopping: the median-unbiased estimate.

    The effect under which an experiment of this plan would have been as extreme, or more, half of the time; earlier
    stops count as more extreme (stagewise order). None where nothing was computed. An experiment that was not
    decided by the confidence sequence before the planned size hardly changes.
    """
    if look.difference is None or not look.standard_error:
        return None
    share = min(1.0, (look.users_a + look.users_b) / plan.planned_users)
    z = abs(look.difference) / look.standard_error
    crossings = _table(plan)
    stopped_early = look.basis is DecisionBasis.CONTINUOUS and share < 1
    if stopped_early:
        reached = np.concatenate([np.zeros((len(_DRIFTS), 1)), np.cumsum(crossings.above, axis=1)], axis=1)
        shares = np.concatenate([[0.0], crossings.shares])
        place = int(np.clip(np.searchsorted(shares, share), 1, len(shares) - 1))
        weight = (share - shares[place - 1]) / (shares[place] - shares[place - 1])
        extreme = (1 - weight) * reached[:, place - 1] + weight * reached[:, place]
    elif share >= 1:
        extreme = crossings.above.sum(axis=1) + crossings.final_chance(_DRIFTS, z)
    else:
        # still going on, or no relevant difference: nothing has been selected for being large
        return look.difference
    drift = float(np.interp(0.5, extreme, _DRIFTS))
    size: float = drift * look.standard_error * math.sqrt(share)
    return size if look.difference > 0 else -size


@lru_cache(maxsize=64)
def _table(plan: DecisionPlan) -> _Crossings:
    return _crossings(plan, tuple(map(float, _DRIFTS)))


@lru_cache(maxsize=256)
def _crossings(plan: DecisionPlan, drifts: tuple[float, ...]) -> _Crossings:
    drift = np.array(drifts)[:, None]
    first = 2 * plan.minimum_users_per_arm
    looks = max(2, min(_LOOKS, plan.planned_users - first + 1))
    # a plan so small that its first look is its last gets an empty one before
    shares = np.linspace(first / plan.planned_users if first < plan.planned_users else 0.5, 1.0, looks)
    users = shares * plan.planned_users
    rho_squared = mixture_variance(plan.continuous_alpha, plan.tuning)
    bounds = two_sided_bound(users, alpha=plan.continuous_alpha, rho_squared=rho_squared) * np.sqrt(shares)
    steps = np.diff(shares, prepend=0.0)
    moved = _OVERSTEP * (np.sqrt(steps) - np.sqrt(1 / plan.planned_users))
    # the first look is one look, not many
    bounds[1:] -= np.maximum(moved[1:], 0)
    if first >= plan.planned_users:
        bounds[0] = _BEYOND

    above, below = np.empty((len(drifts), looks)), np.empty((len(drifts), looks))
    points, density, elapsed = np.zeros(1), np.ones(1), 0.0
    for place, (share, bound, step) in enumerate(zip(shares, bounds, steps, strict=True)):
        # change of measure: under a drift the density is the one without it, times exp(drift s - drift² t / 2)
        tilted = density * np.exp(drift * points - drift**2 * elapsed / 2)
        scale = np.sqrt(step)
        above[:, place] = (tilted * ndtr((points + drift * step - bound) / scale)).sum(axis=1)
        below[:, place] = (tilted * ndtr((-bound - points - drift * step) / scale)).sum(axis=1)
        grid = np.linspace(-bound, bound, _POINTS)
        if place < looks - 1:
            points, density, elapsed = grid, _step(grid, points, density, scale), share
    return _Crossings(shares, above, below, points, density, float(bounds[-1]))


def _step(grid: Array, points: Array, density: Array, scale: float) -> Array:
    weights = np.full(len(grid), grid[1] - grid[0])
    weights[[0, -1]] /= 2
    stepped: Array = stats.norm.pdf((grid[:, None] - points[None, :]) / scale) @ density / scale * weights
    return stepped
