"""From what an experiment wants to find to the plan it is held to."""

from __future__ import annotations

import math

from ab_testing.metrics import RESPONSE_TIME, USER_RATING, Metric
from ab_testing.planner import LARGEST_PLAN, plan_size
from contracts.errors import InvalidRequestError
from contracts.experiment_plans import ExperimentPlan, SizePlan, SizeRequest
from contracts.experiment_verdicts import DecisionPlan
from contracts.experiments import StartABTestRequest

DECIDED_METRICS: dict[str, Metric] = {metric.name: metric for metric in (USER_RATING, RESPONSE_TIME)}
"""Those of which PostgreSQL has sums by user."""
SMALLEST_PLAN = 60
RESPONSE_TIME_SPREAD = 0.8
"""Standard deviation of the logarithm of a response time; answers differ in length by more than models in speed."""


def plan_experiment(request: StartABTestRequest) -> ExperimentPlan:
    """The plan, with the planner's size where the request names none. Raises InvalidRequestError.

    A plan that is too small is a plan too: `is_enough` says so, and the stage asks for a confirmation.
    """
    metric = decided_metric(request.success_metric)
    size = size_of(request)
    samples = request.target_samples or size.samples_needed_with_looks
    users = max(SMALLEST_PLAN, round(samples / request.values_per_user))
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
        samples_needed=size.samples_needed_with_looks,
        power=size.power_at_samples if size.outlook is None else size.outlook.power,
        detectable_effect=size.detectable_effect,
        is_enough=size.is_enough is not False,
    )


def size_of(request: StartABTestRequest, *, values_per_day: float | None = None) -> SizePlan:
    """What the planner says of the request's target; with `values_per_day`, in days too. Raises InvalidRequestError."""
    share_b = request.traffic_split.b
    if not 0 < share_b < 1:
        raise InvalidRequestError(
            "One arm of the A/B test would get no users",
            value=f"{request.traffic_split.a:g} : {share_b:g}",
            allowed="a share above 0 for both",
            next_step="give each arm a part of the traffic; for example 0.8 and 0.2",
        )
    asked = SizeRequest(
        metric=request.success_metric,
        effect=request.effect,
        share_b=share_b,
        values_per_user=request.values_per_user,
        icc=request.icc,
        spread=RESPONSE_TIME_SPREAD if request.success_metric == RESPONSE_TIME.name else None,
        samples=None if request.target_samples is None else max(4, request.target_samples),
        values_per_day=values_per_day,
    )
    return plan_size(asked)


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
