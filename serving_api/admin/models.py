"""Model versions over HTTP: into service, out of it and back.

The stages are imported by the calls: mlflow comes with some of them, which the service that answers users does not load
before it is needed.
"""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from contracts.access import ResourceKind, Visibility
from contracts.deployments import DeploymentConfig, DeploymentHistory, DeploymentPlan
from contracts.enums import ModelStatus
from contracts.errors import NotFoundError
from contracts.evaluation import AskedEvaluation, AskEvaluationRequest
from contracts.lists import ListRequest, Page
from contracts.models import ArmEndpoint, DeployRequest, ModelVersion, RegisterRequest, UndeployRequest
from contracts.promotions import REASON_LENGTH, PromoteRequest, RollbackOutcome
from contracts.provenance import ModelCheck
from contracts.record import JsonObject
from database.repositories.models import ModelRepository
from serving_api.admin.lists import listed_by
from serving_api.admin.routers import admin_router
from serving_api.authentication import Caller, ServicesParameter
from serving_api.idempotency import OnceParameter
from serving_api.permissions import ListPermission, ThingsParameter, permit
from serving_api.problems import problem_responses
from stages.audit import record_action


class ModelDetails(BaseModel):
    """A model version and where it answers."""

    model: ModelVersion
    deployment: ArmEndpoint | None


class DeploymentWish(BaseModel):
    """How a version is to be served."""

    model_config = ConfigDict(extra="forbid")

    deployment_config: DeploymentConfig = DeploymentConfig()


class DeploymentStarted(BaseModel):
    """What has begun, in a process of its own."""

    model_id: int
    plan: DeploymentPlan
    follow: str
    """Where its states can be read."""


class Draining(BaseModel):
    """How a version leaves service."""

    model_config = ConfigDict(extra="forbid")

    drain_seconds: float = Field(default=120, ge=0, le=3600)
    """Answers that have begun may take so long to end."""


class Promoting(BaseModel):
    """Why a version goes into production."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="promoted through the admin API", min_length=1, max_length=REASON_LENGTH)
    override: bool = False
    """Also where the gate has not let it pass; audited as an override."""


class GoingBack(BaseModel):
    """Why a version leaves production."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="rolled back through the admin API", min_length=1, max_length=REASON_LENGTH)


router = admin_router("models")


@router.get("/models")
def list_models(
    services: ServicesParameter,
    visible: Annotated[Visibility, Depends(ListPermission(ResourceKind.MODEL))],
    listing: Annotated[ListRequest, listed_by(ModelRepository.SORTED_BY)],
    status: ModelStatus | None = None,
    model_name: str | None = None,
    tags: Annotated[list[str] | None, Query(max_length=20, description="Only versions that have all of these.")] = None,
) -> Page[ModelVersion]:
    """Registered model versions."""
    with services.unit_of_work() as uow:
        return uow.models.page(listing, visible, status=status, model_name=model_name, tags=tags or [])


@router.get(
    "/models/{model_id}",
    dependencies=[permit(ResourceKind.MODEL, "read", by="model_id")],
    responses=problem_responses(404),
)
def get_model(services: ServicesParameter, model_id: int) -> ModelDetails:
    """One model version and where it answers."""
    with services.unit_of_work() as uow:
        return ModelDetails(model=uow.models.get(model_id), deployment=uow.models.deployment(model_id))


@router.post(
    "/models/register",
    status_code=201,
    dependencies=[permit(ResourceKind.MODEL, "register")],
    responses=problem_responses(404, 409),
)
def register_model(
    services: ServicesParameter, caller: Caller, things: ThingsParameter, once: OnceParameter, request: RegisterRequest
) -> ModelVersion:
    """Take a job's output into the registry, in staging, after a passed evaluation. The same content is the same version."""
    things.require(ResourceKind.JOB, "read", request.job_id)

    def enter() -> ModelVersion:
        from stages.register import register

        version = register(request, services)
        with services.unit_of_work() as uow:
            uow.ownership.claim(ResourceKind.MODEL, version.model_id, caller.user_id)
        details: JsonObject = {"job_id": request.job_id, "evaluation_id": request.evaluation_id}
        record_action(services, caller.username, "model.registered", f"model/{version.model_id}", details)
        return version

    return once(ModelVersion, enter)


