"""A/B tests over HTTP."""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from contracts.access import ResourceKind
from contracts.arms import ArmName
from contracts.enums import ExperimentStatus
from contracts.errors import InvalidRequestError
from contracts.experiment_decisions import ConcludeABTestRequest, ExperimentDecision
from contracts.experiment_plans import SizePlan, SizeRequest
from contracts.experiment_replays import ABTestReplay
from contracts.experiment_results import ExperimentResults
from contracts.experiments import ABExperiment, DropArmRequest, StartABTestRequest
from contracts.lists import ListRequest, Page
from contracts.promotions import REASON_LENGTH
from contracts.traffic import RampStep, TrafficPlan
from database.repositories.experiments import ExperimentRepository
from serving_api.admin.lists import listed_by
from serving_api.admin.routers import admin_router
from serving_api.authentication import Caller, ServicesParameter
from serving_api.idempotency import OnceParameter
from serving_api.permissions import permit
from serving_api.problems import problem_responses
from stages.ab_tests import tester_key
from stages.conclude_ab_test import conclude_ab_test, results_of, stop_ab_test
from stages.drop_arms import drop_arm
from stages.start_ab_test import start_ab_test


class Conclusion(BaseModel):
    """How a person ends an A/B test."""

    winner: ArmName | None
    """Null: nobody wins, the present model stays."""
    reason: str = Field(default="concluded through the admin API", min_length=1, max_length=REASON_LENGTH)
    override: bool = False
    """Promote the arm also where the gate has not let it pass, or where it was dropped; audited as an override."""


