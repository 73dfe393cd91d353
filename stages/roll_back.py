"""Back to the version that was in production before: it answers first, then users go there, then MLflow is told."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from contracts.enums import Arm
from contracts.errors import JobFailedError, UnavailableError
from contracts.promotions import RollbackOutcome, RollbackRequest
from stages.promote import move_back, shown_in_mlflow

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from stages.deployment_steps import OnState
    from stages.services import Services

log = logging.getLogger(__name__)


def roll_back_version(model_id: int, services: Services, *, actor: str, reason: str) -> RollbackOutcome:
    """From this version in production back to the one before, as `roll_back_service` does. Again is the same."""
    with services.unit_of_work() as uow:
        name = uow.models.get(model_id).model_name
    return roll_back_service(RollbackRequest(model_name=name, actor=actor, reason=reason, leaves=model_id), services)


def roll_back_service(
    request: RollbackRequest, services: Services, *, on_state: OnState | None = None
) -> RollbackOutcome:
    """Bring back what was in production before, with the router's default and without the A/B tests over what is left.

    Where the version that is left is deployed, the one before answers before anything moves: at once where it is still
    loaded, after a deployment of its own where it is not. Raises ConflictError where there is nothing to go back to.
    """
    began = time.monotonic()
    target, left, is_serving = _target(request, services)
    was_loaded = target is not None and _answers(target, services)
    if target is not None and is_serving and not was_loaded:
        from stages.deploy import serve_alone

        serve_alone(target, Arm.A, services, on_state=on_state)
    promotion, happened = move_back(request, services)
    seconds = time.monotonic() - began
    log.info("%s is back at model %d after %.3f s", request.model_name, promotion.model_id, seconds)
    stopped = _stop_experiments(left, request, services)
    return RollbackOutcome(
        promotion=promotion,
        happened_now=happened,
        was_loaded=was_loaded,
        seconds=round(seconds, 3),
        stopped_experiment_ids=stopped,
        mlflow_error=shown_in_mlflow(request.model_name, services),
    )


def _target(request: RollbackRequest, services: Services) -> tuple[ModelVersion | None, ModelVersion | None, bool]:
    """What would be brought back, what would be left, and whether that serves. None where the request is stale."""
    with services.unit_of_work() as uow:
        present = uow.models.production(request.model_name)
        previous = uow.promotions.previous(request.model_name)
        if present is None or previous is None or request.leaves not in {None, present.model_id}:
            return None, None, False
        return uow.models.get(previous), present, uow.models.deployment(present.model_id) is not None


def _answers(version: ModelVersion, services: Services) -> bool:
    from deployment.client import warm_up

    with services.unit_of_work() as uow:
        endpoint = uow.models.deployment(version.model_id)
    if endpoint is None:
        return False
    try:
        warm_up(endpoint.base_url, [endpoint.served_model_name])
    except (UnavailableError, JobFailedError):
        return False
    return True


def _stop_experiments(left: ModelVersion | None, request: RollbackRequest, services: Services) -> list[int]:
    if left is None:
        return []
    with services.unit_of_work() as uow:
        over_it = [experiment for experiment in uow.experiments.running() if left.model_id in experiment.model_ids]
    if not over_it:
        return []
    from stages.conclude_ab_test import stop_in
    from stages.experiment_notices import stopped_by_rollback

    cause = stopped_by_rollback(request.model_name, request.reason)
    with services.unit_of_work() as uow:
        return [experiment.experiment_id for experiment in over_it if stop_in(uow, experiment, request.actor, cause)]
