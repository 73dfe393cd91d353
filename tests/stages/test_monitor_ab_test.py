"""Experiments end by themselves, by their policy, once, and as well after a kill."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from sqlalchemy import select, text

from contracts.enums import Arm, DecisionCause, ExperimentPolicy, ExperimentStatus
from contracts.errors import ConflictError
from contracts.experiment_decisions import ConcludeABTestRequest, MonitorABTestRequest, MonitoredExperiment
from contracts.promotions import PromoteRequest
from contracts.record import utc_now
from contracts.traffic import TrafficPlan
from database.models import NotificationRow
from settings import load_settings
from settings.model import REPOSITORY_ROOT
from stages.conclude_ab_test import conclude_ab_test, stop_ab_test
from stages.models import find_model
from stages.monitor_ab_test import monitor_ab_test
from stages.promote import promote
from stages.services import open_services
from tests.ports import free_port
from tests.serving_api.running import table_of, wait_until
from tests.stages.ab_test_story import audited, deployed_pair, kept_results, rated, running_test

pytestmark = pytest.mark.slow

LOW, MIDDLE, HIGH = [2, 3] * 40, [3, 4] * 40, [4, 5] * 40
EVERY = MonitorABTestRequest()


@pytest.fixture
def alone(services, monkeypatch):
    """Services whose MLflow is away."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return open_services(load_settings())


@pytest.fixture
def pair(alone, tmp_path):
    return deployed_pair(alone, tmp_path)


def looked(services) -> MonitoredExperiment:
    (found,) = monitor_ab_test(EVERY, services).experiments
    return found


def status(services, experiment):
    with services.unit_of_work() as uow:
        return uow.experiments.get(experiment.experiment_id).status


def notified(services) -> list[str]:
    with services.unit_of_work() as uow:
        return list(uow.session.execute(select(NotificationRow.event).order_by(NotificationRow.id)).scalars())


def conclusion(experiment, winner: Arm | None, **changes) -> ConcludeABTestRequest:
    return ConcludeABTestRequest(
        experiment_id=experiment.experiment_id, winner=winner, actor="lee", reason="더 정확합니다", **changes
    )


def test_where_nothing_runs_nothing_happens(alone):
    assert monitor_ab_test(EVERY, alone).experiments == []


def test_no_data_decides_nothing(alone, pair):
    experiment = running_test(alone, *pair, policy=ExperimentPolicy.AUTO)
    assert [looked(alone).decision for _ in range(2)] == [None, None]
    rated(alone, experiment, Arm.A, [5] * 20)
    assert looked(alone).decision is None
    assert status(alone, experiment) is ExperimentStatus.RUNNING


def test_a_winner_goes_into_production_and_the_test_ends_once(alone, pair):
    _, b = pair
    experiment = running_test(alone, *pair, policy=ExperimentPolicy.AUTO)
    rated(alone, experiment, Arm.A, MIDDLE)
    rated(alone, experiment, Arm.B, HIGH)
    found = looked(alone)
    assert found.decision is not None
    assert (found.decision.winner, found.decision.cause) == (Arm.B, DecisionCause.VERDICT)
    assert found.decision.carried_out_at is not None
    assert find_model("assistant@production", alone).model_id == b.model_id
    assert status(alone, experiment) is ExperimentStatus.COMPLETED
    assert kept_results(alone) == [("a", False, True), ("b", True, True)]
    assert audited(alone) == [
        "model.promoted", "experiment.started", "experiment.decided", "model.promoted", "experiment.concluded",
    ]  # fmt: skip
    assert monitor_ab_test(EVERY, alone).experiments == []
    assert notified(alone) == ["decided", "concluded"]


def test_a_harmful_model_is_rolled_back_also_where_promotions_wait_for_approval(alone, pair):
    a, _ = pair
    experiment = running_test(alone, *pair, policy=ExperimentPolicy.APPROVE)
    rated(alone, experiment, Arm.A, HIGH)
    rated(alone, experiment, Arm.B, LOW)
    decision = looked(alone).decision
    assert decision is not None
    assert (decision.winner, decision.cause) == (Arm.A, DecisionCause.GUARDRAIL)
    assert "user_rating" in decision.guardrails
    assert status(alone, experiment) is ExperimentStatus.COMPLETED
    assert find_model("assistant@production", alone).model_id == a.model_id


def test_a_slow_model_is_rolled_back_by_its_response_times(alone, pair):
    experiment = running_test(alone, *pair)
    rated(alone, experiment, Arm.A, MIDDLE, milliseconds=100)
    rated(alone, experiment, Arm.B, MIDDLE, milliseconds=400)
    decision = looked(alone).decision
    assert decision is not None
    assert decision.guardrails == ["response_time_ms"]


