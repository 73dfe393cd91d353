"""How many ratings an experiment needs before it starts: split, several ratings a user and looks taken into account."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from ab_testing.boundary_crossing import characteristics_by_drift, plan_characteristics
from ab_testing.metrics import RESPONSE_TIME, SUCCESS_RATE, USER_RATING, metric_named
from ab_testing.rating_scale import RatingSpread
from contracts.errors import InvalidRequestError
from contracts.experiment_plans import PlanOutlook, SizePlan, SizePoint, SizeRequest
from contracts.experiment_verdicts import DecisionPlan

_SMALLEST_PLAN = 60
LARGEST_PLAN = 10_000_000
"""Users."""
_LARGEST_CLASSICAL_PLAN = LARGEST_PLAN / 2
"""Users; looks at any time cost some more."""
LARGEST_LOGARITHM = 700.0
"""The exponential of more leaves the range of floats."""


def plan_size(request: SizeRequest) -> SizePlan:
    """The size for the wanted effect, and what the given size shows. Raises InvalidRequestError."""
    metric_named(request.metric)
    needed = _classical_size(request)
    drift = _shift(request.effect, request) / math.sqrt(_variance_of_one(request.effect, request))
    with_looks = _size_with_looks(request, needed)
    samples = request.samples
    size = samples if samples is not None else with_looks
    days = request.values_per_day
    samples_a, samples_b = _per_arm(needed, request)
    return SizePlan(
        request=request,
        samples_needed_a=samples_a,
        samples_needed_b=samples_b,
        users_needed_a=math.ceil(samples_a / request.values_per_user),
        users_needed_b=math.ceil(samples_b / request.values_per_user),
        samples_needed_with_looks=with_looks,
        days_needed=None if days is None else with_looks / days,
        design_effect=_design_effect(request),
        detectable_effect=None if samples is None else _detectable_effect(samples, request),
        power_at_samples=None if samples is None else _classical_power(drift * math.sqrt(samples), request.alpha),
        days_at_samples=None if samples is None or days is None else samples / days,
        is_enough=None if samples is None else samples >= math.floor(needed),
        outlook=_outlook(size, drift, request),
    )


def size_points(request: SizeRequest, sizes: Sequence[int]) -> list[SizePoint]:
    """What one classical test at the end finds at each of the sizes. Raises InvalidRequestError."""
    metric_named(request.metric)
    _classical_size(request)
    drift = _shift(request.effect, request) / math.sqrt(_variance_of_one(request.effect, request))
    return [
        SizePoint(
            samples=samples,
            power=_classical_power(drift * math.sqrt(samples), request.alpha),
            detectable_effect=_detectable_effect(samples, request),
        )
        for samples in sizes
    ]


def _design_effect(request: SizeRequest) -> float:
    # Eldridge, Ashby, Kerry 2006, for cluster sizes that vary; 1 + (m - 1) ICC for equal ones
    return 1 + ((request.count_variation**2 + 1) * request.values_per_user - 1) * request.icc


def _variance_of_one(effect: float, request: SizeRequest) -> float:
    """Of the difference, times the number of values of both arms."""
    if request.spread is not None:
        spread_a = spread_b = request.spread**2
    elif request.metric == USER_RATING.name:
        ratings = RatingSpread()
        spread_a, spread_b = ratings.variance, ratings.moved(effect).variance
    else:
        assert request.base_rate is not None
        better = request.base_rate + effect
        spread_a, spread_b = request.base_rate * (1 - request.base_rate), better * (1 - better)
    return _design_effect(request) * (spread_a / (1 - request.share_b) + spread_b / request.share_b)


def _shift(effect: float, request: SizeRequest) -> float:
    """The effect on the scale on which it is tested."""
    return math.log1p(effect) if request.metric == RESPONSE_TIME.name else effect


def _wanted_drift(request: SizeRequest) -> float:
    return float(stats.norm.isf(request.alpha / 2) + stats.norm.ppf(request.power))


def _classical_size(request: SizeRequest) -> float:
    """Values of both arms; normal approximation, two-sided."""
    highest = _highest_effect(request)
    if request.effect >= highest:
        raise InvalidRequestError(
            f"{request.metric} cannot differ by that much",
            value=request.effect,
            allowed=f"below {highest:.4g}",
            next_step="ask for a smaller effect",
        )
    drift = _wanted_drift(request) / _shift(request.effect, request)
    # by logarithms: squares of what a small effect needs leave the range of floats
    most = _LARGEST_CLASSICAL_PLAN * request.values_per_user
    if 2 * math.log10(drift) + math.log10(_variance_of_one(request.effect, request)) > math.log10(most):
        raise InvalidRequestError(
            "The A/B test would need more users than anyone has",
            value=f"an effect of {request.effect:g}",
            allowed=f"at most {_LARGEST_CLASSICAL_PLAN:,.0f} users",
            next_step="look for a larger effect, or give b more of the traffic",
        )
    return drift**2 * _variance_of_one(request.effect, request)


def _per_arm(values: float, request: SizeRequest) -> tuple[int, int]:
    # rounding to the next whole value below the exact size changes the power by less than 0.002
    return max(2, round(values * (1 - request.share_b))), max(2, round(values * request.share_b))


def _classical_power(drift: float, alpha: float) -> float:
    bound = float(stats.norm.isf(alpha / 2))
    return float(stats.norm.sf(bound - drift) + stats.norm.cdf(-bound - drift))


def _highest_effect(request: SizeRequest) -> float:
    if request.metric == USER_RATING.name:
        return 4.0 if request.spread is not None else 5 - RatingSpread().mean
    if request.metric == SUCCESS_RATE.name:
        return 1 - (request.base_rate or 0.0)
    return math.inf


def _detectable_effect(samples: int, request: SizeRequest) -> float | None:
    """At the spread that the wanted effect would have."""
    shift = _wanted_drift(request) * math.sqrt(_variance_of_one(request.effect, request) / samples)
    if request.metric != RESPONSE_TIME.name:
        found = shift
    else:
        found = math.expm1(shift) if shift < LARGEST_LOGARITHM else math.inf
    return found if found < _highest_effect(request) else None


def _size_with_looks(request: SizeRequest, classical: float) -> int:
    """The classical size times what looking at any time costs: about 7 % at 80 % power."""
    users = max(_SMALLEST_PLAN, round(classical / request.values_per_user))
    drifts = np.linspace(0.9, 1.3, 9) * _wanted_drift(request)
    found = characteristics_by_drift(_plan(users, request), tuple(map(float, drifts)))
    wanted = float(np.interp(request.power, [each.right_winner for each in found], drifts))
    return math.ceil(classical * (wanted / _wanted_drift(request)) ** 2)


def _plan(users: int, request: SizeRequest) -> DecisionPlan:
    return DecisionPlan(planned_users=users, continuous_alpha=request.alpha / 5, final_alpha=request.alpha * 4 / 5)


def _outlook(samples: int, drift_of_one: float, request: SizeRequest) -> PlanOutlook | None:
    users = round(samples / request.values_per_user)
    if not _SMALLEST_PLAN <= users <= LARGEST_PLAN:
        return None
    plan = _plan(users, request)
    found = plan_characteristics(plan, drift_of_one * math.sqrt(samples))
    return PlanOutlook(
        planned_users=users,
        power=found.right_winner,
        false_winners=plan_characteristics(plan, 0.0).power,
        expected_users=found.expected_users,
    )
