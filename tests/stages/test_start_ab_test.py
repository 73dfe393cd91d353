"""Stage start_ab_test."""

import pytest

from contracts.enums import Arm, ExperimentStatus
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.experiments import StartABTestRequest, TrafficSplit
from stages.start_ab_test import start_ab_test
from tests.serving_api.running import add_model

pytestmark = pytest.mark.slow


@pytest.fixture
def models(services):
    return [
        add_model(services, "rules", version, f"rules-v{version}", "http://127.0.0.1:1/v1", arm)
        for version, arm in (("1", Arm.A), ("2", Arm.B), ("3", Arm.B))
    ]


def request(a: int, b: int, name: str = "first") -> StartABTestRequest:
    return StartABTestRequest(
        experiment_name=name, model_a_id=a, model_b_id=b, traffic_split=TrafficSplit(a=0.8, b=0.2)
    )


def test_an_experiment_runs_between_two_deployed_models(services, models):
    started = start_ab_test(request(models[0].model_id, models[1].model_id), services)
    assert started.status is ExperimentStatus.RUNNING
    assert started.traffic_split.b == 0.2
    with services.unit_of_work() as uow:
        assert uow.experiments.running() == started


def test_starting_it_again_is_the_same_experiment(services, models):
    first = start_ab_test(request(models[0].model_id, models[1].model_id), services)
    assert start_ab_test(request(models[0].model_id, models[1].model_id), services) == first


def test_a_second_experiment_ends_the_first(services, models):
    first = start_ab_test(request(models[0].model_id, models[1].model_id), services)
    second = start_ab_test(request(models[0].model_id, models[2].model_id, "second"), services)
    with services.unit_of_work() as uow:
        assert uow.experiments.running() == second
        assert uow.experiments.get(first.experiment_id).status is ExperimentStatus.STOPPED


def test_a_model_that_is_not_deployed_takes_no_part(services, models):
    with services.unit_of_work() as uow:
        uow.models.set_deployment(models[1].model_id, None)
    with pytest.raises(ConflictError, match="is not deployed"):
        start_ab_test(request(models[0].model_id, models[1].model_id), services)
    with services.unit_of_work() as uow:
        assert uow.experiments.running() is None


def test_one_model_against_itself_is_no_experiment(services, models):
    with pytest.raises(InvalidRequestError, match="same model"):
        start_ab_test(request(models[0].model_id, models[0].model_id), services)


def test_a_model_that_does_not_exist_is_not_found(services, models):
    with pytest.raises(NotFoundError):
        start_ab_test(request(models[0].model_id, 999), services)


def test_a_name_is_not_taken_over_for_other_models(services, models):
    start_ab_test(request(models[0].model_id, models[1].model_id), services)
    with pytest.raises(ConflictError, match="belongs to an A/B test of other models"):
        start_ab_test(request(models[0].model_id, models[2].model_id), services)
