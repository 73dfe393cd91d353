"""The same as test_ab_test_end.py on the real vLLM: one process with the base and two adapters behind the router."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from contracts.enums import Arm, DecisionCause, ExperimentPolicy, ServerBackend
from contracts.experiment_decisions import MonitorABTestRequest
from deployment.ephemeral import running_server
from deployment.specification import ServerEndpoint, ServerSpec, lora_adapter
from stages.models import find_model
from stages.monitor_ab_test import monitor_ab_test
from tests.e2e.test_ab_test_end import LIKING, QUESTION, Traffic, alone, rolled_back, router, stored
from tests.model_fixtures import TinyModels, require_vllm, settings_for, tiny_models
from tests.serving_api.running import running_service, wait_until
from tests.stages.ab_test_story import deployed_pair, running_test

__all__ = ["alone", "tiny_models"]

pytestmark = [pytest.mark.slow, pytest.mark.deep, pytest.mark.timeout(1200)]


class ShortAnswers(Traffic):
    """Users who are content with a few tokens of a small model on a CPU."""

    def ask(self, user: str, tokens: int = 8) -> httpx.Response:
        body = {"messages": QUESTION, "max_tokens": tokens, "ignore_eos": tokens > 8}
        return self.client.post("/v1/chat/completions", json=body, headers={"X-Tuneway-User": user})


@pytest.fixture(scope="module")
def vllm(tiny_models: TinyModels, tmp_path_factory) -> Iterator[ServerEndpoint]:
    settings = settings_for("vllm")
    require_vllm(settings)
    spec = ServerSpec(
        model_path=str(tiny_models.base),
        served_model_name="base",
        adapters=[
            lora_adapter("assistant-a", tiny_models.adapter),
            lora_adapter("assistant-b", tiny_models.second_adapter),
        ],
    )
    with running_server(spec, settings, tmp_path_factory.mktemp("vllm") / "server.log") as endpoint:
        yield endpoint


def test_the_better_adapter_wins_the_loser_drains_and_nothing_is_lost(alone, vllm, tmp_path, capsys):
    a, b = deployed_pair(alone, tmp_path, urls=(vllm.base_url, vllm.base_url), backend=ServerBackend.VLLM)
    running_test(alone, a, b, policy=ExperimentPolicy.AUTO, effect=1.0, target_samples=400)
    decision, began = None, time.monotonic()
    # in this process, where nothing but the test looks
    with running_service(alone) as (url, _):
        traffic = ShortAnswers(url)
        traffic.client.timeout = httpx.Timeout(120)
        while decision is None and traffic.users < 400:
            assert set(traffic.batch(20)) <= {"a", "b"}
            wait_until(lambda: traffic.rated.items() <= stored(alone).items(), seconds=60)
            with ThreadPoolExecutor(1) as pool:
                late = pool.submit(traffic.ask, next(name for name, arm in traffic.arms.items() if arm == "a"), 200)
                decision = monitor_ab_test(MonitorABTestRequest(), alone).experiments[0].decision
                answer = late.result()
            assert (answer.status_code, answer.headers["x-tuneway-arm"]) == (200, "a")
            assert answer.json()["usage"]["completion_tokens"] == 200, "an answer that was begun is written to its end"
        assert decision is not None and decision.look is not None and decision.look.bounds is not None
        assert (decision.winner, decision.cause) == (Arm.B, DecisionCause.VERDICT)
        assert decision.look.bounds.lower < LIKING["b"] - LIKING["a"] < decision.look.bounds.upper
        wait_until(traffic.has_moved, seconds=60)
        assert traffic.batch(20) == [None] * 20
        moved = traffic.ask("anyone").json()["model"]
        wait_until(lambda: traffic.rated.items() <= stored(alone).items(), seconds=60)
        assert answer.headers["x-tuneway-request-id"] in stored(alone)
    assert (moved, traffic.refused) == ("assistant-b", 0)
    assert find_model("assistant@production", alone).model_id == b.model_id
    with capsys.disabled():
        users = f"{decision.look.users_a} + {decision.look.users_b}"
        print(f"\nvLLM: right verdict after {users} users, {time.monotonic() - began:.0f} s after the first")


def test_an_adapter_that_vanishes_from_vllm_is_rolled_back(alone, vllm, tmp_path, capsys):
    a, b = deployed_pair(alone, tmp_path, urls=(vllm.base_url, vllm.base_url), backend=ServerBackend.VLLM)
    experiment = running_test(alone, a, b, policy=ExperimentPolicy.APPROVE)
    with router(alone) as url:
        traffic = ShortAnswers(url)
        traffic.batch(20)
        gone = httpx.post(f"{vllm.base_url}/unload_lora_adapter", json={"lora_name": "assistant-b"})
        assert gone.status_code == 200
        told = rolled_back(alone, experiment, traffic)
    assert find_model("assistant@production", alone).model_id == a.model_id
    with capsys.disabled():
        print(f"\nvLLM: {told}")
