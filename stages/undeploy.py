"""A version leaves service: no new users, its answers to their end, then its server and its card are free."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from contracts.deployments import DeploymentHistory, ModelDeployment
from contracts.enums import DeploymentState, ModelStatus
from contracts.errors import ConflictError, NotFoundError
from stages.deployment_steps import leave_server, moved_by_another, place_of

if TYPE_CHECKING:
    from contracts.models import UndeployRequest
    from contracts.record import JsonObject
    from stages.deployment_steps import OnState, Place
    from stages.services import Services

ROUTER_SECONDS = 2.0
"""The router reads each second where to send users."""
DRAIN_SECONDS = 120.0
POLL_SECONDS = 0.2


def undeploy(request: UndeployRequest, services: Services, *, on_state: OnState | None = None) -> DeploymentHistory:
    """Take the version out of service. Safe to repeat, and after a kill at any point.

    Raises ConflictError for the version in production, for an arm of a running A/B test, and for one that is not
    deployed.
    """
    with services.unit_of_work() as uow:
        version = uow.models.get(request.model_id)
        deployment = uow.deployments.live(request.model_id)
        experiments = uow.experiments.running()
        newest = uow.deployments.newest(request.model_id)
    shown = f"model {version.model_id}, {version.model_name} {version.version}"
    if deployment is None:
        if newest is None:
            raise NotFoundError("The version is not deployed", value=shown, next_step="see `tuneway model list`")
        return deployment_history(newest.deployment_id, services)
    if version.status is ModelStatus.PRODUCTION:
        raise ConflictError(
            "The version in production stays deployed",
            value=shown,
            allowed="a version that is not in production",
            next_step=f"promote another version first, or go back with `tuneway rollback {version.model_name}`",
        )
    arm_of = [experiment.experiment_name for experiment in experiments if version.model_id in experiment.model_ids]
    if arm_of:
        raise ConflictError(
            "The version is an arm of a running A/B test",
            value=f"{shown}, experiment {', '.join(arm_of)}",
            allowed="a version that no running A/B test sends users to",
            next_step="end the A/B test first",
        )
    if deployment.state is not DeploymentState.DRAINING:
        with services.unit_of_work() as uow:
            moved = uow.deployments.move(
                deployment.deployment_id, deployment.state, DeploymentState.DRAINING, {"by": request.actor}
            )
            uow.models.set_deployment(version.model_id, None)
            if moved:
                uow.audit.append(request.actor, "model.undeployed", f"model/{version.model_id}", {})
            deployment = uow.deployments.get(deployment.deployment_id)
        if deployment.state is not DeploymentState.DRAINING:
            raise moved_by_another(deployment)
        if moved and on_state is not None:
            on_state(version, DeploymentState.DRAINING)
    place = place_of(version, deployment.config, services)
    if finish_draining(deployment, place, services, request.drain_seconds) and on_state is not None:
        on_state(version, DeploymentState.STOPPED)
    return deployment_history(deployment.deployment_id, services)


def finish_draining(
    deployment: ModelDeployment, place: Place, services: Services, limit_seconds: float = DRAIN_SECONDS
) -> bool:
    """Wait for the answers that have begun, at most so long; then leave the server. Whether this call has stopped it."""
    details = _wait_for_answers(deployment, place, limit_seconds)
    with services.unit_of_work() as uow:
        uow.deployments.lock_server(place.key)
        if uow.deployments.get(deployment.deployment_id).state is not DeploymentState.DRAINING:
            return False
        leave_server(deployment, place, uow, services)
        return uow.deployments.move(
            deployment.deployment_id, DeploymentState.DRAINING, DeploymentState.STOPPED, details
        )


def _wait_for_answers(deployment: ModelDeployment, place: Place, limit_seconds: float) -> JsonObject:
    from deployment.client import is_healthy, requests_in_flight

    began = time.monotonic()
    url = deployment.base_url
    if url is None or not is_healthy(url):
        return {"seconds": 0.0, "in_flight": 0}
    time.sleep(ROUTER_SECONDS)
    while True:
        # a server that does not tell gets the whole time
        in_flight = requests_in_flight(url, place.name, is_adapter=place.adapter is not None)
        seconds = time.monotonic() - began
        if in_flight == 0 or seconds > limit_seconds:
            return {"seconds": round(seconds, 3), "in_flight": in_flight}
        time.sleep(POLL_SECONDS)


def deployment_history(deployment_id: int, services: Services) -> DeploymentHistory:
    """The deployment and its transitions."""
    with services.unit_of_work() as uow:
        return DeploymentHistory(
            deployment=uow.deployments.get(deployment_id), transitions=uow.deployments.transitions(deployment_id)
        )
