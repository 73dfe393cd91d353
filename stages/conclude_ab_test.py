"""Stage conclude_ab_test: an A/B test ends, and registry, traffic and results follow its decision.

The decision comes first and never changes (PostgreSQL holds it). Carrying it out is repeatable: the registry moves
while the test still runs, then one transaction closes it, so that a kill between the two sends nobody to the loser.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from contracts.enums import DecisionCause, ExperimentStatus, ModelStatus
from contracts.errors import ConflictError, NotFoundError
from contracts.experiment_decisions import ExperimentDecision, PersonsAnswer
from contracts.experiment_verdicts import ExperimentVerdict
from contracts.promotions import PromoteRequest, RollbackRequest
from contracts.record import utc_now
from stages.experiment_notices import STOPPED_BY_PERSON, blocked_notice, concluded_notice, stopped_notice

if TYPE_CHECKING:
    from contracts.errors import TunewayError
    from contracts.experiment_decisions import ConcludeABTestRequest
    from contracts.experiment_results import ExperimentResults
    from contracts.experiments import ABExperiment
    from database.unit_of_work import UnitOfWork
    from stages.experiment_notices import Cause
    from stages.services import Services


def conclude_ab_test(request: ConcludeABTestRequest, services: Services) -> ExperimentDecision:
    """End the test with the person's winner; the same request again is the same end.

    Where the test has decided already, this is the answer to its decision. Raises InvalidRequestError for an arm that
    it does not have, and ConflictError where it has ended with another winner, where the arm was dropped, and where the
    registry refuses the promotion; nothing is stored then.
    """
    answer = PersonsAnswer(
        winner=request.winner,
        actor=request.actor,
        reason=request.reason,
        override=request.override,
        answered_at=utc_now(),
    )
    with services.unit_of_work() as uow:
        experiment = uow.experiments.get(request.experiment_id)
        _check_winner(experiment, request)
        standing = _standing(experiment, request.winner, uow)
    if standing is not None and standing.carried_out_at is not None:
        return standing
    proposed = _persons_decision(request, answer, experiment) if standing is None else standing
    # the registry may refuse: before anything is stored that could not be taken back
    _move_registry(experiment, proposed.model_copy(update={"answer": answer}), services)
    with services.unit_of_work() as uow:
        standing = _standing(experiment, request.winner, uow)
        if standing is None:
            uow.experiment_decisions.decide(proposed)
        elif standing.answer is None:
            uow.experiment_decisions.answer(experiment.experiment_id, answer)
        if standing is None or standing.answer is None:
            subject = f"experiment/{experiment.experiment_id}"
            uow.audit.append(request.actor, "experiment.answered", subject, answer.model_dump(mode="json"))
    return carry_out(experiment.experiment_id, services)


def stop_ab_test(experiment_id: int, actor: str, services: Services) -> ABExperiment:
    """End the test without a winner; its answers and ratings stay, the registry is left alone. Again changes nothing."""
    with services.unit_of_work() as uow:
        experiment = uow.experiments.get(experiment_id)
        if uow.experiment_decisions.lock(experiment_id) is ExperimentStatus.COMPLETED:
            raise ConflictError(
                "The A/B test has been completed",
                value=experiment.experiment_name,
                allowed="a running A/B test",
                next_step="read its results",
            )
        stop_in(uow, experiment, actor, STOPPED_BY_PERSON)
        return uow.experiments.get(experiment_id)


def stop_in(uow: UnitOfWork, experiment: ABExperiment, actor: str, cause: Cause) -> bool:
    """The same as a part of a transaction, whoever stops it; False where it does not run any more."""
    experiment_id = experiment.experiment_id
    if uow.experiment_decisions.lock(experiment_id) is not ExperimentStatus.RUNNING:
        return False
    uow.experiments.stop(experiment_id, ExperimentStatus.STOPPED)
    uow.experiment_decisions.keep_results(results_of(experiment, uow), None, is_significant=False)
    subject = f"experiment/{experiment_id}"
    uow.audit.append(actor, "experiment.stopped", subject, {"reason": cause[1]})
    uow.notifications.add(subject, "stopped", stopped_notice(experiment, cause))
    return True


def carry_out(experiment_id: int, services: Services) -> ExperimentDecision:
    """Registry, traffic and results follow the decision that stands. Safe to repeat, after a kill at any instant too.

    Where the registry refuses, the test goes on and the decision carries the obstacle; the next try may succeed.
    """
    with services.unit_of_work() as uow:
        experiment = uow.experiments.get(experiment_id)
        decision = _decided(experiment_id, uow)
    while decision.carried_out_at is None:
        try:
            _move_registry(experiment, decision, services)
        except (ConflictError, NotFoundError) as error:
            return _blocked(experiment, error, services)
        # a person may have answered meanwhile: then once more, for what they have chosen
        decision = _close(experiment, decision.chosen, services)
    return decision


def results_of(experiment: ABExperiment, uow: UnitOfWork) -> ExperimentResults:
    """What the test shows, with what the monitor read last."""
    from ab_testing.results import summarise_experiment

    experiment_id = experiment.experiment_id
    tally = uow.experiments.tally(experiment_id)
    return summarise_experiment(
        experiment,
        tally.counts,
        tally.users,
        uow.experiment_decisions.state(experiment_id),
        uow.experiment_decisions.get(experiment_id),
    )


def _move_registry(experiment: ABExperiment, decision: ExperimentDecision, services: Services) -> None:
    control, chosen = experiment.control, decision.chosen
    if chosen is None:
        return
    reason = f"A/B test {experiment.experiment_name}: {decision.reason}"[:2000]
    if chosen != control.name:
        # mlflow comes with it, which the service that answers users does not load before a person concludes
        from stages.promote import promote

        with services.unit_of_work() as uow:
            new = uow.models.get(experiment.arm(chosen).model_id)
            present = uow.models.production(new.model_name)
        is_there = present is not None and present.model_id == new.model_id
        # a person decides over what is there now; the monitor only over the model that was compared
        expected = None
        if decision.answer is None:
            expected = 0 if present is None or is_there else control.model_id
        override = is_there or (decision.answer is not None and decision.answer.override)
        promote(
            PromoteRequest(
                model_id=new.model_id, actor=decision.decided_by, reason=reason, override=override, replaces=expected
            ),
            services,
        )
        return
    with services.unit_of_work() as uow:
        others = [uow.models.get(arm.model_id) for arm in experiment.challengers]
        in_production = [version for version in others if version.status is ModelStatus.PRODUCTION]
    for version in in_production:
        from stages.promote import roll_back

        roll_back(
            RollbackRequest(
                model_name=version.model_name, actor=decision.decided_by, reason=reason, leaves=version.model_id
            ),
            services,
        )


def _standing(experiment: ABExperiment, winner: str | None, uow: UnitOfWork) -> ExperimentDecision | None:
    """The decision that an answer with this winner goes with. Raises ConflictError where it contradicts what stands."""
    status = uow.experiment_decisions.lock(experiment.experiment_id)
    decision = uow.experiment_decisions.get(experiment.experiment_id)
    is_final = decision is not None and (decision.carried_out_at is not None or decision.answer is not None)
    if decision is not None and is_final and decision.chosen == winner:
        return decision
    if is_final or status is not ExperimentStatus.RUNNING:
        raise _ended(experiment, status, decision)
    return decision


def _check_winner(experiment: ABExperiment, request: ConcludeABTestRequest) -> None:
    if request.winner is None:
        return
    arm = experiment.arm(request.winner)
    if arm.dropped_at is not None and not request.override:
        raise ConflictError(
            "The arm was dropped and cannot win",
            value=f"{arm.name}: {arm.drop_reason}",
            allowed=", ".join(one.name for one in experiment.open_arms),
            next_step="choose one of these, or promote it all the same with --override, in the API override",
        )


def _persons_decision(
    request: ConcludeABTestRequest, answer: PersonsAnswer, experiment: ABExperiment
) -> ExperimentDecision:
    return ExperimentDecision(
        experiment_id=request.experiment_id,
        winner=request.winner,
        control=experiment.control.name,
        cause=DecisionCause.PERSON,
        reason=request.reason,
        look=None,
        actor=request.actor,
        decided_at=answer.answered_at,
        answer=answer,
    )


def _close(experiment: ABExperiment, moved_for: str | None, services: Services) -> ExperimentDecision:
    """One transaction: all traffic to one model, the results' rows, the audit and what people are told.

    Nothing happens where the decision is for another arm by now than the registry was moved for.
    """
    experiment_id = experiment.experiment_id
    with services.unit_of_work() as uow:
        status = uow.experiment_decisions.lock(experiment_id)
        decision = _decided(experiment_id, uow)
        if decision.chosen == moved_for and uow.experiment_decisions.set_carried_out(experiment_id):
            if status is ExperimentStatus.RUNNING:
                uow.experiments.stop(experiment_id, ExperimentStatus.COMPLETED)
            results = results_of(experiment, uow)
            is_significant = results.look.verdict in {ExperimentVerdict.BETTER_A, ExperimentVerdict.BETTER_B}
            uow.experiment_decisions.keep_results(results, decision.chosen, is_significant=is_significant)
            uow.audit.append(
                decision.decided_by,
                "experiment.concluded",
                f"experiment/{experiment_id}",
                decision.model_dump(mode="json"),
            )
            uow.notifications.add(f"experiment/{experiment_id}", "concluded", concluded_notice(experiment, decision))
        return _decided(experiment_id, uow)


def _blocked(experiment: ABExperiment, error: TunewayError, services: Services) -> ExperimentDecision:
    """The obstacle, told once a sentence."""
    subject, sentence = f"experiment/{experiment.experiment_id}", error.sentence()
    with services.unit_of_work() as uow:
        before = _decided(experiment.experiment_id, uow)
        if before.obstacle != error.as_record():
            uow.experiment_decisions.set_obstacle(experiment.experiment_id, error.as_record())
            uow.audit.append(before.actor, "experiment.blocked", subject, error.as_record())
            digest = hashlib.sha256(sentence.encode()).hexdigest()[:8]
            uow.notifications.add(subject, f"blocked-{digest}", blocked_notice(experiment, before, sentence))
        return _decided(experiment.experiment_id, uow)


def _decided(experiment_id: int, uow: UnitOfWork) -> ExperimentDecision:
    decision = uow.experiment_decisions.get(experiment_id)
    if decision is None:
        raise NotFoundError(
            "The A/B test has not decided yet", value=experiment_id, next_step="see `tuneway ab results`"
        )
    return decision


def _ended(experiment: ABExperiment, status: ExperimentStatus, decision: ExperimentDecision | None) -> ConflictError:
    winner = "no winner" if decision is None or decision.chosen is None else f"winner {decision.chosen}"
    return ConflictError(
        "The A/B test's decision stands",
        value=f"{experiment.experiment_name} is {status.value}, {winner}",
        allowed="a running A/B test that has not been answered",
        next_step="read its results with `tuneway ab results`, or start another test",
    )
