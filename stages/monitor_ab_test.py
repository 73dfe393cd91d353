"""Stage monitor_ab_test: look at what runs, and carry out what has been decided.

Each look, with the decision that it brings, its audit and what people are told, is one transaction. A decision is then
carried out by `conclude_ab_test.carry_out`, which can be repeated: a run that was killed is made good by the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING

from contracts.enums import DecisionCause, ExperimentPolicy, ExperimentStatus, GuardrailName
from contracts.experiment_decisions import ExperimentDecision, MonitoredExperiment, MonitoredState, MonitorReport
from contracts.experiment_verdicts import ExperimentState, ExperimentVerdict
from contracts.record import utc_now
from stages.conclude_ab_test import carry_out
from stages.drop_arms import drop_losing_arms
from stages.experiment_notices import decided_notice, held_notice
from stages.leave_losers import leave_losers
from stages.notify import deliver_notifications

if TYPE_CHECKING:
    from contracts.experiment_decisions import MonitorABTestRequest
    from contracts.experiment_plans import ExperimentPlan
    from contracts.experiment_verdicts import DecisionLook, GuardrailReading, SampleRatioReading
    from contracts.experiments import ABExperiment, ExperimentUsers
    from contracts.several_arms import SeveralArmsState
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

ACTOR = "monitor_ab_test"


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
    return plan.policy is ExperimentPolicy.NOTIFY or (plan.policy is ExperimentPolicy.APPROVE and decision.is_promotion)


def _monitor(experiment: ABExperiment, plan: ExperimentPlan, services: Services) -> MonitoredExperiment:
    state, decision = _look(experiment, plan, services)
    if decision is not None and not needs_answer(plan, decision):
        decision = carry_out(experiment.experiment_id, services)
    users_a, users_b = _users(state)
    return MonitoredExperiment(
        experiment_id=experiment.experiment_id,
        experiment_name=experiment.experiment_name,
        looks=state.looks,
        users_a=users_a,
        users_b=users_b,
        dropped=[] if state.several is None else state.several.dropped,
        is_held=state.is_held,
        policy=plan.policy,
        decision=decision,
        needs_answer=decision is not None and needs_answer(plan, decision),
    )


def _users(state: MonitoredState) -> tuple[int, int]:
    if state.several is None:
        looks = [] if state.experiment.latest is None else [state.experiment.latest]
    else:
        looks = [each.latest for each in state.several.challengers.values() if each.latest is not None]
    return max((look.users_a for look in looks), default=0), sum(look.users_b for look in looks)


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
        # a person may have dropped an arm since it was read
        experiment = uow.experiments.get(experiment_id)
        state = _seen(experiment, plan, before, uow)
        uow.experiment_decisions.save_state(experiment_id, state)
        if state.is_held and not before.is_held:
            assert state.sample_ratio is not None
            uow.audit.append(ACTOR, "experiment.held", subject, state.sample_ratio.model_dump(mode="json"))
            uow.notifications.add(subject, "sample_ratio", held_notice(experiment))
        if state.several is not None:
            drop_losing_arms(experiment, plan, state, uow)
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
    users = uow.experiments.tally(experiment.experiment_id).users
    seen = MonitoredState(
        experiment=before.experiment,
        guardrails=_guardrails(experiment, plan, users, before, uow),
        sample_ratio=_sample_ratio(experiment, before, uow),
    )
    if experiment.has_several_challengers:
        return seen.model_copy(update={"several": _several(experiment, users, before, seen)})
    if seen.is_held:
        # arms that users fall into otherwise than planned are not compared
        return seen
    control, challenger = (arm.name for arm in experiment.arms)
    difference = compare_arms(metric, users, control, challenger)
    return seen.model_copy(update={"experiment": look_at(before.experiment, difference, metric)})


def _several(
    experiment: ABExperiment, users: ExperimentUsers, before: MonitoredState, seen: MonitoredState
) -> SeveralArmsState:
    from ab_testing.results import arms_moments, metric_of, several_arms_plan
    from ab_testing.several_arms import begin_arms, look_at_arms, take_out

    metric = metric_of(experiment)
    state = begin_arms(several_arms_plan(experiment)) if before.several is None else before.several
    harmful = {reading.arm for reading in seen.breached}
    harmful |= {arm.name for arm in experiment.challengers if arm.dropped_at is not None}
    if seen.is_held:
        return take_out(state, harmful)
    return look_at_arms(state, arms_moments(metric, users), metric, harmful=harmful)


def _sample_ratio(experiment: ABExperiment, before: MonitoredState, uow: UnitOfWork) -> SampleRatioReading | None:
    from ab_testing.arm_shares import SharePhase
    from ab_testing.sample_ratio import check_sample_ratio
    from ab_testing.several_arms import check_sample_ratio_among

    if experiment.has_several_challengers:
        phases = _arrivals(experiment, uow)
        if not any(any(arrived.values()) for _, arrived in phases):
            return before.sample_ratio
        return check_sample_ratio_among(phases, experiment.control.name, before.sample_ratio)
    arrived = uow.experiments.arrived(experiment.experiment_id)
    if not any(arrived.values()):
        return before.sample_ratio
    control, challenger = experiment.arms
    phase = SharePhase(challenger.share, arrived[control.name], arrived[challenger.name])
    return check_sample_ratio([phase], before.sample_ratio)


def _arrivals(experiment: ABExperiment, uow: UnitOfWork) -> list[tuple[dict[str, float], dict[str, int]]]:
    """Planned shares of the arms that were open, and who came into these, a phase between two drops.

    Whoever still came into a dropped arm, in the second that the router takes, is in no phase: among the open arms the
    others are divided the same before and after.
    """
    drops = sorted({arm.dropped_at for arm in experiment.arms if arm.dropped_at is not None})
    phases = []
    for place, arrived in enumerate(uow.experiments.arrivals(experiment.experiment_id, drops)):
        gone = set(drops[:place])
        shares = {arm.name: arm.share for arm in experiment.arms if arm.dropped_at not in gone}
        whole = sum(shares.values())
        phases.append(({arm: share / whole for arm, share in shares.items()}, {arm: arrived[arm] for arm in shares}))
    return phases


def _guardrails(
    experiment: ABExperiment,
    plan: ExperimentPlan,
    users: ExperimentUsers,
    before: MonitoredState,
    uow: UnitOfWork,
) -> list[GuardrailReading]:
    """Every guardrail of every challenger; those of a dropped one stay as they were."""
    from ab_testing.guardrails import MeanGuardrail, watch_failures, watch_mean
    from ab_testing.results import compare_arms
    from ab_testing.several_arms import guardrails_of_one, planned_pair

    previous = {(reading.arm, reading.name): reading for reading in before.guardrails}
    control, shares = experiment.control.name, {arm.name: arm.share for arm in experiment.arms}
    failed: dict[str, int] | None = None
    readings = []
    for guardrail, arm in product(guardrails_of_one(len(experiment.challengers)), experiment.challengers):
        if GuardrailName(guardrail.name) not in plan.guardrails:
            continue
        last = previous.get((arm.name, guardrail.name))
        if arm.dropped_at is not None:
            readings += [] if last is None else [last]
            continue
        if isinstance(guardrail, MeanGuardrail):
            reading = watch_mean(guardrail, compare_arms(guardrail.metric, users, control, arm.name), last)
        else:
            failed = uow.experiments.failed(experiment.experiment_id) if failed is None else failed
            phase = planned_pair(shares, control, arm.name, failed[control], failed[arm.name])
            reading = watch_failures(guardrail, [phase], last)
        readings.append(reading.model_copy(update={"arm": arm.name}))
    return readings


def _decision(experiment: ABExperiment, state: MonitoredState) -> ExperimentDecision | None:
    """What the state decides: harm first, then the verdict. None while it goes on."""
    found = _found_of_two(experiment, state) if state.several is None else _found_of_several(state, state.several)
    ends_at = experiment.traffic.ends_at
    if found is None and ends_at is not None and ends_at <= utc_now():
        found = _found_at_the_end(state)
    if found is None:
        return None
    return ExperimentDecision(
        experiment_id=experiment.experiment_id,
        winner=found.winner,
        control=experiment.control.name,
        cause=found.cause,
        reason=found.reason,
        look=found.look,
        guardrails=found.guardrails,
        actor=ACTOR,
        decided_at=utc_now(),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look has decided."""

    winner: str | None
    cause: DecisionCause
    reason: str
    look: DecisionLook | None
    guardrails: list[str] = field(default_factory=list)


