"""A/B tests with several new models: losers are dropped one by one, the best of those that are better wins, once."""

import pytest
from sqlalchemy import select

from contracts.arms import DropCause
from contracts.enums import DecisionCause, ExperimentPolicy, ExperimentStatus
from contracts.errors import ConflictError, InvalidRequestError
from contracts.experiment_decisions import ConcludeABTestRequest, MonitorABTestRequest, MonitoredExperiment
from contracts.experiment_results import Outcome
from contracts.experiment_verdicts import ExperimentVerdict
from contracts.experiments import ABExperiment, DropArmRequest
from contracts.models import ModelVersion
from contracts.traffic import TrafficPlan
from database.models import NotificationRow
from settings import load_settings
from stages.ab_tests import read_results
from stages.conclude_ab_test import conclude_ab_test
from stages.drop_arms import drop_arm
from stages.leave_losers import leave_losers
from stages.models import find_model
from stages.monitor_ab_test import monitor_ab_test
from stages.services import Services, open_services
from tests.ports import free_port
from tests.stages.ab_test_story import audited, deployed_three, kept_results, rated, running_test_of_three

pytestmark = pytest.mark.slow

LOW, MIDDLE, HIGH = [2, 3] * 40, [3, 4] * 40, [4, 5] * 40


@pytest.fixture
def alone(services, monkeypatch):
    """Services whose MLflow is away."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return open_services(load_settings())


@pytest.fixture
def versions(alone, tmp_path) -> list[ModelVersion]:
    return deployed_three(alone, tmp_path)


def looked(services: Services) -> MonitoredExperiment:
    (found,) = monitor_ab_test(MonitorABTestRequest(), services).experiments
    return found


def now(services: Services, experiment: ABExperiment) -> ABExperiment:
    with services.unit_of_work() as uow:
        return uow.experiments.get(experiment.experiment_id)


def notified(services: Services) -> list[tuple[str, str]]:
    with services.unit_of_work() as uow:
        rows = uow.session.execute(select(NotificationRow).order_by(NotificationRow.id)).scalars()
        return [(row.event, str(row.body["text_ko"])) for row in rows]


def test_a_broken_one_is_dropped_the_better_one_is_promoted_and_nothing_flips(alone, versions):
    experiment = running_test_of_three(alone, versions)
    rated(alone, experiment, "a", MIDDLE[:20], failed=1)
    rated(alone, experiment, "b", MIDDLE[:6], failed=14)
    rated(alone, experiment, "c", MIDDLE[:20])
    found = looked(alone)
    assert (found.dropped, found.decision) == (["b"], None)
    dropped = now(alone, experiment).arm("b")
    assert (dropped.drop_cause, dropped.drop_reason) == (DropCause.GUARDRAIL, "b does harm in failures")
    assert looked(alone).dropped == ["b"]
    assert [arm.name for arm in now(alone, experiment).open_arms] == ["a", "c"]

    rated(alone, experiment, "a", MIDDLE)
    rated(alone, experiment, "c", HIGH)
    decision = looked(alone).decision
    assert decision is not None
    assert (decision.winner, decision.control, decision.cause) == ("c", "a", DecisionCause.VERDICT)
    assert decision.reason.startswith("b: taken out; c: better_b with ")
    assert find_model("assistant@production", alone).model_id == versions[2].model_id
    assert now(alone, experiment).status is ExperimentStatus.COMPLETED
    assert kept_results(alone) == [("a", False, True), ("b", False, True), ("c", True, True)]
    assert audited(alone) == [
        "model.promoted", "experiment.started", "experiment.arm_dropped", "experiment.decided", "model.promoted",
        "experiment.concluded",
    ]  # fmt: skip
    events = notified(alone)
    assert [event for event, _ in events] == ["dropped-b", "decided", "concluded"]
    assert "B을(를) 뺐습니다. 안전장치를 어겼습니다: failures." in events[0][1]
    assert "새 모델(C)이 서비스를 맡습니다." in events[2][1]
    results = read_results("spring", alone)
    assert (results.outcome, results.headline) == (Outcome.PROMOTES, "c")
    assert [(each.arm, each.is_taken_out) for each in results.challengers] == [("b", True), ("c", False)]


def test_one_that_is_shown_to_be_worse_is_dropped_and_the_others_go_on(alone, versions):
    experiment = running_test_of_three(alone, versions, guardrails=["failures"])
    for arm, ratings in (("a", MIDDLE), ("b", LOW), ("c", MIDDLE)):
        rated(alone, experiment, arm, ratings)
    found = looked(alone)
    assert (found.dropped, found.decision, found.users_b) == (["b"], None, 160)
    assert now(alone, experiment).arm("b").drop_cause is DropCause.WORSE
    results = read_results("spring", alone)
    assert (results.outcome, results.headline) == (Outcome.OPEN, "c")
    assert results.challengers[0].verdict is ExperimentVerdict.BETTER_A
    assert results.more_users_needed is not None and results.more_users_needed > 0
    with alone.unit_of_work() as uow:
        assert [reading.arm for reading in uow.experiment_decisions.state(experiment.experiment_id).guardrails] == [
            "b", "c",
        ]  # fmt: skip


def test_where_all_do_harm_the_present_model_stays_whoever_approves_promotions(alone, versions):
    experiment = running_test_of_three(alone, versions, policy=ExperimentPolicy.APPROVE)
    rated(alone, experiment, "a", HIGH)
    rated(alone, experiment, "b", LOW)
    rated(alone, experiment, "c", LOW)
    decision = looked(alone).decision
    assert decision is not None
    assert (decision.winner, decision.cause, decision.guardrails) == ("a", DecisionCause.GUARDRAIL, ["user_rating"])
    assert decision.carried_out_at is not None
    assert find_model("assistant@production", alone).model_id == versions[0].model_id
    assert read_results("spring", alone).outcome is Outcome.KEEPS


def test_with_notify_a_loser_is_only_told_of_and_a_person_drops_it(alone, versions):
    experiment = running_test_of_three(alone, versions, policy=ExperimentPolicy.NOTIFY)
    for arm, ratings in (("a", MIDDLE), ("b", LOW), ("c", MIDDLE)):
        rated(alone, experiment, arm, ratings)
    assert looked(alone).dropped == ["b"]
    assert len(now(alone, experiment).open_arms) == 3
    (told,) = notified(alone)
    assert told[0] == "losing-b"
    assert "tuneway ab drop spring b" in told[1]

    request = DropArmRequest(experiment_id=experiment.experiment_id, arm="b", actor="lee", reason="평점이 낮습니다")
    assert [arm.name for arm in drop_arm(request, alone).open_arms] == ["a", "c"]
    assert drop_arm(request, alone) == now(alone, experiment)
    assert audited(alone).count("experiment.arm_dropped") == 1
    with pytest.raises(ConflictError, match="needs this arm"):
        drop_arm(request.model_copy(update={"arm": "a"}), alone)
    with pytest.raises(InvalidRequestError, match="no such arm"):
        drop_arm(request.model_copy(update={"arm": "d"}), alone)


def test_a_person_chooses_among_the_arms_that_are_left(alone, versions):
    experiment = running_test_of_three(alone, versions)
    request = DropArmRequest(experiment_id=experiment.experiment_id, arm="b", actor="lee", reason="too slow")
    drop_arm(request, alone)

    def conclusion(winner: str, **changes) -> ConcludeABTestRequest:
        return ConcludeABTestRequest(
            experiment_id=experiment.experiment_id, winner=winner, actor="lee", reason="r", **changes
        )

    with pytest.raises(ConflictError, match="b: too slow"):
        conclude_ab_test(conclusion("b"), alone)
    with pytest.raises(InvalidRequestError, match="a, b, c"):
        conclude_ab_test(conclusion("d"), alone)
    assert conclude_ab_test(conclusion("c"), alone).chosen == "c"
    assert find_model("assistant@production", alone).model_id == versions[2].model_id
    # a may have to come back; b was not deployed by a deployment of ours
    assert leave_losers(alone) == []


def test_users_who_fall_otherwise_than_planned_hold_the_verdict_and_harm_still_counts(alone, versions):
    experiment = running_test_of_three(alone, versions)
    rated(alone, experiment, "a", MIDDLE * 3)
    rated(alone, experiment, "b", MIDDLE, failed=30)
    rated(alone, experiment, "c", HIGH)
    found = looked(alone)
    assert found.is_held
    assert (found.dropped, found.decision) == (["b"], None)
    ratio = read_results("spring", alone).sample_ratio
    assert ratio is not None
    assert {arm: each.users for arm, each in ratio.arms.items()} == {"a": 240, "b": 110, "c": 80}


def test_what_cannot_be_an_experiment_is_refused_in_one_sentence(alone, versions):
    with pytest.raises(InvalidRequestError, match="same model"):
        running_test_of_three(alone, [versions[0], versions[1], versions[1]])
    with pytest.raises(InvalidRequestError, match="does not have"):
        running_test_of_three(alone, versions, traffic=TrafficPlan(testers={"k": "d"}))
    running_test_of_three(alone, versions)
    with pytest.raises(ConflictError, match="other models"):
        running_test_of_three(alone, [versions[0], versions[2], versions[1]])