def test_a_model_that_fails_is_rolled_back_after_few_users_without_a_rating(alone, pair):
    experiment = running_test(alone, *pair)
    rated(alone, experiment, Arm.A, [], failed=1)
    rated(alone, experiment, Arm.B, [], failed=14)
    decision = looked(alone).decision
    assert decision is not None
    assert (decision.winner, decision.guardrails) == (Arm.A, ["failures"])


def test_an_approval_is_waited_for_and_given_once(alone, pair):
    a, b = pair
    experiment = running_test(alone, *pair)
    rated(alone, experiment, Arm.A, MIDDLE)
    rated(alone, experiment, Arm.B, HIGH)
    assert looked(alone).needs_answer
    rated(alone, experiment, Arm.A, HIGH * 5)  # what comes later changes nothing
    waiting = looked(alone)
    assert waiting.needs_answer
    assert waiting.decision is not None and waiting.decision.winner == Arm.B
    assert find_model("assistant@production", alone).model_id == a.model_id
    answered = conclude_ab_test(conclusion(experiment, Arm.B), alone)
    assert answered.answer is not None and answered.answer.actor == "lee"
    assert find_model("assistant@production", alone).model_id == b.model_id
    assert conclude_ab_test(conclusion(experiment, Arm.B), alone) == answered
    with pytest.raises(ConflictError, match="decision stands"):
        conclude_ab_test(conclusion(experiment, Arm.A), alone)


def test_a_person_may_keep_the_present_model_against_the_verdict(alone, pair):
    a, _ = pair
    experiment = running_test(alone, *pair, policy=ExperimentPolicy.NOTIFY)
    rated(alone, experiment, Arm.A, MIDDLE)
    rated(alone, experiment, Arm.B, HIGH)
    assert looked(alone).needs_answer
    decision = conclude_ab_test(conclusion(experiment, Arm.A), alone)
    assert (decision.winner, decision.chosen) == (Arm.B, Arm.A)
    assert find_model("assistant@production", alone).model_id == a.model_id
    assert kept_results(alone) == [("a", True, True), ("b", False, True)]


def test_a_person_needs_no_verdict_and_a_stopped_test_is_not_concluded(alone, pair):
    experiment = running_test(alone, *pair)
    assert stop_ab_test(experiment.experiment_id, "lee", alone).status is ExperimentStatus.STOPPED
    with pytest.raises(ConflictError, match="spring is stopped"):
        conclude_ab_test(conclusion(experiment, Arm.B), alone)
    again = running_test(alone, *pair).model_copy()
    assert again.status is ExperimentStatus.STOPPED  # the name stands for the one that was there
    assert audited(alone)[-1] == "experiment.stopped"


def test_a_winner_that_the_gate_has_not_passed_is_held_and_told_once(alone, tmp_path):
    a, b = deployed_pair(alone, tmp_path, passed=0.97)
    experiment = running_test(alone, a, b, policy=ExperimentPolicy.AUTO)
    rated(alone, experiment, Arm.A, MIDDLE)
    rated(alone, experiment, Arm.B, HIGH)
    for _ in range(2):
        decision = looked(alone).decision
        assert decision is not None and decision.obstacle is not None
        assert "verdict fail" in str(decision.obstacle["value"])
    assert status(alone, experiment) is ExperimentStatus.RUNNING
    assert audited(alone).count("experiment.blocked") == 1
    with pytest.raises(ConflictError, match="verdict fail"):
        conclude_ab_test(conclusion(experiment, Arm.B), alone)
    assert conclude_ab_test(conclusion(experiment, Arm.B, override=True), alone).carried_out_at is not None
    assert find_model("assistant@production", alone).model_id == b.model_id


def test_users_who_fall_into_the_arms_otherwise_than_planned_hold_the_verdict(alone, pair):
    experiment = running_test(alone, *pair, policy=ExperimentPolicy.AUTO)
    rated(alone, experiment, Arm.A, MIDDLE * 3)
    rated(alone, experiment, Arm.B, HIGH)
    for _ in range(2):
        found = looked(alone)
        assert found.is_held
        assert found.decision is None
    assert notified(alone) == ["sample_ratio"]
    assert audited(alone).count("experiment.held") == 1


def test_the_planned_size_without_a_difference_leaves_the_present_model(alone, pair):
    a, _ = pair
    experiment = running_test(alone, *pair, target_samples=160, accept_underpowered=True)
    rated(alone, experiment, Arm.A, MIDDLE)
    rated(alone, experiment, Arm.B, MIDDLE)
    decision = looked(alone).decision
    assert decision is not None and decision.winner is None
    assert find_model("assistant@production", alone).model_id == a.model_id
    assert kept_results(alone) == [("a", False, False), ("b", False, False)]


