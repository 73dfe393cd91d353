"""Stage monitor_ab_test: look at what runs, and carry out what has been decided.

Each look, with the decision that it brings, its audit and what people are told, is one transaction. A decision is then
carried out by `conclude_ab_test.carry_out`, which can be repeated: a run that was killed is made good by the next.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from contracts.enums import Arm, DecisionCause, ExperimentPolicy, ExperimentStatus, GuardrailName
from contracts.experiment_decisions import ExperimentDecision, MonitoredExperiment, MonitoredState, MonitorReport
from contracts.experiment_verdicts import DecisionLook, ExperimentState, ExperimentVerdict
from contracts.record import utc_now
from stages.conclude_ab_test import carry_out
from stages.experiment_notices import decided_notice, held_notice
from stages.leave_losers import leave_losers
from stages.notify import deliver_notifications

if TYPE_CHECKING:
    from contracts.experiment_decisions import MonitorABTestRequest
    from contracts.experiment_plans import ExperimentPlan
    from contracts.experiment_verdicts import GuardrailReading, SampleRatioReading
    from contracts.experiments import ABExperiment, ExperimentUsers
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

ACTOR = "monitor_ab_test"
_WINNERS = {ExperimentVerdict.BETTER_A: Arm.A, ExperimentVerdict.BETTER_B: Arm.B}


def monitor_ab_test(request: MonitorABTestRequest, services: Services, *, leaves_losers: bool = True) -> MonitorReport:
    """Look at every running test that has a plan, or at the one that is named. Raises NotFoundError for an unknown one.

    Then the losers of ended tests leave service, which takes as long as their last answers; not with `leaves_losers`
    false.
    """
    with services.unit_of_work() as uow:
        if request.experiment_id is not None:
            uow.experiments.get(request.experiment_id)
        running = [
            experiment
            for experiment in uow.experiments.running()
            if experiment.plan is not None and request.experiment_id in {None, experiment.experiment_id}
        ]
    seen = [_monitor(experiment, experiment.plan, services) for experiment in running if experiment.plan is not None]
    deliveries = deliver_notifications(services)
    return MonitorReport(
        experiments=seen,
        undeployed=leave_losers(services) if leaves_losers else [],
        notifications_delivered=deliveries.delivered,
        notifications_waiting=deliveries.waiting,
    )


def needs_answer(plan: ExperimentPlan, decision: ExperimentDecision) -> bool:
    """A person has to answer before it is carried out. Going back to the present model asks nobody."""
    if decision.answer is not None or decision.carried_out_at is not None:
        return False
    is_promotion = decision.winner is Arm.B
    return plan.policy is ExperimentPolicy.NOTIFY or (plan.policy is ExperimentPolicy.APPROVE and is_promotion)


def _monitor(experiment: ABExperiment, plan: ExperimentPlan, services: Services) -> MonitoredExperiment:
    state, decision = _look(experiment, plan, services)
    if decision is not None and not needs_answer(plan, decision):
        decision = carry_out(experiment.experiment_id, services)
    latest = state.experiment.latest
    return MonitoredExperiment(
        experiment_id=experiment.experiment_id,
        experiment_name=experiment.experiment_name,
        looks=state.experiment.looks,
        users_a=0 if latest is None else latest.users_a,
        users_b=0 if latest is None else latest.users_b,
        is_held=state.is_held,
        policy=plan.policy,
        decision=decision,
        needs_answer=decision is not None and needs_answer(plan, decision),
    )


def _look(
    experiment: ABExperiment, plan: ExperimentPlan, services: Services
) -> tuple[MonitoredState, ExperimentDecision | None]:
    """One transaction: the state after a look, and the decision that stands after it."""
    experiment_id = experiment.experiment_id
    subject = f"experiment/{experiment_id}"
    unseen = MonitoredState(experiment=ExperimentState(plan=plan.decision))
    with services.unit_of_work() as uow:
        standing = uow.experiment_decisions.get(experiment_id)
        if standing is not None:
            return uow.experiment_decisions.state(experiment_id) or unseen, standing
    # scipy takes a second or more to import: only where there is something to look at, and before the lock
    import_module("ab_testing.results")
    with services.unit_of_work() as uow:
        status = uow.experiment_decisions.lock(experiment_id)
        before = uow.experiment_decisions.state(experiment_id) or unseen
        standing = uow.experiment_decisions.get(experiment_id)
        if standing is not None or status is not ExperimentStatus.RUNNING:
            return before, standing
        state = _seen(experiment, plan, before, uow)
        uow.experiment_decisions.save_state(experiment_id, state)
        if state.is_held and not before.is_held:
            assert state.sample_ratio is not None
            uow.audit.append(ACTOR, "experiment.held", subject, state.sample_ratio.model_dump(mode="json"))
            uow.notifications.add(subject, "sample_ratio", held_notice(experiment))
        decision = _decision(experiment, state)
        if decision is None:
            return state, None
        standing, _ = uow.experiment_decisions.decide(decision)
        uow.audit.append(ACTOR, "experiment.decided", subject, decision.model_dump(mode="json"))
        uow.notifications.add(
            subject, "decided", decided_notice(experiment, standing, needs_answer=needs_answer(plan, standing))
        )
        return state, standing


def _seen(experiment: ABExperiment, plan: ExperimentPlan, before: MonitoredState, uow: UnitOfWork) -> MonitoredState:
    from ab_testing.decision import look_at
    from ab_testing.results import compare_arms, metric_of

    metric = metric_of(experiment)
    users = uow.experiments.users(experiment.experiment_id)
    ratio = _sample_ratio(experiment, before, uow)
    guardrails = _guardrails(experiment, plan, users, before, uow)
    seen = MonitoredState(experiment=before.experiment, guardrails=guardrails, sample_ratio=ratio)
    if seen.is_held:
        # arms that users fall into otherwise than planned are not compared
        return seen
    return seen.model_copy(update={"experiment": look_at(before.experiment, compare_arms(metric, users), metric)})


def _sample_ratio(experiment: ABExperiment, before: MonitoredState, uow: UnitOfWork) -> SampleRatioReading | None:
    from ab_testing.arm_shares import SharePhase
    from ab_testing.sample_ratio import check_sample_ratio

    arrived = uow.experiments.arrived(experiment.experiment_id)
    if not any(arrived.values()):
        return before.sample_ratio
    phase = SharePhase(experiment.traffic_split.b, arrived[Arm.A], arrived[Arm.B])
    return check_sample_ratio([phase], before.sample_ratio)


def _guardrails(
    experiment: ABExperiment,
    plan: ExperimentPlan,
    users: ExperimentUsers,
    before: MonitoredState,
    uow: UnitOfWork,
) -> list[GuardrailReading]:
    from ab_testing.arm_shares import SharePhase
    from ab_testing.guardrails import DEFAULT_GUARDRAILS, MeanGuardrail, watch_failures, watch_mean
    from ab_testing.results import compare_arms

    previous = {reading.name: reading for reading in before.guardrails}
    readings = []
    for guardrail in DEFAULT_GUARDRAILS:
        if GuardrailName(guardrail.name) not in plan.guardrails:
            continue
        if isinstance(guardrail, MeanGuardrail):
            difference = compare_arms(guardrail.metric, users)
            readings.append(watch_mean(guardrail, difference, previous.get(guardrail.name)))
        else:
            failed = uow.experiments.failed(experiment.experiment_id)
            phase = SharePhase(experiment.traffic_split.b, failed[Arm.A], failed[Arm.B])
            readings.append(watch_failures(guardrail, [phase], previous.get(guardrail.name)))
    return readings


def _decision(experiment: ABExperiment, state: MonitoredState) -> ExperimentDecision | None:
    """What the state decides: harm first, then the verdict. None while it goes on."""
    breached, look = state.breached, state.experiment.latest
    if breached:
        return ExperimentDecision(
            experiment_id=experiment.experiment_id,
            winner=Arm.A,
            cause=DecisionCause.GUARDRAIL,
            reason="b does harm in " + ", ".join(reading.name for reading in breached),
            look=look,
            guardrails=[reading.name for reading in breached],
            actor=ACTOR,
            decided_at=utc_now(),
        )
    ends_at = experiment.traffic.ends_at
    if (look is None or not state.experiment.is_decided) and ends_at is not None and ends_at <= utc_now():
        return ExperimentDecision(
            experiment_id=experiment.experiment_id,
            winner=None,
            cause=DecisionCause.SCHEDULE,
            reason="its planned end came before it could be decided",
            look=look,
            actor=ACTOR,
            decided_at=utc_now(),
        )
    if look is None or not state.experiment.is_decided or state.is_held:
        return None
    return ExperimentDecision(
        experiment_id=experiment.experiment_id,
        winner=_WINNERS.get(look.verdict),
        cause=DecisionCause.VERDICT,
        reason=_told(look),
        look=look,
        actor=ACTOR,
        decided_at=utc_now(),
    )


def _told(look: DecisionLook) -> str:
    told = f"{look.verdict.value} with {look.users_a} and {look.users_b} users"
    if look.difference is None or look.bounds is None:
        return told
    bounds = look.bounds
    return f"{told}, difference {look.difference:.3g} [{bounds.lower:.3g}, {bounds.upper:.3g}] at {bounds.level:.0%}"
