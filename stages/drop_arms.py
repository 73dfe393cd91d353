"""An arm of a running A/B test gets no more users: the others go on, and only that arm's users move to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.arms import DropCause
from contracts.enums import ExperimentPolicy, ExperimentStatus
from contracts.errors import ConflictError
from contracts.record import utc_now
from stages.experiment_notices import dropped_notice, losing_notice

if TYPE_CHECKING:
    from contracts.experiment_decisions import MonitoredState
    from contracts.experiment_plans import ExperimentPlan
    from contracts.experiments import ABExperiment, DropArmRequest
    from contracts.record import JsonObject
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

ACTOR = "monitor_ab_test"
PAIR = 2


def drop_arm(request: DropArmRequest, services: Services) -> ABExperiment:
    """Send the arm no more users, from the next second on. Again changes nothing.

    Raises InvalidRequestError for an arm that is not there, and ConflictError where the test does not run or nobody
    would be left to compare.
    """
    with services.unit_of_work() as uow:
        status = uow.experiment_decisions.lock(uow.experiments.get(request.experiment_id).experiment_id)
        experiment = uow.experiments.get(request.experiment_id)
        arm = experiment.arm(request.arm)
        if arm.dropped_at is not None:
            return experiment
        if status is not ExperimentStatus.RUNNING:
            raise ConflictError(
                "Only a running A/B test can drop an arm",
                value=f"{experiment.experiment_name} is {status.value}",
                allowed="a running A/B test",
                next_step="read its results with `tuneway ab results`",
            )
        if arm == experiment.control or len(experiment.open_arms) <= PAIR:
            raise ConflictError(
                "The A/B test needs this arm",
                value=f"{arm.name} of {', '.join(one.name for one in experiment.open_arms)}",
                allowed="a challenger, while another challenger still gets users",
                next_step="end the test with `tuneway ab conclude`",
            )
        _drop(experiment, arm.name, DropCause.PERSON, request.reason, request.actor, uow)
        return uow.experiments.get(request.experiment_id)


def drop_losing_arms(experiment: ABExperiment, plan: ExperimentPlan, state: MonitoredState, uow: UnitOfWork) -> None:
    """Drop what the monitor has found to lose or to do harm, as a part of its look; by `notify` only tell of it."""
    assert state.several is not None, "a test with several challengers"
    for name in state.several.dropped:
        if experiment.arm(name).dropped_at is not None:
            continue
        breached = [reading.name for reading in state.breached if reading.arm == name]
        cause = DropCause.GUARDRAIL if breached else DropCause.WORSE
        if plan.policy is ExperimentPolicy.NOTIFY:
            subject = f"experiment/{experiment.experiment_id}"
            uow.notifications.add(subject, f"losing-{name}", losing_notice(experiment, name, cause, breached))
            continue
        reason = f"{name} does harm in {', '.join(breached)}" if breached else f"{name} is worse than the control"
        _drop(experiment, name, cause, reason, ACTOR, uow, breached)


def _drop(
    experiment: ABExperiment,
    name: str,
    cause: DropCause,
    reason: str,
    actor: str,
    uow: UnitOfWork,
    breached: list[str] | None = None,
) -> None:
    if not uow.experiments.drop_arm(experiment.experiment_id, name, utc_now(), cause, reason):
        return
    subject = f"experiment/{experiment.experiment_id}"
    told: JsonObject = {"arm": name, "model_id": experiment.arm(name).model_id, "cause": cause.value, "reason": reason}
    uow.audit.append(actor, "experiment.arm_dropped", subject, told)
    uow.notifications.add(subject, f"dropped-{name}", dropped_notice(experiment, name, cause, breached or [], actor))
