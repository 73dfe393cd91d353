"""The losers of an A/B test leave service: each drains, and its server and its card are free.

What was decided is remembered until that is settled: a run that was killed is made good by the next.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from contracts.enums import ModelStatus
from contracts.errors import NotFoundError, TunewayError
from contracts.models import UndeployRequest
from stages.undeploy import undeploy

if TYPE_CHECKING:
    from contracts.arms import ExperimentArm
    from contracts.experiment_decisions import ExperimentDecision
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

log = logging.getLogger(__name__)

ACTOR = "monitor_ab_test"


def leave_losers(services: Services) -> list[int]:
    """Undeploy the losers of each test that has ended; the models that have left now.

    One that another running test sends users to waits for that test's end, and one that a rollback would bring back
    until a later promotion takes its place: a rollback takes seconds only where both are loaded. One in production stays
    for good. What fails is tried again by the next call.
    """
    with services.unit_of_work() as uow:
        waiting = uow.experiment_decisions.with_loser_in_service()
    return [model_id for decision in waiting for model_id in _leave(decision, services)]


def _leave(decision: ExperimentDecision, services: Services) -> list[int]:
    with services.unit_of_work() as uow:
        losers = _losers(decision, uow)
    gone = {arm.model_id: _left(arm, decision, services) for arm in losers}
    if None not in gone.values():
        with services.unit_of_work() as uow:
            uow.experiment_decisions.settle_loser(decision.experiment_id)
    return [loser for loser, has_left in gone.items() if has_left]


def _left(arm: ExperimentArm, decision: ExperimentDecision, services: Services) -> bool | None:
    """Whether its model has left service; None where it still has to."""
    loser = arm.model_id
    with services.unit_of_work() as uow:
        if _is_needed(loser, uow):
            return None
    has_left = True
    try:
        undeploy(UndeployRequest(model_id=loser, actor=ACTOR), services)
    except NotFoundError:
        log.info("model %d was not deployed by a deployment of ours and stays", loser)
        has_left = False
    except TunewayError as error:
        log.warning("model %d, a loser of A/B test %d, is still in service: %s", loser, decision.experiment_id, error)
        return None
    with services.unit_of_work() as uow:
        uow.experiments.settle_arm(decision.experiment_id, arm.name)
    return has_left


def _is_needed(model_id: int, uow: UnitOfWork) -> bool:
    is_arm = any(model_id in running.model_ids for running in uow.experiments.running())
    return is_arm or uow.promotions.previous(uow.models.get(model_id).model_name) == model_id


def _losers(decision: ExperimentDecision, uow: UnitOfWork) -> list[ExperimentArm]:
    """The arms whose models are to leave: not where the plan keeps them, and none that is in production.

    Where nobody has won these are the arms that were dropped.
    """
    experiment, chosen = uow.experiments.get(decision.experiment_id), decision.chosen
    if experiment.plan is None or not experiment.plan.undeploy_loser:
        return []
    return [
        arm
        for arm in uow.experiments.in_service(decision.experiment_id)
        if (arm.dropped_at is not None if chosen is None else arm.name != chosen)
        and uow.models.get(arm.model_id).status is not ModelStatus.PRODUCTION
    ]
