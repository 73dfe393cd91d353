"""Stage deploy: the new model version answers beside the present one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.deployments import DeploymentConfig
from contracts.enums import Arm, DeploymentState, ModelFormat
from contracts.errors import ConflictError, TunewayError
from contracts.models import ArmEndpoint, Deployment, ModelVersion
from stages.base_versions import ensure_base
from stages.deployment_steps import Ready, bring_up, fail, moved_by_another, place_of

if TYPE_CHECKING:
    from contracts.deployments import ModelDeployment
    from contracts.models import DeployRequest
    from database.unit_of_work import UnitOfWork
    from stages.deployment_steps import OnState, Place
    from stages.services import Services


def deploy(request: DeployRequest, services: Services, *, on_state: OnState | None = None) -> Deployment:
    """Bring up arm B, the version of the request, and arm A, the present production version or else the base model.

    Each goes through the states of a deployment, which PostgreSQL keeps; users are sent to both at once, in one
    transaction, when both are ready. Safe to repeat, from two processes too, and after a kill at any point: it goes on
    where it was, and a server that runs already is used as it is. `on_state` is called after each step that this call
    has taken. Raises ConflictError for a base model, JobFailedError when a server does not come up or an arm does not
    answer; the deployment is then failed, and what served before serves on.
    """
    arms = arms_of(request, services)
    places = {arm: place_in(version, arms, request.config, services) for arm, version in arms.items()}
    ready: dict[Arm, Ready] = {}
    # the new version first: where it fails, nothing else was touched
    for arm in (Arm.B, Arm.A):
        try:
            ready[arm] = bring_up(places[arm], arm, services, on_state)
        except TunewayError as error:
            for other_arm, other in ready.items():
                if not error.retryable and other.deployment.state is not DeploymentState.SERVING:
                    fail(other.deployment, places[other_arm], error, services)
            raise
    endpoints = {arm: _endpoint(arm, arms[arm], found) for arm, found in ready.items()}
    with services.unit_of_work() as uow:
        for arm, found in ready.items():
            _send_users(found.deployment, endpoints[arm], uow)
    for arm, found in ready.items():
        if on_state is not None and found.deployment.state is not DeploymentState.SERVING:
            on_state(arms[arm], DeploymentState.SERVING)
    return Deployment(
        arms=[endpoints[Arm.A], endpoints[Arm.B]],
        endpoint=f"{services.settings.resolved_serving_url}/v1/chat/completions",
    )


def serve_alone(version: ModelVersion, arm: Arm, services: Services, *, on_state: OnState | None = None) -> ArmEndpoint:
    """Bring up one version, whatever becomes of others. Raises as `deploy` does."""
    place = place_in(version, {Arm.B: version}, DeploymentConfig(), services)
    ready = bring_up(place, arm, services, on_state)
    endpoint = _endpoint(arm, version, ready)
    with services.unit_of_work() as uow:
        _send_users(ready.deployment, endpoint, uow)
    return endpoint


def _endpoint(arm: Arm, version: ModelVersion, ready: Ready) -> ArmEndpoint:
    return ArmEndpoint(
        arm=arm,
        model_id=version.model_id,
        model_name=version.model_name,
        version=version.version,
        served_model_name=ready.deployment.served_model_name,
        base_url=ready.base_url,
        backend=ready.backend,
    )


def _send_users(deployment: ModelDeployment, endpoint: ArmEndpoint, uow: UnitOfWork) -> None:
    if deployment.state is not DeploymentState.SERVING:
        at = {"base_url": endpoint.base_url, "served_model_name": endpoint.served_model_name}
        if not uow.deployments.move(deployment.deployment_id, deployment.state, DeploymentState.SERVING, {**at}):
            present = uow.deployments.get(deployment.deployment_id)
            if present.state is not DeploymentState.SERVING:
                raise moved_by_another(present)
    uow.deployments.note_place(deployment.deployment_id, endpoint.arm, endpoint.base_url, endpoint.backend)
    if uow.models.deployment(endpoint.model_id) != endpoint:
        uow.models.set_deployment(endpoint.model_id, endpoint)
        uow.audit.append("deploy", "model.deployed", f"model/{endpoint.model_id}", endpoint.model_dump(mode="json"))


def place_in(
    version: ModelVersion, arms: dict[Arm, ModelVersion], asked: DeploymentConfig, services: Services
) -> Place:
    """Where the version is to answer. The base model of a new adapter is served as that is: by the same server."""
    new = arms[Arm.B]
    with services.unit_of_work() as uow:
        present = uow.deployments.live(version.model_id)
    if present is None:
        is_base = version.model_path == new.base_model_path
        shares_server = is_base and new.model_format is ModelFormat.LORA_ADAPTER
        config = asked if version == new or shares_server else DeploymentConfig()
    elif version == new and asked not in (DeploymentConfig(), present.config):
        raise ConflictError(
            "The version is deployed with other settings",
            value=asked.model_dump_json(exclude_defaults=True),
            allowed=present.config.model_dump_json(exclude_defaults=True),
            next_step=f"stop it with `tuneway undeploy model:{version.model_id}`, then deploy it again",
        )
    else:
        config = present.config
    return place_of(version, config, services)


def arms_of(request: DeployRequest, services: Services) -> dict[Arm, ModelVersion]:
    """The version of the request, and what it stands beside. Raises ConflictError for a base model."""
    with services.unit_of_work() as uow:
        new = uow.models.get(request.model_id)
        production = uow.models.production(new.model_name)
        is_base = uow.models.is_base(new.model_id)
    if is_base:
        raise ConflictError(
            "A base model is not deployed by itself",
            value=f"model {new.model_id}, {new.model_name} {new.version}",
            allowed="a fine-tuned model version",
            next_step="deploy a version made by a fine-tuning job; the base model becomes its arm A",
        )
    if production is not None and production.model_id != new.model_id:
        return {Arm.A: production, Arm.B: new}
    return {Arm.A: ensure_base(new, services), Arm.B: new}
