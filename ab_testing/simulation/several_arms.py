"""Many experiments with several challengers at once: the rules of `ab_testing.several_arms`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ab_testing.confidence_sequence import mixture_variance
from ab_testing.moments import Array
from ab_testing.simulation.many_experiments import NEVER, ManyLooks, after_each_block
from contracts.experiment_verdicts import DecisionPlan


@dataclass(frozen=True, slots=True)
class ManyArms:
    """How each challenger of each experiment ended: a row a challenger, a column an experiment. No margin."""

    better: NDArray[np.bool_]
    worse: NDArray[np.bool_]
    users: NDArray[np.int64]
    """Of an arm at the finding; NEVER without one."""


def decide_arms(plan: DecisionPlan, control: Array, challengers: Array) -> ManyArms:
    """A look after each round of one user an arm. `control`: experiments x users, `challengers`: the same for each.

    The looks end at the planned size, which counts the control and one challenger.
    """
    count = len(challengers)
    per_arm = plan.planned_users // 2
    looks = [after_each_block(control[:, :per_arm], each[:, :per_arm]) for each in challengers]
    p_values = np.minimum.accumulate(np.stack([_p_values(plan, each, count) for each in looks]), axis=2)
    order = np.sort(p_values, axis=0)
    factors = np.arange(count, 0, -1)[:, None, None]
    # Holm's largest p value that is still a finding, at each look
    holds = np.logical_and.accumulate(order * factors <= plan.alpha, axis=0)
    last = np.where(holds, order, -1.0).max(axis=0)
    found = p_values <= last
    first = np.where(found.any(axis=2), found.argmax(axis=2), NEVER)
    # ahead or behind at the look of the smallest p value so far
    smallest_at = p_values.argmin(axis=2)
    at = np.minimum(first, p_values.shape[2] - 1)
    better, worse = np.zeros((2, count, control.shape[0]), dtype=bool)
    rows = np.arange(control.shape[0])
    for place, each in enumerate(looks):
        until = np.where(first[place] < NEVER, _smallest_before(p_values[place], at[place]), smallest_at[place])
        ahead = each.value[rows, until] > 0
        is_found = first[place] < NEVER
        better[place], worse[place] = is_found & ahead, is_found & ~ahead
    users = np.where(first < NEVER, looks[0].users_a[at].astype(np.int64), NEVER)
    return ManyArms(better=better, worse=worse, users=users)


def _smallest_before(p_values: Array, look: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first look at which the running minimum has the value that it has at `look`."""
    value = p_values[np.arange(len(look)), look]
    places: NDArray[np.int64] = (p_values <= value[:, None]).argmax(axis=1)
    return places


def _p_values(plan: DecisionPlan, looks: ManyLooks, challengers: int) -> Array:
    growth = looks.users * mixture_variance(plan.continuous_alpha / challengers, plan.tuning)
    z_squared = looks.value**2 / looks.variance
    share = np.sqrt(growth + 1) * np.exp(-growth * z_squared / (2 * (growth + 1))) / plan.continuous_alpha
    if plan.final_alpha > 0 and looks.users[-1] >= plan.planned_users:
        variance_a, variance_b = looks.variance_a[:, -1], looks.variance_b[:, -1]
        freedom = looks.variance[:, -1] ** 2 / (
            variance_a**2 / (looks.users_a[-1] - 1) + variance_b**2 / (looks.users_b[-1] - 1)
        )
        final = 2 * stats.t.sf(np.sqrt(z_squared[:, -1]), freedom)
        share[:, -1] = np.minimum(share[:, -1], final / plan.final_alpha)
    p_values: Array = np.minimum(1.0, share * plan.alpha)
    return p_values
