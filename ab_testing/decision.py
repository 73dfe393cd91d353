"""The verdict of an experiment: a fold over looks. Once there is one, nothing changes it.

    state = begin(plan)
    for each look:  state = look(state, moments of A, moments of B)

Each look is a pure function of the state and the new statistics, so that it can be made again after a crash.
"""

from __future__ import annotations

import math

from scipy import stats

from ab_testing.comparison import Difference, compare
from ab_testing.confidence_sequence import always_valid_p, mixture_variance, sequence_bounds, two_sided_bound
from ab_testing.metrics import USER_RATING, Metric
from ab_testing.moments import UnitMoments
from contracts.experiment_verdicts import (
    Bounds,
    DecisionBasis,
    DecisionLook,
    DecisionPlan,
    ExperimentState,
    ExperimentVerdict,
    NotComputable,
)


def begin(plan: DecisionPlan) -> ExperimentState:
    """An experiment that nobody has looked at."""
    return ExperimentState(plan=plan)


def look(state: ExperimentState, a: UnitMoments, b: UnitMoments, metric: Metric = USER_RATING) -> ExperimentState:
    """The state after a look at what both arms' users say; a decided state comes back as it is."""
    return look_at(state, compare(a, b), metric)


def look_at(
    state: ExperimentState, difference: Difference | NotComputable, metric: Metric = USER_RATING
) -> ExperimentState:
    """The same from a difference, for example one that a covariate has adjusted."""
    if state.is_decided:
        return state
    return ExperimentState(plan=state.plan, looks=state.looks + 1, latest=judge(state.plan, difference, metric))


def judge(plan: DecisionPlan, difference: Difference | NotComputable, metric: Metric) -> DecisionLook:
    """One look by itself."""
    planned_size_reached = difference.users_a + difference.users_b >= plan.planned_users
    if isinstance(difference, NotComputable):
        # equal values in both arms to the end show neither a winner nor how large a difference can be
        return DecisionLook(
            verdict=ExperimentVerdict.INCONCLUSIVE if planned_size_reached else ExperimentVerdict.KEEP_GOING,
            users_a=difference.users_a,
            users_b=difference.users_b,
            more_users_needed=None if planned_size_reached else _up_to_plan(plan, difference),
            not_computable=difference,
        )
    if min(difference.users_a, difference.users_b) < plan.minimum_users_per_arm:
        return _answer(plan, difference, ExperimentVerdict.KEEP_GOING)
    bounds = sequence_bounds(difference, alpha=plan.continuous_alpha, tuned_at_users=plan.tuning)
    verdict = _verdict(bounds, plan.margin, metric)
    if verdict is not ExperimentVerdict.KEEP_GOING:
        return _answer(plan, difference, verdict, bounds=bounds, basis=DecisionBasis.CONTINUOUS)
    if not planned_size_reached:
        return _answer(plan, difference, verdict, bounds=bounds)
    if plan.final_alpha > 0:
        bounds = final_bounds(difference, plan.final_alpha)
        verdict = _verdict(bounds, plan.margin, metric)
    if verdict is ExperimentVerdict.KEEP_GOING:
        verdict = ExperimentVerdict.INCONCLUSIVE
    basis = DecisionBasis.FINAL if plan.final_alpha > 0 else DecisionBasis.CONTINUOUS
    return _answer(plan, difference, verdict, bounds=bounds, basis=basis)


def final_bounds(difference: Difference, alpha: float) -> Bounds:
    """Welch's interval, valid once."""
    half = float(stats.t.isf(alpha / 2, difference.degrees_of_freedom)) * difference.standard_error
    return Bounds(lower=difference.value - half, upper=difference.value + half, level=1 - alpha)


def more_users_needed(plan: DecisionPlan, difference: Difference) -> int:
    """Users of both arms still needed, about, if difference and spread stay as they are; at most up to the plan."""
    left = _up_to_plan(plan, difference)
    rho_squared = mixture_variance(plan.continuous_alpha, plan.tuning)
    size = abs(difference.value)

    def decides(users: int) -> bool:
        bound = two_sided_bound(float(users), alpha=plan.continuous_alpha, rho_squared=rho_squared)
        half = float(bound) * math.sqrt(difference.variance * difference.users / users)
        return half < size or (plan.margin is not None and half < plan.margin - size)

    # no look counts before both arms have the minimum; after it the interval only gets narrower with users
    smaller = min(difference.users_a, difference.users_b)
    first = math.ceil(difference.users * plan.minimum_users_per_arm / max(1, smaller))
    open_, decided = max(difference.users, first - 1), difference.users + left
    if not decides(decided) or open_ >= decided:
        return left
    while decided - open_ > 1:
        middle = (open_ + decided) // 2
        if decides(middle):
            decided = middle
        else:
            open_ = middle
    return decided - difference.users


def _verdict(bounds: Bounds, margin: float | None, metric: Metric) -> ExperimentVerdict:
    if bounds.lower > 0 or bounds.upper < 0:
        b_is_better = (bounds.lower > 0) == metric.higher_is_better
        return ExperimentVerdict.BETTER_B if b_is_better else ExperimentVerdict.BETTER_A
    if margin is not None and -margin < bounds.lower and bounds.upper < margin:
        return ExperimentVerdict.NO_RELEVANT_DIFFERENCE
    return ExperimentVerdict.KEEP_GOING


def _answer(
    plan: DecisionPlan,
    difference: Difference,
    verdict: ExperimentVerdict,
    *,
    bounds: Bounds | None = None,
    basis: DecisionBasis | None = None,
) -> DecisionLook:
    open_ = verdict is ExperimentVerdict.KEEP_GOING
    return DecisionLook(
        verdict=verdict,
        basis=basis,
        users_a=difference.users_a,
        users_b=difference.users_b,
        difference=difference.value,
        standard_error=difference.standard_error,
        bounds=bounds,
        always_valid_p=(
            None
            if bounds is None
            else always_valid_p(difference, alpha=plan.continuous_alpha, tuned_at_users=plan.tuning)
        ),
        more_users_needed=more_users_needed(plan, difference) if open_ else None,
    )


def _up_to_plan(plan: DecisionPlan, difference: Difference | NotComputable) -> int:
    return max(1, plan.planned_users - difference.users_a - difference.users_b)
