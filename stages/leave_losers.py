"""The loser of an A/B test leaves service: it drains, and its server and its card are free.

What was decided is remembered until that is settled: a run that was killed is made good by the next.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from contracts.enums import Arm, ModelStatus
from contracts.errors import NotFoundError, TunewayError
from contracts.models import UndeployRequest
from stages.undeploy import undeploy

if TYPE_CHECKING:
    from contracts.experiment_decisions import ExperimentDecision
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

log = logging.getLogger(__name__)

ACTOR = "monitor_ab_test"


def leave_losers(services: Services) -> list[int]:
    """Undeploy the loser of each test that has ended; the models that have left now.

    One that another running test sends users to waits for that test's end, and one that a rollback would bring back
    until a later promotion takes its place: a rollback takes seconds only where both are loaded. One in production stays
    for good. What fails is tried again by the next call.
    """
    with services.unit_of_work() as uow:
        waiting = uow.experiment_decisions.with_loser_in_service()
    return [model_id for decision in waiting if (model_id := _leave(decision, services)) is not None]


def _leave(decision: ExperimentDecision, services: Services) -> int | None:
    with services.unit_of_work() as uow:
        loser = _loser(decision, uow)
        if loser is None:
            uow.experiment_decisions.settle_loser(decision.experiment_id)
            return None
        if _is_needed(loser, uow):
            return None
    try:
        undeploy(UndeployRequest(model_id=loser, actor=ACTOR), services)
    except NotFoundError:
        log.info("model %d was not deployed by a deployment of ours and stays", loser)
        left = None
    except TunewayError as error:
        log.warning("model %d, the loser of A/B test %d, is still in service: %s", loser, decision.experiment_id, error)
        return None
    else:
        left = loser
    with services.unit_of_work() as uow:
        uow.experiment_decisions.settle_loser(decision.experiment_id)
    return left


def _is_needed(model_id: int, uow: UnitOfWork) -> bool:
    is_arm = any(model_id in {running.model_a_id, running.model_b_id} for running in uow.experiments.running())
    return is_arm or uow.promotions.previous(uow.models.get(model_id).model_name) == model_id


def _loser(decision: ExperimentDecision, uow: UnitOfWork) -> int | None:
    """The model that is to leave; None where the plan keeps it, nobody has lost, or it is in production."""
    experiment = uow.experiments.get(decision.experiment_id)
    if experiment.plan is None or not experiment.plan.undeploy_loser or decision.chosen is None:
        return None
    loser = experiment.model_b_id if decision.chosen is Arm.A else experiment.model_a_id
    return None if uow.models.get(loser).status is ModelStatus.PRODUCTION else loser