def _found_of_two(experiment: ABExperiment, state: MonitoredState) -> _Found | None:
    control, challenger = (arm.name for arm in experiment.arms)
    breached, look = state.breached, state.experiment.latest
    if breached:
        names = [reading.name for reading in breached]
        reason = f"{challenger} does harm in " + ", ".join(names)
        return _Found(control, DecisionCause.GUARDRAIL, reason, look, names)
    if look is None or not state.experiment.is_decided or state.is_held:
        return None
    winners = {ExperimentVerdict.BETTER_A: control, ExperimentVerdict.BETTER_B: challenger}
    return _Found(winners.get(look.verdict), DecisionCause.VERDICT, _told(look), look)


def _found_of_several(state: MonitoredState, several: SeveralArmsState) -> _Found | None:
    """The winner once every challenger is decided or dropped; the control where all of them are dropped."""
    if not several.is_decided:
        return None
    control, challengers = several.plan.control, several.challengers
    if all(each.is_dropped for each in challengers.values()):
        names = list(dict.fromkeys(reading.name for reading in state.breached))
        is_by_harm = all(each.harmful for each in challengers.values()) and names
        cause = DecisionCause.GUARDRAIL if is_by_harm else DecisionCause.VERDICT
        return _Found(control, cause, _told_of_all(several), None, names if is_by_harm else [])
    if state.is_held:
        return None
    winner = several.winner
    look = None if winner is None else challengers[winner].latest
    return _Found(winner, DecisionCause.VERDICT, _told_of_all(several), look)


def _found_at_the_end(state: MonitoredState) -> _Found:
    """The planned end came first: of several challengers one that is shown to be better by then wins nevertheless."""
    several = state.several
    if several is not None and several.leader is not None and not state.is_held:
        leader = several.leader
        return _Found(leader, DecisionCause.VERDICT, _told_of_all(several), several.challengers[leader].latest)
    reason = "its planned end came before it could be decided"
    return _Found(None, DecisionCause.SCHEDULE, reason, state.experiment.latest)


def _told_of_all(several: SeveralArmsState) -> str:
    told = []
    for name, state in several.challengers.items():
        if state.harmful:
            told.append(f"{name}: taken out")
        elif state.latest is not None:
            told.append(f"{name}: {_told(state.latest)}")
    return "; ".join(told)


def _told(look: DecisionLook) -> str:
    told = f"{look.verdict.value} with {look.users_a} and {look.users_b} users"
    if look.difference is None or look.bounds is None:
        return told
    bounds = look.bounds
    return f"{told}, difference {look.difference:.3g} [{bounds.lower:.3g}, {bounds.upper:.3g}] at {bounds.level:.0%}"