@router.post(
    "/models/{model_id}/evaluate",
    status_code=202,
    dependencies=[permit(ResourceKind.MODEL, "evaluate", by="model_id")],
    responses=problem_responses(404, 409),
)
def evaluate_model(
    services: ServicesParameter,
    caller: Caller,
    things: ThingsParameter,
    once: OnceParameter,
    model_id: int,
    request: AskEvaluationRequest | None = None,
) -> AskedEvaluation:
    """Judge the version again, by another dataset version's test split or a suite; it goes on after this answer."""
    asked = request or AskEvaluationRequest()
    things.require(ResourceKind.MODEL, "read", model_id)
    if asked.test_dataset_id is not None:
        things.require(ResourceKind.DATASET, "read", asked.test_dataset_id)

    def start() -> AskedEvaluation:
        from stages.ask_evaluation import ask_evaluation

        started = ask_evaluation(model_id, asked, services, mark=once.mark)
        details = asked.model_dump(mode="json", exclude_none=True)
        record_action(services, caller.username, "model.evaluation_asked", f"model/{model_id}", details)
        return started

    return once(AskedEvaluation, start)


@router.post(
    "/models/{model_id}/verify",
    dependencies=[permit(ResourceKind.MODEL, "verify", by="model_id")],
    responses=problem_responses(404),
)
def verify_model(services: ServicesParameter, caller: Caller, model_id: int) -> ModelCheck:
    """Signed, intact, whose mark it carries, and whether each file and MLflow are as registered. Changes nothing of it."""
    from stages.check_model import check_model

    return check_model(model_id, services, actor=caller.username)


@router.post(
    "/models/{model_id}/deploy",
    status_code=202,
    dependencies=[permit(ResourceKind.MODEL, "deploy", by="model_id")],
    responses=problem_responses(404, 409),
)
def deploy_model(
    services: ServicesParameter,
    caller: Caller,
    once: OnceParameter,
    model_id: int,
    wish: DeploymentWish | None = None,
) -> DeploymentStarted:
    """Put the version into service beside the present one. It goes on after this answer; again goes on where it was."""
    request = DeployRequest(model_id=model_id, config=(wish or DeploymentWish()).deployment_config)

    def start() -> DeploymentStarted:
        from stages.deploying import ask_deployment

        plan = ask_deployment(request, services, actor=caller.username)
        return DeploymentStarted(model_id=model_id, plan=plan, follow=f"/api/v1/admin/models/{model_id}/deployment")

    return once(DeploymentStarted, start)


@router.get(
    "/models/{model_id}/deployment",
    dependencies=[permit(ResourceKind.MODEL, "read", by="model_id")],
    responses=problem_responses(404),
)
def get_deployment(services: ServicesParameter, model_id: int) -> DeploymentHistory:
    """The version's newest deployment and its states so far."""
    from stages.undeploy import deployment_history

    with services.unit_of_work() as uow:
        uow.models.get(model_id)
        newest = uow.deployments.newest(model_id)
    if newest is None:
        raise NotFoundError("The version was never deployed", value=model_id, next_step="deploy it first")
    return deployment_history(newest.deployment_id, services)


@router.post(
    "/models/{model_id}/undeploy",
    dependencies=[permit(ResourceKind.MODEL, "deploy", by="model_id")],
    responses=problem_responses(404, 409),
)
def undeploy_model(
    services: ServicesParameter, caller: Caller, model_id: int, draining: Draining | None = None
) -> DeploymentHistory:
    """Take the version out of service, and wait for the answers that have begun. Again changes nothing."""
    from stages.undeploy import undeploy

    seconds = (draining or Draining()).drain_seconds
    return undeploy(UndeployRequest(model_id=model_id, actor=caller.username, drain_seconds=seconds), services)


@router.post(
    "/models/{model_id}/promote",
    dependencies=[permit(ResourceKind.MODEL, "promote", by="model_id")],
    responses=problem_responses(404, 409),
)
def promote_model(
    services: ServicesParameter, caller: Caller, model_id: int, promoting: Promoting | None = None
) -> ModelVersion:
    """Staging to production: after a passed gate, or by an override with its reason."""
    from stages.promote import promote

    given = promoting or Promoting()
    promote(
        PromoteRequest(model_id=model_id, actor=caller.username, reason=given.reason, override=given.override),
        services,
    )
    with services.unit_of_work() as uow:
        return uow.models.get(model_id)


@router.post(
    "/models/{model_id}/rollback",
    dependencies=[permit(ResourceKind.MODEL, "roll_back", by="model_id")],
    responses=problem_responses(404, 409),
)
def roll_back_model(
    services: ServicesParameter, caller: Caller, model_id: int, going_back: GoingBack | None = None
) -> RollbackOutcome:
    """From this version in production back to the one before, with the service; tests over it stop. Again is the same."""
    from stages.roll_back import roll_back_version

    reason = (going_back or GoingBack()).reason
    return roll_back_version(model_id, services, actor=caller.username, reason=reason)
