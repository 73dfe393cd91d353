"""What an A/B test could compare, and how large it has to be."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    """Versions that answer and are not archived: what users have now first, then the newest.

    That is the version in production, else a base model; beside one in production, a base model comes last.
    """
    visit.require(ResourceKind.AB_TEST, "create")
    seen = visit.visible(ResourceKind.MODEL)
    listed = ask(visit, lambda uow: uow.model_listings.newest(limit=LISTED, visible=seen, with_base=True))
    usable = [
        item.version for item in listed if item.endpoint is not None and item.version.status is not ModelStatus.ARCHIVED
    ]
    has_production = any(version.status is ModelStatus.PRODUCTION for version in usable)

    def place(version: ModelVersion) -> tuple[bool, bool]:
        is_base = version.finetuning_job_id is None
        return version.status is not ModelStatus.PRODUCTION, is_base is has_production

    return sorted(usable, key=place)


@dataclass(frozen=True, slots=True)
class PlannedTest:
    """What the planner says of a test."""

    pair: SizePlan
    """Of the present model and the new one that gets fewest users: two that are compared."""
    part: float
    """Of the samples of all models, what these two get."""

    def of_all(self, samples: float) -> int:
        """Samples of all models together in which these two have so many."""
        return math.ceil(samples / self.part)


def planned_size(visit: Visit, request: StartABTestRequest, values_per_day: float | None) -> PlannedTest:
    """What the planner says of the test. Raises InvalidRequestError, ForbiddenError."""
    visit.require(ResourceKind.AB_TEST, "create")
    return _planned(visit, _sized(request), values_per_day)


def size_curve(visit: Visit, request: StartABTestRequest) -> list[SizePoint]:
    """What larger and smaller tests of the kind would find, by the samples of all models.

    Raises InvalidRequestError, ForbiddenError.
    """
    from ab_testing.planner import size_points

    planned = planned_size(visit, request, None)
    needed = planned.pair.samples_needed
    largest = max(CURVE_TO * needed, 1.3 * (request.target_samples or 0) * planned.part)
    step = (largest - CURVE_FROM * needed) / (CURVE_POINTS - 1)
    sizes = [max(4, round(CURVE_FROM * needed + step * place)) for place in range(CURVE_POINTS)]
    points = size_points(planned.pair.request, sizes)
    return [point.model_copy(update={"samples": planned.of_all(point.samples)}) for point in points]


def _sized(request: StartABTestRequest) -> StartABTestRequest:
    """What of the request the size depends on, so that a name that is typed asks no new question."""
    names = ("success_metric", "effect", "traffic_split", "values_per_user", "icc", "target_samples")
    models: dict[str, object] = {"model_a_id": 1, "model_b_id": 2}
    if request.arms:
        arms = [{"name": f"arm-{n}", "model_id": n, "share": arm.share} for n, arm in enumerate(request.arms, 1)]
        models = {"arms": arms}
    return request.model_validate(
        {"experiment_name": "plan", **models, **{name: getattr(request, name) for name in names}}
    )


@kept(PLAN_SECONDS)
def _planned(visit: Visit, request: StartABTestRequest, values_per_day: float | None) -> PlannedTest:
    # scipy takes a second to import
    from ab_testing.experiment_plan import part_of_smallest_pair, size_of

    return PlannedTest(size_of(request, values_per_day=values_per_day), part_of_smallest_pair(request))
