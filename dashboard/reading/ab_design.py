"""What an A/B test could compare, and how large it has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import ModelStatus
from contracts.experiment_plans import SizePlan, SizePoint
from contracts.models import ModelVersion
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.visits import Visit

if TYPE_CHECKING:
    from contracts.experiments import StartABTestRequest

PLAN_SECONDS = 600.0
"""The same question has the same answer; the first takes a second or two."""
CURVE_FROM, CURVE_TO, CURVE_POINTS = 0.1, 2.5, 40
"""Of what the wished effect takes."""


@kept(FRESH_SECONDS)
def models_to_compare(visit: Visit) -> list[ModelVersion]:
    """Versions that answer and are not archived: what users have now first (in production, a base model), then the newest."""
    visit.require(ResourceKind.AB_TEST, "create")
    seen = visit.visible(ResourceKind.MODEL)
    listed = ask(visit, lambda uow: uow.model_listings.newest(limit=LISTED, visible=seen, with_base=True))
    usable = [
        item.version for item in listed if item.endpoint is not None and item.version.status is not ModelStatus.ARCHIVED
    ]
    return sorted(
        usable,
        key=lambda version: (version.status is not ModelStatus.PRODUCTION, version.finetuning_job_id is not None),
    )


def planned_size(visit: Visit, request: StartABTestRequest, values_per_day: float | None) -> SizePlan:
    """What the planner says of the test. Raises InvalidRequestError, ForbiddenError."""
    visit.require(ResourceKind.AB_TEST, "create")
    return _planned(visit, _sized(request), values_per_day)


def size_curve(visit: Visit, request: StartABTestRequest) -> list[SizePoint]:
    """What larger and smaller tests of the kind would find. Raises InvalidRequestError, ForbiddenError."""
    from ab_testing.planner import size_points

    needed = planned_size(visit, request, None).samples_needed
    largest = max(CURVE_TO * needed, 1.3 * (request.target_samples or 0))
    step = (largest - CURVE_FROM * needed) / (CURVE_POINTS - 1)
    sizes = [max(4, round(CURVE_FROM * needed + step * place)) for place in range(CURVE_POINTS)]
    return size_points(planned_size(visit, request, None).request, sizes)


def _sized(request: StartABTestRequest) -> StartABTestRequest:
    """What of the request the size depends on, so that a name that is typed asks no new question."""
    names = ("success_metric", "effect", "traffic_split", "values_per_user", "icc", "target_samples")
    fixed = {"experiment_name": "plan", "model_a_id": 1, "model_b_id": 2}
    return request.model_validate({**fixed, **{name: getattr(request, name) for name in names}})


@kept(PLAN_SECONDS)
def _planned(visit: Visit, request: StartABTestRequest, values_per_day: float | None) -> SizePlan:
    # scipy takes a second to import
    from ab_testing.experiment_plan import size_of

    return size_of(request, values_per_day=values_per_day)
