"""From what an experiment wants to find to the plan it is held to."""

from __future__ import annotations

import math

from ab_testing.metrics import RESPONSE_TIME, USER_RATING, Metric
from ab_testing.planner import LARGEST_PLAN, plan_size
from contracts.errors import InvalidRequestError
from contracts.experiment_plans import SMALLEST_SHARE, ExperimentPlan, SizePlan, SizeRequest
from contracts.experiment_verdicts import DecisionPlan
from contracts.experiments import StartABTestRequest

DECIDED_METRICS: dict[str, Metric] = {metric.name: metric for metric in (USER_RATING, RESPONSE_TIME)}
"""Those of which PostgreSQL has sums by user."""
SMALLEST_PLAN = 60
ALPHA = 0.05
"""Chance of a false winner over the whole test, all challengers together."""
RESPONSE_TIME_SPREAD = 0.8
"""Standard deviation of the logarithm of a response time; answers differ in length by more than models in speed."""


def plan_experiment(request: StartABTestRequest) -> ExperimentPlan:
    """The plan, with the planner's size where the request names none. Raises InvalidRequestError.

    A plan that is too small is a plan too: `is_enough` says so, and the stage asks for a confirmation.
    """
    metric = decided_metric(request.success_metric)
    size, part = size_of(request), part_of_smallest_pair(request)
    needed = math.ceil(size.samples_needed_with_looks / part)
    samples = request.target_samples or needed
    users = max(SMALLEST_PLAN, round(samples * part / request.values_per_user))
    if users > LARGEST_PLAN:
        raise InvalidRequestError(
            "The A/B test would need more users than anyone has",
            value=f"{users:,} users for an effect of {request.effect:g}",
            allowed=f"at most {LARGEST_PLAN:,}",
            next_step="look for a larger effect, or give the new model more of the traffic",
        )
    margin = request.effect if request.margin is None else request.margin
    return ExperimentPlan(
        metric=metric.name,
        effect=request.effect,
        decision=DecisionPlan(planned_users=users, margin=math.log1p(margin) if metric is RESPONSE_TIME else margin),
        guardrails=request.guardrails,
        policy=request.policy,
        samples=samples,
        samples_needed=needed,
        power=size.power_at_samples if size.outlook is None else size.outlook.power,
        detectable_effect=size.detectable_effect,
        is_enough=size.is_enough is not False,
    )


def size_of(request: StartABTestRequest, *, values_per_day: float | None = None) -> SizePlan:
    """What the planner says of the request's target, for the control and the challenger that gets fewest users.

    The error rate is that of all challengers together; with `values_per_day`, of all arms, in days too. Raises
    InvalidRequestError.
    """
    shares = [arm.share for arm in request.planned_arms]
    if min(shares) <= 0:
        raise InvalidRequestError(
            "One arm of the A/B test would get no users",
            value=" : ".join(f"{share:g}" for share in shares),
            allowed="a share above 0 for each",
            next_step="give each arm a part of the traffic; for example 0.8 and 0.2",
        )
    part = part_of_smallest_pair(request)
    smallest = min(shares[1:]) / part
    if not SMALLEST_SHARE <= smallest <= 1 - SMALLEST_SHARE:
        raise InvalidRequestError(
            "The shares of the A/B test are too unequal to compare its arms",
            value=" : ".join(f"{share:.4g}" for share in shares),
            allowed=f"of the present model and a new one, each {SMALLEST_SHARE:.1%} of both together or more",
            next_step="give the smallest arm a larger part of the traffic",
        )
    asked = SizeRequest(
        metric=request.success_metric,
        effect=request.effect,
        share_b=smallest,
        alpha=ALPHA / len(shares[1:]),
        values_per_user=request.values_per_user,
        icc=request.icc,
        spread=RESPONSE_TIME_SPREAD if request.success_metric == RESPONSE_TIME.name else None,
        samples=None if request.target_samples is None else max(4, round(request.target_samples * part)),
        values_per_day=None if values_per_day is None else values_per_day * part,
    )
    return plan_size(asked)


def part_of_smallest_pair(request: StartABTestRequest) -> float:
    """Share of the ratings that the control and the challenger with fewest users give: what a final test is made of."""
    control, *others = (arm.share for arm in request.planned_arms)
    return 1.0 if len(others) == 1 else control + min(others)


def decided_metric(name: str) -> Metric:
    """The metric by which experiments are decided. Raises InvalidRequestError."""
    if name not in DECIDED_METRICS:
        raise InvalidRequestError(
            "No A/B test is decided by this metric",
            value=name,
            allowed=", ".join(DECIDED_METRICS),
            next_step="name one of these; errors are watched by a guardrail in every A/B test",
        )
    return DECIDED_METRICS[name]
