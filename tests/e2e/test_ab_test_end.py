"""An A/B test on live traffic, from its first user to its end: the router as a process, users who rate, the monitor.

Two small model servers stand behind the router, so that seconds suffice; what the statistics need is told by simulated
users, whose ratings differ by a known amount.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select

from contracts.enums import AnswerStatus, Arm, DecisionCause, ExperimentPolicy, ExperimentStatus
from contracts.experiment_decisions import ExperimentDecision, MonitorABTestRequest
from database.models import ABTestLog
from settings import load_settings
from settings.model import REPOSITORY_ROOT
from stages.models import find_model
from stages.monitor_ab_test import monitor_ab_test
from stages.services import open_services
from tests.ports import free_port
from tests.serving_api.running import make_secrets, running_service, wait_until
from tests.serving_api.upstream import Upstream, running_upstream
from tests.stages.ab_test_story import deployed_pair, kept_results, running_test

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUESTION = [{"role": "user", "content": "통행료 환급은 어떻게 합니까?"}]
LIKING = {"a": 3.0, "b": 4.2}
"""Mean rating of each arm's answers."""


class Traffic:
    """Users who ask once and rate what they got, and what they were promised about it."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30, limits=httpx.Limits(max_connections=16))
        self.random = np.random.default_rng(11)
        self.users = 0
        self.answered: dict[str, str | None] = {}
        """Request to arm, as the router acknowledged it."""
        self.arms: dict[str, str | None] = {}
        """User to arm."""
        self.rated: dict[str, int] = {}
        self.refused = 0

    def ask(self, user: str) -> httpx.Response:
        return self.client.post("/v1/chat/completions", json={"messages": QUESTION}, headers={"X-Tuneway-User": user})

    def has_moved(self) -> bool:
        """Users are answered, and by no arm."""
        answer = self.ask("anyone")
        return answer.status_code == 200 and "x-tuneway-arm" not in answer.headers

    def batch(self, users: int) -> list[str | None]:
        """So many new users ask at once; those who got an answer rate it. The arms of the answers."""
        names = [f"user-{self.users + number}" for number in range(users)]
        self.users += users
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(self.ask, names))
        self.arms |= {name: answer.headers.get("x-tuneway-arm") for name, answer in zip(names, answers, strict=True)}
        given = [answer for answer in answers if answer.status_code == 200]
        self.refused += len(answers) - len(given)
        for answer in given:
            request_id, arm = answer.headers["x-tuneway-request-id"], answer.headers.get("x-tuneway-arm")
            self.answered[request_id] = arm
            liking = LIKING.get(arm or "", 4.2) + self.random.normal(0, 0.8)
            rating = int(min(5, max(1, round(liking))))
            stored = self.client.post("/v1/feedback", json={"request_id": request_id, "rating": rating})
            assert stored.json()["stored"]
            self.rated[request_id] = rating
        return [self.answered[answer.headers["x-tuneway-request-id"]] for answer in given]


@contextmanager
def router(services) -> Iterator[str]:
    """The service as the platform starts it."""
    make_secrets(services.settings.secrets_dir)
    port = free_port()
    environment = {**os.environ, "TUNEWAY_SERVING_PORT": str(port), "PYTHONPATH": str(REPOSITORY_ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "serving_api"], cwd=REPOSITORY_ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _is_ready(url), seconds=120)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def alone(services, monkeypatch):
    """Services whose MLflow is away."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return open_services(load_settings())


@pytest.fixture
def servers() -> Iterator[tuple[Upstream, Upstream]]:
    with running_upstream("old") as old, running_upstream("new") as new:
        yield old, new


def stored(services) -> dict[str, int | None]:
    """Rating of every whole answer that PostgreSQL has."""
    with services.unit_of_work() as uow:
        rows = uow.session.execute(
            select(ABTestLog.request_id, ABTestLog.user_rating).where(ABTestLog.status == AnswerStatus.COMPLETE.value)
        ).all()
    return dict(rows)


def failures(services):
    with services.unit_of_work() as uow:
        return uow.session.execute(
            select(func.count()).select_from(ABTestLog).where(ABTestLog.status == AnswerStatus.FAILED.value)
        ).scalar_one()


def decided(services, experiment) -> ExperimentDecision | None:
    """What stands in PostgreSQL, whoever has looked."""
    with services.unit_of_work() as uow:
        found: ExperimentDecision | None = uow.experiment_decisions.get(experiment.experiment_id)
        return found


