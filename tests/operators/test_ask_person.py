"""The question in Airflow is over as soon as it is answered anywhere."""

import asyncio

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.triggers.base import TriggerEvent

from contracts.enums import Arm, DecisionCause
from contracts.experiment_decisions import ExperimentDecision, PersonsAnswer
from contracts.record import utc_now
from operators import requests
from operators.ask_person import AnsweredElsewhereTrigger, AskPersonOperator, answer_elsewhere
from stages.conclude_ab_test import stop_ab_test
from tests.serving_api.running import add_model, start_experiment


@pytest.fixture
def waiting(services) -> int:
    """An A/B test that waits for a person."""
    a, b = (
        add_model(services, "rules", version, f"rules-{version}", "http://127.0.0.1:1/v1", arm)
        for version, arm in (("1", Arm.A), ("2", Arm.B))
    )
    experiment_id = start_experiment(services, a, b).experiment_id
    decision = ExperimentDecision(
        experiment_id=experiment_id, winner=Arm.B, cause=DecisionCause.VERDICT, reason="r", look=None,
        actor="monitor_ab_test", decided_at=utc_now(),
    )  # fmt: skip
    with services.unit_of_work() as uow:
        uow.experiment_decisions.decide(decision)
    return experiment_id


async def first_event(trigger: AnsweredElsewhereTrigger) -> TriggerEvent:
    async for event in trigger.run():
        return event
    raise AssertionError("it ended without an event")


@pytest.mark.slow
def test_an_answer_on_the_dashboard_closes_the_question_in_airflow(services, waiting):
    assert answer_elsewhere(waiting, services) is None
    answer = PersonsAnswer(winner=Arm.B, actor="kim", reason="r", answered_at=utc_now())
    with services.unit_of_work() as uow:
        uow.experiment_decisions.answer(waiting, answer)
    event = asyncio.run(first_event(AnsweredElsewhereTrigger(waiting)))
    operator = AskPersonOperator(
        task_id="choose_winner", subject="?", options=[requests.PROMOTE_NEW_MODEL, requests.KEEP_PRESENT_MODEL]
    )
    with pytest.raises(AirflowSkipException, match="kim has answered: winner b"):
        operator.execute_complete({}, event.payload)


@pytest.mark.slow
def test_a_test_that_was_stopped_asks_nobody_any_more(services, waiting):
    stop_ab_test(waiting, "kim", services)
    said = answer_elsewhere(waiting, services)
    assert said is not None and said.endswith("is stopped")


def test_an_answer_on_airflows_page_goes_on_as_ever():
    operator = AskPersonOperator(
        task_id="choose_winner", subject="?", options=[requests.PROMOTE_NEW_MODEL, requests.KEEP_PRESENT_MODEL]
    )
    event = {
        "chosen_options": [requests.KEEP_PRESENT_MODEL],
        "params_input": {},
        "responded_at": utc_now(),
        "responded_by_user": {"id": "1", "name": "lee"},
    }
    assert operator.execute_complete({}, event)["chosen_options"] == [requests.KEEP_PRESENT_MODEL]


def test_the_trigger_can_be_handed_to_another_triggerer():
    path, arguments = AnsweredElsewhereTrigger(7).serialize()
    assert (path, arguments) == ("operators.ask_person.AnsweredElsewhereTrigger", {"experiment_id": 7})
