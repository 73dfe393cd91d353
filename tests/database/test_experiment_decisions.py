"""What an A/B test has decided stands, also against PostgreSQL itself."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from contracts.enums import Arm, DecisionCause
from contracts.experiment_decisions import ExperimentDecision, MonitoredState, PersonsAnswer
from contracts.experiment_verdicts import DecisionLook, DecisionPlan, ExperimentState, ExperimentVerdict
from contracts.record import utc_now
from tests.serving_api.running import add_model, start_experiment


@pytest.fixture
def experiment_id(services):
    a, b = (add_model(services, "rules", version, f"rules-{version}", "http://x/v1", Arm.A) for version in "12")
    return start_experiment(services, a, b).experiment_id


def decision(experiment_id: int, winner: Arm | None) -> ExperimentDecision:
    return ExperimentDecision(
        experiment_id=experiment_id,
        winner=winner,
        cause=DecisionCause.VERDICT,
        reason="b is better",
        look=None,
        actor="monitor_ab_test",
        decided_at=utc_now(),
    )


def answer(winner: Arm | None) -> PersonsAnswer:
    return PersonsAnswer(winner=winner, actor="kim", reason="r", answered_at=utc_now())


def test_the_first_decision_and_the_first_answer_stand(services, experiment_id):
    with services.unit_of_work() as uow:
        first, is_new = uow.experiment_decisions.decide(decision(experiment_id, Arm.B))
        again, is_new_again = uow.experiment_decisions.decide(decision(experiment_id, Arm.A))
        assert (is_new, is_new_again) == (True, False)
        assert again == first
        assert uow.experiment_decisions.answer(experiment_id, answer(None))
        assert not uow.experiment_decisions.answer(experiment_id, answer(Arm.B))
        assert uow.experiment_decisions.set_carried_out(experiment_id)
        assert not uow.experiment_decisions.set_carried_out(experiment_id)
    with services.unit_of_work() as uow:
        found = uow.experiment_decisions.get(experiment_id)
    assert (found.winner, found.chosen) == (Arm.B, None)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ab_experiment_decisions SET decision = jsonb_set(decision, '{winner}', '\"a\"')",
        "UPDATE ab_experiment_decisions SET answer = NULL",
        "UPDATE ab_experiment_decisions SET carried_out_at = NULL",
        "DELETE FROM ab_experiment_decisions",
    ],
)
def test_postgresql_refuses_to_change_it(services, experiment_id, change):
    with services.unit_of_work() as uow:
        uow.experiment_decisions.decide(decision(experiment_id, Arm.B))
        uow.experiment_decisions.answer(experiment_id, answer(Arm.B))
        uow.experiment_decisions.set_carried_out(experiment_id)
    with pytest.raises(IntegrityError, match="stands"), services.unit_of_work() as uow:
        uow.session.execute(text(change))


def test_an_older_look_is_not_written_over_a_newer_one(services, experiment_id):
    plan = DecisionPlan(planned_users=100)
    decided = DecisionLook(verdict=ExperimentVerdict.BETTER_B, users_a=40, users_b=40)
    newer = MonitoredState(experiment=ExperimentState(plan=plan, looks=2, latest=decided))
    older = MonitoredState(experiment=ExperimentState(plan=plan, looks=1))
    with services.unit_of_work() as uow:
        uow.experiment_decisions.save_state(experiment_id, newer)
        uow.experiment_decisions.save_state(experiment_id, older)
    with services.unit_of_work() as uow:
        assert uow.experiment_decisions.state(experiment_id) == newer


def test_a_notification_is_kept_once_and_waits_until_it_is_delivered(services):
    with services.unit_of_work() as uow:
        for _ in range(2):
            uow.notifications.add("experiment/1", "decided", {"winner": "b"})
        (waiting,) = uow.notifications.waiting()
        uow.notifications.tried(waiting.notification_id, {}, "refused", is_done=False)
        (again,) = uow.notifications.waiting()
        assert (again.attempts, again.delivered) == (1, {})
        uow.notifications.tried(waiting.notification_id, {"webhook": "2026-11-28"}, None, is_done=True)
        assert uow.notifications.waiting() == []