def rolled_back(services, experiment, traffic: Traffic) -> str:
    """Ask on with B broken until nobody gets it any more; how long that took and whom it cost an answer."""
    broken_at = time.monotonic()
    decision: ExperimentDecision | None = None
    while decision is None and traffic.users < 100:
        traffic.batch(10)
        wait_until(lambda: failures(services) == traffic.refused, seconds=60)
        decision = decided(services, experiment)
    wait_until(lambda: decided(services, experiment) is not None, seconds=240)
    decision = decided(services, experiment)
    # nobody has called the monitor: the router's events have
    assert decision is not None
    assert (decision.winner, decision.cause, decision.guardrails) == (Arm.A, DecisionCause.GUARDRAIL, ["failures"])
    wait_until(traffic.has_moved, seconds=60)
    took, refused = time.monotonic() - broken_at, traffic.refused
    assert traffic.batch(20) == [None] * 20
    assert traffic.refused == refused, "everyone is answered again"
    return f"rolled back {took:.1f} s after the first failure, {refused} users saw one"


def looked_while_the_old_one_answers(
    services, traffic: Traffic, old: Upstream
) -> tuple[ExperimentDecision | None, httpx.Response]:
    """A look of the monitor during which arm A is busy with a question, and that question's answer."""
    old.mode, old.slow_s = "slow", 2.0
    asked = len(old.asked)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(traffic.ask, next(name for name, arm in traffic.arms.items() if arm == "a"))
        wait_until(lambda: len(old.asked) > asked, seconds=60)
        decision = monitor_ab_test(MonitorABTestRequest(), services).experiments[0].decision
        answer = late.result()
    old.mode = "answer"
    return decision, answer


def test_the_better_model_wins_takes_the_traffic_and_nothing_is_lost(alone, servers, tmp_path, capsys):
    old, new = servers
    a, b = deployed_pair(alone, tmp_path, urls=(old.url, new.url))
    experiment = running_test(alone, a, b, policy=ExperimentPolicy.AUTO, effect=1.0, target_samples=400)
    decision: ExperimentDecision | None = None
    # in this process, where nothing but the test looks
    with running_service(alone) as (url, _):
        traffic = Traffic(url)
        while decision is None and traffic.users < 400:
            assert set(traffic.batch(20)) <= {"a", "b"}
            wait_until(lambda: traffic.rated.items() <= stored(alone).items(), seconds=60)
            decision, late = looked_while_the_old_one_answers(alone, traffic, old)
        assert decision is not None and decision.look is not None
        assert (decision.winner, decision.cause) == (Arm.B, DecisionCause.VERDICT)
        assert decision.look.bounds is not None
        assert decision.look.bounds.lower < LIKING["b"] - LIKING["a"] < decision.look.bounds.upper
        wait_until(traffic.has_moved, seconds=60)
        assert late.status_code == 200, "what the loser was asked before, it answered to the end"
        assert late.headers["x-tuneway-arm"] == "a"
        before = len(old.asked)
        assert traffic.batch(20) == [None] * 20
        assert len(old.asked) == before, "the loser gets no more questions"
        wait_until(lambda: traffic.rated.items() <= stored(alone).items(), seconds=60)
        assert late.headers["x-tuneway-request-id"] in stored(alone)
    assert traffic.refused == 0
    assert find_model("assistant@production", alone).model_id == b.model_id
    with alone.unit_of_work() as uow:
        assert uow.experiments.get(experiment.experiment_id).status is ExperimentStatus.COMPLETED
    assert kept_results(alone) == [("a", False, True), ("b", True, True)]
    with capsys.disabled():
        print(f"\nright verdict after {decision.look.users_a} + {decision.look.users_b} users")


def test_a_broken_new_model_is_rolled_back_by_the_failures_that_users_meet(alone, servers, tmp_path, capsys):
    old, new = servers
    a, b = deployed_pair(alone, tmp_path, urls=(old.url, new.url))
    experiment = running_test(alone, a, b, policy=ExperimentPolicy.APPROVE)
    with router(alone) as url:
        traffic = Traffic(url)
        traffic.batch(20)
        new.mode = "unavailable"
        told = rolled_back(alone, experiment, traffic)
    assert find_model("assistant@production", alone).model_id == a.model_id
    with capsys.disabled():
        print(f"\n{told}")
