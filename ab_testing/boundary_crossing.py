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
from ab_testing.moments import Array, Numbers
from contracts.experiment_verdicts import DecisionBasis, DecisionLook, DecisionPlan, ExperimentVerdict

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
class _Walk:
    """Where walks are that have not crossed."""

    points: Array
    density: Array
    """Without drift, times the grid's weights."""
    elapsed: float

    def tilted(self, drifts: Array) -> Array:
        """Under each drift: the density without it, times exp(drift s - drift² t / 2)."""
        drift = drifts[:, None]
        tilted: Array = self.density * np.exp(drift * self.points - drift**2 * self.elapsed / 2)
        return tilted


@dataclass(frozen=True, slots=True)
class _Crossings:
    """Of one plan: rows are drifts, columns looks."""

    shares: Array
    """Looks, as shares of the planned users."""
    above: Array
    """Chance to cross the upper bound at each look."""
    below: Array
    bounds: Array
    """Of the walk, at each look of the grid."""
    before: tuple[_Walk, ...]
    """The walk before each look."""

    def above_by(self, share: float) -> Array:
        """Of each drift: to have crossed the upper bound by that share of the planned users."""
        reached = np.concatenate([np.zeros((len(self.above), 1)), np.cumsum(self.above, axis=1)], axis=1)
        shares = np.concatenate([[0.0], self.shares])
        place = int(np.clip(np.searchsorted(shares, share), 1, len(shares) - 1))
        part = (share - shares[place - 1]) / (shares[place] - shares[place - 1])
        return np.asarray((1 - part) * reached[:, place - 1] + part * reached[:, place])

    def chance_above(self, drifts: Array, look: int, height: float) -> Array:
        """Of each drift: not to cross before the look, and to be above the height at it."""
        walk = self.before[look]
        step = float(self.shares[look]) - walk.elapsed
        ends = walk.points + drifts[:, None] * step
        chance: Array = (walk.tilted(drifts) * ndtr((ends - height) / math.sqrt(step))).sum(axis=1)
        return chance

    def final_chance(self, drifts: Array, z: float) -> Array:
        """Of each drift: never to cross, and to end above z at the planned size."""
        bound = float(self.bounds[-1])
        if z >= bound:
            return np.zeros(len(drifts))
        last = len(self.shares) - 1
        return self.chance_above(drifts, last, z) - self.chance_above(drifts, last, bound)


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
    """The difference without the exaggeration of early stopping.

    The median-unbiased estimate for a stop on the bound: the effect under which half of the experiments of this plan
    would have stopped as early (stagewise order). By how much the difference exceeds the bound was not needed for
    stopping and stays as it is; that is little where every rating is looked at, and the most of it where looks are
    rare. None where nothing was computed. What went on to the planned size hardly changes.
    """
    if look.difference is None or not look.standard_error:
        return None
    if look.basis is None or look.verdict is ExperimentVerdict.NO_RELEVANT_DIFFERENCE:
        # nothing has been selected for being large
        return look.difference
    users = look.users_a + look.users_b
    share = min(1.0, users / plan.planned_users)
    z = abs(look.difference) / look.standard_error
    crossings = _table(plan)
    if look.basis is DecisionBasis.CONTINUOUS:
        bound = min(z, float(_bound(plan, float(users))))
        extreme = crossings.above_by(share)
    else:
        bound = z
        extreme = crossings.above_by(1.0) + crossings.final_chance(_DRIFTS, z)
    likely = float(np.interp(0.5, extreme, _DRIFTS)) * math.sqrt(share)
    corrected = (min(likely, bound) + z - bound) * look.standard_error
    return corrected if look.difference > 0 else -corrected


@lru_cache(maxsize=64)
def _table(plan: DecisionPlan) -> _Crossings:
    return _crossings(plan, tuple(map(float, _DRIFTS)))


@lru_cache(maxsize=256)
def _crossings(plan: DecisionPlan, drifts: tuple[float, ...]) -> _Crossings:
    drift = np.array(drifts)
    first = 2 * plan.minimum_users_per_arm
    looks = max(2, min(_LOOKS, plan.planned_users - first + 1))
    # a plan so small that its first look is its last gets an empty one before
    shares = np.linspace(first / plan.planned_users if first < plan.planned_users else 0.5, 1.0, looks)
    users = shares * plan.planned_users
    bounds = _bound(plan, users) * np.sqrt(shares)
    steps = np.diff(shares, prepend=0.0)
    moved = _OVERSTEP * (np.sqrt(steps) - np.sqrt(1 / plan.planned_users))
    # the first look is one look, not many
    bounds[1:] -= np.maximum(moved[1:], 0)
    if first >= plan.planned_users:
        bounds[0] = _BEYOND

    above, below = np.empty((len(drifts), looks)), np.empty((len(drifts), looks))
    walk, before = _Walk(np.zeros(1), np.ones(1), 0.0), []
    for place, (share, bound, step) in enumerate(zip(shares, bounds, steps, strict=True)):
        before.append(walk)
        tilted, scale = walk.tilted(drift), math.sqrt(step)
        ends = walk.points + drift[:, None] * step
        above[:, place] = (tilted * ndtr((ends - bound) / scale)).sum(axis=1)
        below[:, place] = (tilted * ndtr((-bound - ends) / scale)).sum(axis=1)
        grid = np.linspace(-bound, bound, _POINTS)
        walk = _Walk(grid, _step(grid, walk, scale), float(share))
    return _Crossings(shares, above, below, bounds, tuple(before))


def _bound(plan: DecisionPlan, users: Numbers) -> Numbers:
    """|z| beyond which the plan's sequence shows a difference."""
    rho_squared = mixture_variance(plan.continuous_alpha, plan.tuning)
    return two_sided_bound(users, alpha=plan.continuous_alpha, rho_squared=rho_squared)


def _step(grid: Array, walk: _Walk, scale: float) -> Array:
    weights = np.full(len(grid), grid[1] - grid[0])
    weights[[0, -1]] /= 2
    moved = stats.norm.pdf((grid[:, None] - walk.points[None, :]) / scale) @ walk.density
    stepped: Array = moved / scale * weights
    return stepped
