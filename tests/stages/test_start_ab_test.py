"""Stage start_ab_test."""

import pytest
from sqlalchemy import select

from contracts.enums import Arm, ExperimentPolicy, ExperimentStatus
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.experiments import StartABTestRequest, TrafficSplit
from database.models import ABTestResult, AuditLog, NotificationRow
from database.repositories.models import BASE_VERSION
from stages.conclude_ab_test import stop_ab_test
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
        experiment_name=name,
        model_a_id=a,
        model_b_id=b,
        traffic_split=TrafficSplit(a=0.8, b=0.2),
        target_samples=None,
    )


def ending_of(services, experiment_id: int) -> tuple[int, list[str], list[str]]:
    """Rows of results, what the audit says, and what people are told."""
    with services.unit_of_work() as uow:
        results = uow.session.scalars(select(ABTestResult.id).where(ABTestResult.experiment_id == experiment_id)).all()
        subject = f"experiment/{experiment_id}"
        events = select(AuditLog.action).where(AuditLog.subject == subject).order_by(AuditLog.id)
        told = select(NotificationRow.event).where(NotificationRow.subject == subject)
        return len(results), list(uow.session.scalars(events)), list(uow.session.scalars(told))


def test_an_experiment_runs_between_two_deployed_models(services, models):
    started = start_ab_test(request(models[0].model_id, models[1].model_id), services)
    assert started.status is ExperimentStatus.RUNNING
    assert started.traffic_split["b"] == 0.2
    with services.unit_of_work() as uow:
        assert uow.experiments.running() == [started]
    assert started.layer_share == 1


def test_starting_it_again_is_the_same_experiment(services, models):
    first = start_ab_test(request(models[0].model_id, models[1].model_id), services)
    assert start_ab_test(request(models[0].model_id, models[1].model_id), services) == first


def test_a_base_model_challenges_only_where_nothing_is_promoted(services, models):
    base = add_model(services, "base", f"{BASE_VERSION}-0123abcd", "base-demo", "http://127.0.0.1:1/v1", Arm.B)
    asked = request(models[0].model_id, base.model_id)
    with pytest.raises(ConflictError, match=f"arm b, model {base.model_id}.*--policy notify"):
        start_ab_test(asked, services)
    told = start_ab_test(asked.model_copy(update={"policy": ExperimentPolicy.NOTIFY}), services)
    assert told.status is ExperimentStatus.RUNNING
    stop_ab_test(told.experiment_id, "kim", services)
    turned = start_ab_test(request(base.model_id, models[0].model_id, name="turned"), services)
    assert turned.status is ExperimentStatus.RUNNING


def test_a_second_experiment_is_refused_while_too_few_users_are_left(services, models):
    ids = models[0].model_id, models[1].model_id
    first = start_ab_test(request(*ids).model_copy(update={"layer_share": 0.6}), services)
    second = request(models[0].model_id, models[2].model_id, "second").model_copy(update={"layer_share": 0.5})
    with pytest.raises(ConflictError, match=r"running: first 60\.0%.*40\.0% of the users are free.*layer-share 0\.4"):
        start_ab_test(second, services)
    beside = start_ab_test(second.model_copy(update={"layer_share": 0.4}), services)
    with services.unit_of_work() as uow:
        assert uow.experiments.running() == [first, beside]


def test_one_that_makes_room_stops_the_oldest_and_keeps_their_results(services, models):
    ids = models[0].model_id, models[1].model_id
    half = {"layer_share": 0.5}
    first = start_ab_test(request(*ids).model_copy(update=half), services)
    second = start_ab_test(request(*ids, "second").model_copy(update=half), services)
    third = start_ab_test(request(*ids, "third").model_copy(update={**half, "make_room": True}), services)
    with services.unit_of_work() as uow:
        assert uow.experiments.running() == [second, third]
        assert uow.experiments.get(first.experiment_id).status is ExperimentStatus.STOPPED
    assert third.buckets == first.buckets
    assert ending_of(services, first.experiment_id) == (2, ["experiment.started", "experiment.stopped"], ["stopped"])
    # the same request again finds its own test, and stops nothing
    again = start_ab_test(request(*ids, "third").model_copy(update={**half, "make_room": True}), services)
    assert again == third


def test_a_model_that_is_not_deployed_takes_no_part(services, models):
    with services.unit_of_work() as uow:
        uow.models.set_deployment(models[1].model_id, None)
    with pytest.raises(ConflictError, match="is not deployed"):
        start_ab_test(request(models[0].model_id, models[1].model_id), services)
    with services.unit_of_work() as uow:
        assert uow.experiments.running() == []


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


def test_a_target_that_is_too_small_takes_a_confirmation_and_says_what_it_finds(services, models):
    small = request(models[0].model_id, models[1].model_id).model_copy(
        update={"traffic_split": TrafficSplit(), "target_samples": 200}
    )
    with pytest.raises(ConflictError, match=r"200 samples find 0\.46 with 80 % chance, not 0\.3") as refused:
        start_ab_test(small, services)
    assert "accept_underpowered" in refused.value.next_step
    started = start_ab_test(small.model_copy(update={"accept_underpowered": True}), services)
    assert started.plan is not None
    assert not started.plan.is_enough
    assert started.plan.decision.planned_users == started.target_samples == 200


def test_without_a_target_the_planner_sizes_it_for_split_and_ratings_a_user(services, models):
    ids = models[0].model_id, models[1].model_id
    one = start_ab_test(request(*ids), services)
    stop_ab_test(one.experiment_id, "kim", services)
    several = start_ab_test(request(*ids, "several").model_copy(update={"values_per_user": 5, "icc": 0.3}), services)
    assert one.plan is not None and several.plan is not None
    assert 691 < one.target_samples < 800  # what looking at any time costs
    assert one.plan.decision.planned_users == one.target_samples
    assert one.plan.decision.margin == 0.3
    assert several.target_samples == pytest.approx(one.target_samples * 2.2, rel=0.01)
    assert several.plan.decision.planned_users == round(several.target_samples / 5)


def test_a_metric_that_decides_nothing_is_refused(services, models):
    other = request(models[0].model_id, models[1].model_id).model_copy(update={"success_metric": "smiles"})
    with pytest.raises(InvalidRequestError, match="No A/B test is decided by this metric"):
        start_ab_test(other, services)