class ArmDrop(BaseModel):
    """Why a person drops an arm."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="dropped through the admin API", min_length=1, max_length=REASON_LENGTH)


class TrafficChange(BaseModel):
    """A TrafficPlan without its testers, who are set one by one."""

    model_config = ConfigDict(extra="forbid")

    holdout: float = Field(default=0, ge=0, lt=1)
    ramp: list[RampStep] = []
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


router = admin_router("ab-tests")


@router.get("/ab-tests", dependencies=[permit(ResourceKind.AB_TEST, "read")])
def list_experiments(
    services: ServicesParameter,
    listing: Annotated[ListRequest, listed_by(ExperimentRepository.SORTED_BY, "-start_date")],
    status: ExperimentStatus | None = None,
) -> Page[ABExperiment]:
    """A/B tests."""
    with services.unit_of_work() as uow:
        return uow.experiments.page(listing, status=status)


@router.post("/ab-tests", dependencies=[permit(ResourceKind.AB_TEST, "create")], responses=problem_responses(404, 409))
def create_experiment(
    services: ServicesParameter, caller: Caller, once: OnceParameter, request: StartABTestRequest
) -> ABExperiment:
    """Start an A/B test. 409 where the target is too small for the effect, unless `accept_underpowered` is true."""
    if request.make_room:
        raise InvalidRequestError(
            "The call would stop other tests",
            value="make_room",
            allowed="a test on users that are free",
            next_step="stop those tests first, each by its own call: who may create one may not stop every other",
        )

    def start() -> ABExperiment:
        started = start_ab_test(request, services)
        with services.unit_of_work() as uow:
            uow.ownership.claim(ResourceKind.AB_TEST, started.experiment_id, caller.user_id)
        return started

    return once(ABExperiment, start)


@router.post("/ab-tests/plan", dependencies=[permit(ResourceKind.AB_TEST, "create")])
def plan_experiment(request: SizeRequest) -> SizePlan:
    """How many ratings a test needs for an effect, and what the planned number can show. Starts nothing."""
    from ab_testing.planner import plan_size

    return plan_size(request)


@router.get(
    "/ab-tests/{experiment_id}",
    dependencies=[permit(ResourceKind.AB_TEST, "read", by="experiment_id")],
    responses=problem_responses(404),
)
def get_experiment(services: ServicesParameter, experiment_id: int) -> ABExperiment:
    """One A/B test."""
    with services.unit_of_work() as uow:
        return uow.experiments.get(experiment_id)


@router.get(
    "/ab-tests/{experiment_id}/replays",
    dependencies=[permit(ResourceKind.AB_TEST, "read", by="experiment_id")],
    responses=problem_responses(404),
)
def list_replays(services: ServicesParameter, experiment_id: int) -> list[ABTestReplay]:
    """Shadow replays of an A/B test, newest first: offline evidence, which promotes nothing by itself."""
    with services.unit_of_work() as uow:
        uow.experiments.get(experiment_id)
        return uow.experiment_replays.of_experiment(experiment_id)


@router.get(
    "/ab-tests/{experiment_id}/results",
    dependencies=[permit(ResourceKind.AB_TEST, "read", by="experiment_id")],
    responses=problem_responses(404),
)
def get_results(services: ServicesParameter, experiment_id: int) -> ExperimentResults:
    """What the A/B test shows so far: a verdict over users that may be read at any time, and the classical test."""
    with services.unit_of_work() as uow:
        return results_of(uow.experiments.get(experiment_id), uow)


@router.put(
    "/ab-tests/{experiment_id}/traffic",
    dependencies=[permit(ResourceKind.AB_TEST, "update", by="experiment_id")],
    responses=problem_responses(404),
)
def plan_traffic(
    services: ServicesParameter, caller: Caller, experiment_id: int, change: TrafficChange
) -> ABExperiment:
    """Who takes part and when, from the next second on. Who takes part already stays in their arm."""
    with services.unit_of_work() as uow:
        testers = uow.experiments.get(experiment_id).traffic.testers
        traffic = _validated_traffic({**change.model_dump(), "testers": testers})
        uow.experiments.set_traffic(experiment_id, traffic)
        uow.audit.append(
            caller.username,
            "experiment.traffic_planned",
            f"experiment/{experiment_id}",
            traffic.model_dump(mode="json"),
        )
        return uow.experiments.get(experiment_id)


@router.put(
    "/ab-tests/{experiment_id}/testers/{user}",
    dependencies=[permit(ResourceKind.AB_TEST, "update", by="experiment_id")],
    responses=problem_responses(404),
)
def set_tester(
    services: ServicesParameter, caller: Caller, experiment_id: int, user: str, arm: ArmName | None = None
) -> ABExperiment:
    """Give a tester an arm, without it let the hash decide again. Testers count in no comparison."""
    key = tester_key(user, services)
    with services.unit_of_work() as uow:
        experiment = uow.experiments.get(experiment_id)
        traffic = experiment.traffic
        testers = {other: their for other, their in traffic.testers.items() if other != key}
        if arm is not None:
            testers[key] = experiment.arm(arm).name
        uow.experiments.set_traffic(experiment_id, traffic.model_copy(update={"testers": testers}))
        uow.audit.append(
            caller.username, "experiment.tester_set", f"experiment/{experiment_id}", {"user_key": key, "arm": arm}
        )
        return uow.experiments.get(experiment_id)


@router.post(
    "/ab-tests/{experiment_id}/stop",
    dependencies=[permit(ResourceKind.AB_TEST, "stop", by="experiment_id")],
    responses=problem_responses(404, 409),
)
def stop_experiment(services: ServicesParameter, caller: Caller, experiment_id: int) -> ABExperiment:
    """End the A/B test; its answers and ratings stay. Stopping it again changes nothing."""
    return stop_ab_test(experiment_id, caller.username, services)


@router.post(
    "/ab-tests/{experiment_id}/arms/{arm}/drop",
    dependencies=[permit(ResourceKind.AB_TEST, "stop", by="experiment_id")],
    responses=problem_responses(404, 409),
)
def drop_one_arm(
    services: ServicesParameter, caller: Caller, experiment_id: int, arm: ArmName, drop: ArmDrop
) -> ABExperiment:
    """Send one challenger of several no more users; the others go on. Only its users move. Again changes nothing."""
    return drop_arm(
        DropArmRequest(experiment_id=experiment_id, arm=arm, actor=caller.username, reason=drop.reason), services
    )


@router.post(
    "/ab-tests/{experiment_id}/conclude",
    dependencies=[permit(ResourceKind.AB_TEST, "conclude", by="experiment_id")],
    responses=problem_responses(404, 409),
)
def conclude_experiment(
    services: ServicesParameter, caller: Caller, experiment_id: int, request: Conclusion
) -> ExperimentDecision:
    """End the A/B test with a winner, or answer its decision; a challenger goes into production.

    The same again changes nothing. 409 where the arm was dropped, unless `override` is true.
    """
    return conclude_ab_test(
        ConcludeABTestRequest(
            experiment_id=experiment_id,
            winner=request.winner,
            actor=caller.username,
            reason=request.reason,
            override=request.override,
        ),
        services,
    )


def _validated_traffic(fields: dict[str, Any]) -> TrafficPlan:
    try:
        return TrafficPlan.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequestError(
            "The traffic of the A/B test cannot be planned so",
            value=error.errors()[0]["msg"],
            allowed="a ramp that rises, and an end after the start",
            next_step="correct it and send it again",
        ) from error