def test_a_test_whose_planned_end_has_come_undecided_ends_without_a_winner(alone, pair):
    a, _ = pair
    soon = utc_now() + timedelta(seconds=1)
    experiment = running_test(alone, *pair, policy=ExperimentPolicy.AUTO, traffic=TrafficPlan(ends_at=soon))
    rated(alone, experiment, Arm.A, [3, 4])
    wait_until(lambda: utc_now() > soon)
    monitor_ab_test(EVERY, alone)
    with alone.unit_of_work() as uow:
        decision = uow.experiment_decisions.get(experiment.experiment_id)
    assert (decision.winner, decision.cause) == (None, DecisionCause.SCHEDULE)
    assert status(alone, experiment) is ExperimentStatus.COMPLETED
    assert find_model("assistant@production", alone).model_id == a.model_id


def test_a_testers_answers_count_in_no_comparison(alone, pair):
    experiment = running_test(alone, *pair, policy=ExperimentPolicy.AUTO)
    rated(alone, experiment, Arm.A, HIGH)
    rated(alone, experiment, Arm.B, LOW)
    with alone.unit_of_work() as uow:
        uow.session.execute(text("UPDATE ab_test_logs SET exposure = 'override'"))
    assert looked(alone).decision is None
    with alone.unit_of_work() as uow:
        assert uow.experiments.tally(experiment.experiment_id).users.ratings[Arm.B].users == 0
        assert uow.experiments.tally(experiment.experiment_id).counts[Arm.A].samples == 0


def test_the_version_that_went_into_production_last_is_the_default_under_whatever_name(alone, pair):
    a, b = pair
    with alone.unit_of_work() as uow:
        uow.session.execute(text("UPDATE model_registry SET model_name = 'other' WHERE id = :id"), {"id": a.model_id})
        uow.session.execute(text("UPDATE model_promotions SET model_name = 'other'"))
    promote(PromoteRequest(model_id=b.model_id, actor="kim", reason="second", override=True), alone)
    again = promote(PromoteRequest(model_id=a.model_id, actor="kim", reason="r", override=True), alone)
    assert not again.happened_now
    table = table_of(alone)
    assert table.default is not None and table.default.model_id == b.model_id


KILLED = """
import os, sys
import stages.conclude_ab_test as concluding, stages.monitor_ab_test as monitoring
from contracts.experiment_decisions import MonitorABTestRequest
from stages.services import open_services
place = sys.argv[1]
die = lambda *_: os._exit(9)
if place == "decided": monitoring.carry_out = die
if place == "promoted": concluding._close = die
if place == "closed": monitoring.deliver_notifications = die
monitoring.monitor_ab_test(MonitorABTestRequest(), open_services())
"""


@pytest.mark.parametrize("place", ["decided", "promoted", "closed"])
def test_a_monitor_that_is_killed_between_two_steps_is_made_good_by_the_next(alone, pair, place):
    _, b = pair
    experiment = running_test(alone, *pair, policy=ExperimentPolicy.AUTO)
    rated(alone, experiment, Arm.A, MIDDLE)
    rated(alone, experiment, Arm.B, HIGH)
    died = subprocess.run([sys.executable, "-c", KILLED, place], cwd=REPOSITORY_ROOT, capture_output=True, text=True)
    assert died.returncode == 9, died.stderr
    monitor_ab_test(EVERY, alone)
    assert status(alone, experiment) is ExperimentStatus.COMPLETED
    assert find_model("assistant@production", alone).model_id == b.model_id
    assert kept_results(alone) == [("a", False, True), ("b", True, True)]
    assert audited(alone) == [
        "model.promoted", "experiment.started", "experiment.decided", "model.promoted", "experiment.concluded",
    ]  # fmt: skip
    assert notified(alone) == ["decided", "concluded"]


@contextmanager
def webhook(answers: list[int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A service of the site that answers with these statuses, then with 200."""
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code = answers.pop(0) if answers else 200
            if code == 200:
                received.append(body)
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        server.server_close()


def test_a_webhook_that_fails_blocks_nothing_and_is_tried_again(alone, pair, monkeypatch):
    with webhook([500]) as (url, received):
        monkeypatch.setenv("TUNEWAY_NOTIFY_WEBHOOK_URL", url)
        services = open_services(load_settings())
        experiment = running_test(services, *pair, policy=ExperimentPolicy.AUTO)
        rated(services, experiment, Arm.A, MIDDLE)
        rated(services, experiment, Arm.B, HIGH)
        report = monitor_ab_test(EVERY, services)
        assert report.experiments[0].decision is not None
        assert report.experiments[0].decision.carried_out_at is not None
        assert (report.notifications_delivered, report.notifications_waiting) == (0, 2)
        assert monitor_ab_test(EVERY, services).notifications_waiting == 0
    assert [body["event"] for body in received] == ["decided", "concluded"]
    assert "새 모델(B)이 서비스를 맡습니다" in received[1]["text_ko"]
    assert "The new model (B) takes the traffic" in received[1]["text_en"]
