"""The decision of many experiments at once: the rules of `ab_testing.decision`, a row an experiment, a column a look."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ab_testing.confidence_sequence import mixture_variance, two_sided_bound
from ab_testing.moments import Array, ratio_variance
from contracts.experiment_verdicts import DecisionPlan

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class ManyLooks:
    """Differences B minus A of many experiments."""

    value: Array
    variance_a: Array
    variance_b: Array
    users_a: Array
    """A place a look: every experiment has as many."""
    users_b: Array

    @property
    def variance(self) -> Array:
        """Squared standard error of the difference."""
        return self.variance_a + self.variance_b

    @property
    def users(self) -> Array:
        """Users of both arms."""
        return self.users_a + self.users_b


@dataclass(frozen=True, slots=True)
class ManyDecisions:
    """How each experiment ended."""

    better_b: NDArray[np.bool_]
    better_a: NDArray[np.bool_]
    no_relevant_difference: NDArray[np.bool_]
    users: Array
    """Users of both arms at the decision."""
    difference: Array
    standard_error: Array
    before_the_end: NDArray[np.bool_]
    """Decided by the confidence sequence before the planned size."""

    @property
    def has_winner(self) -> NDArray[np.bool_]:
        """A or B."""
        return self.better_a | self.better_b


def one_value_a_user(a: Array, b: Array, *, minimum: int = 30) -> ManyLooks:
    """Looks after every value, A and B in turn, once each arm has the minimum."""
    size = a.shape[1]
    turn = np.repeat(np.arange(minimum - 1, size), 2)
    return _looks_at(a, b, np.append(turn[1:], size - 1), turn)


def after_each_block(a: Array, b: Array, *, of_a: int = 1, of_b: int = 1, minimum: int = 30) -> ManyLooks:
    """Looks after every block of so many values of A and so many of B, once each arm has the minimum."""
    first = math.ceil(minimum / min(of_a, of_b))
    blocks = np.arange(first, min(a.shape[1] // of_a, b.shape[1] // of_b) + 1)
    return _looks_at(a, b, blocks * of_a - 1, blocks * of_b - 1)


def decide(plan: DecisionPlan, looks: ManyLooks) -> ManyDecisions:
    """Every experiment's verdict; those that the data do not bring to the planned size stay open at the last look.

    The looks begin at the plan's minimum of users.
    """
    users = looks.users
    rho_squared = mixture_variance(plan.continuous_alpha, plan.tuning)
    bound = two_sided_bound(users, alpha=plan.continuous_alpha, rho_squared=rho_squared)
    half = bound * np.sqrt(looks.variance)
    size = np.abs(looks.value)
    won = size > half
    ended = won.copy()
    if plan.margin is not None:
        ended |= size + half < plan.margin
    last = int(np.searchsorted(users, plan.planned_users))
    last = min(last, len(users) - 1)
    ended[:, last + 1 :] = False
    stop = np.where(ended.any(axis=1), ended.argmax(axis=1), last)
    rows = np.arange(len(stop))
    early = ended[rows, stop]
    final = _final_half(plan, looks, last)
    at = np.where(early, half[rows, stop], final)
    value, found = looks.value[rows, stop], size[rows, stop]
    winner = found > at
    margin = -np.inf if plan.margin is None else plan.margin
    return ManyDecisions(
        better_b=winner & (value > 0),
        better_a=winner & (value < 0),
        no_relevant_difference=~winner & (found + at < margin),
        users=users[stop],
        difference=value,
        standard_error=np.sqrt(looks.variance[rows, stop]),
        before_the_end=early & (stop < last),
    )


def first_look(reached: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The first look of each experiment at which something was reached, NEVER where it was not."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), NEVER)


def naive_winners(looks: ManyLooks, *, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Experiments in which a t test, read at every look, would have found a winner: what not to do."""
    bound = np.asarray(stats.t.isf(alpha / 2, looks.users - 2))
    return np.asarray((np.abs(looks.value) > bound * np.sqrt(looks.variance)).any(axis=1))


def _final_half(plan: DecisionPlan, looks: ManyLooks, last: int) -> Array:
    """Half width of the final test's interval; never reached where a plan has none, or the data end before."""
    variance_a, variance_b = looks.variance_a[:, last], looks.variance_b[:, last]
    if plan.final_alpha == 0 or looks.users[last] < plan.planned_users:
        return np.full(len(variance_a), np.inf)
    total = variance_a + variance_b
    freedom = total**2 / (variance_a**2 / (looks.users_a[last] - 1) + variance_b**2 / (looks.users_b[last] - 1))
    half: Array = stats.t.isf(plan.final_alpha / 2, freedom) * np.sqrt(total)
    return half


def _looks_at(a: Array, b: Array, places_a: NDArray[np.int64], places_b: NDArray[np.int64]) -> ManyLooks:
    mean_a, variance_a = _running(a)
    mean_b, variance_b = _running(b)
    return ManyLooks(
        value=mean_b[:, places_b] - mean_a[:, places_a],
        variance_a=variance_a[:, places_a],
        variance_b=variance_b[:, places_b],
        users_a=(places_a + 1).astype(np.float64),
        users_b=(places_b + 1).astype(np.float64),
    )


def _running(values: Array) -> tuple[Array, Array]:
    """Mean and its squared standard error after each value of a row."""
    count = np.arange(1.0, values.shape[1] + 1)
    total, squares = np.cumsum(values, axis=1), np.cumsum(values * values, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = ratio_variance(count, count, total, count, total, squares)
    return total / count, variance
