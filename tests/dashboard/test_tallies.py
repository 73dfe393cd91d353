"""How the dashboard counts the answers of A/B tests: few as a page asks, many beside the pages."""

import time

import pytest
from sqlalchemy import text

from contracts.enums import ExperimentStatus
from contracts.experiments import ABExperiment, StartABTestRequest
from dashboard.reading.tallies import MANY_ANSWERS, kept_tally
from stages.services import Services

pytestmark = pytest.mark.slow

ASK = text(
    "INSERT INTO ab_test_logs (experiment_id, variant, assigned_variant, response_time_ms, user_rating, user_key, request_id)"
    " SELECT :test, arm, arm, 100, 4, 'user-' || n / 4, :prefix || n"
    " FROM (SELECT n, CASE WHEN n / 4 % 2 = 0 THEN 'a' ELSE 'b' END AS arm FROM generate_series(1, :answers) AS n) AS asked"
)


@pytest.fixture
def experiment(services) -> ABExperiment:
    with services.unit_of_work() as uow:
        a, b = (uow.models.ensure_base(name, f"/models/{name}", 0.1, name * 64).model_id for name in "ab")
        started: ABExperiment = uow.experiments.start(
            StartABTestRequest(experiment_name="autumn", model_a_id=a, model_b_id=b)
        )
    return started


def ask(services: Services, experiment: ABExperiment, prefix: str, answers: int) -> None:
    with services.unit_of_work() as uow:
        values = {"test": experiment.experiment_id, "prefix": prefix, "answers": answers}
        uow.session.execute(ASK, values)


def test_few_answers_of_a_running_test_are_counted_as_a_page_asks(services, experiment):
    assert kept_tally(services, experiment).answers == 0
    ask(services, experiment, "first", 12)
    assert kept_tally(services, experiment).answers == 12


def test_many_answers_are_counted_again_beside_the_page_which_shows_what_was_counted_last(services, experiment):
    ask(services, experiment, "first", MANY_ANSWERS + 1)
    counted = kept_tally(services, experiment)
    assert counted.answers == MANY_ANSWERS + 1
    ask(services, experiment, "second", 8)
    deadline = time.monotonic() + 60
    while (newer := kept_tally(services, experiment)).counted_at == counted.counted_at:
        assert newer.answers == MANY_ANSWERS + 1
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert newer.answers == MANY_ANSWERS + 9
    assert newer.tally.users.ratings["a"].users == MANY_ANSWERS // 8 + 1


def test_a_test_that_has_ended_is_counted_once_more_and_then_kept(services, experiment):
    ask(services, experiment, "first", 12)
    assert kept_tally(services, experiment).answers == 12
    ask(services, experiment, "second", 8)
    with services.unit_of_work() as uow:
        uow.experiments.stop(experiment.experiment_id, ExperimentStatus.STOPPED)
        ended = uow.experiments.get(experiment.experiment_id)
    counted = kept_tally(services, ended)
    assert counted.answers == 20
    assert kept_tally(services, ended) is counted
