"""A test of three models on live traffic: the broken one is dropped while the others go on, the better one is promoted."""

from contextlib import ExitStack

import pytest

from contracts.arms import DropCause
from contracts.enums import DecisionCause
from contracts.experiment_decisions import MonitorABTestRequest
from settings import load_settings
from stages.models import find_model
from stages.monitor_ab_test import monitor_ab_test
from stages.services import open_services
from tests.e2e import test_ab_test_end
from tests.e2e.test_ab_test_end import Traffic, failures, stored
from tests.ports import free_port
from tests.serving_api.running import running_service, wait_until
from tests.serving_api.upstream import running_upstream
from tests.stages.ab_test_story import deployed_three, kept_results, running_test_of_three

pytestmark = [pytest.mark.slow, pytest.mark.deep, pytest.mark.timeout(900)]


def test_a_broken_model_is_dropped_the_better_one_takes_the_traffic_and_nothing_is_lost(
    services, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(test_ab_test_end, "LIKING", {"a": 3.0, "b": 3.0, "c": 4.2})
    alone = open_services(load_settings())
    with ExitStack() as stack:
        present, broken, better = (stack.enter_context(running_upstream(name)) for name in ("a", "b", "c"))
        versions = deployed_three(alone, tmp_path, [present.url, broken.url, better.url])
        experiment = running_test_of_three(alone, versions, effect=1.0, target_samples=900)
        url, app = stack.enter_context(running_service(alone))

        def arms() -> list[str]:
            table = app.routing.table
            return [] if table is None or not table.experiments else list(table.experiments[0].arms)

        wait_until(lambda: arms() == ["a", "b", "c"])
        traffic = Traffic(url)
        assert set(traffic.batch(60)) == {"a", "b", "c"}
        before = dict(traffic.arms)
        broken.mode = "unavailable"

        dropped_after = 0
        decision = None
        while decision is None and traffic.users < 900:
            traffic.batch(20)
            wait_until(lambda: failures(alone) == traffic.refused, seconds=60)
            wait_until(lambda: traffic.rated.items() <= stored(alone).items(), seconds=60)
            (found,) = monitor_ab_test(MonitorABTestRequest(), alone).experiments
            decision = found.decision
            if found.dropped and not dropped_after:
                dropped_after, refused = traffic.users, traffic.refused
                assert found.dropped == ["b"]
                wait_until(lambda: "b" not in arms(), seconds=60)
                moved = {user: traffic.ask(user).headers["x-tuneway-arm"] for user in before}
                assert {user for user in before if moved[user] != before[user]} == {
                    user for user, arm in before.items() if arm == "b"
                }
        assert dropped_after and traffic.refused == refused, "once it is dropped everyone is answered"
        assert decision is not None and decision.look is not None
        assert (decision.winner, decision.cause) == ("c", DecisionCause.VERDICT)
        wait_until(traffic.has_moved, seconds=60)
        assert traffic.batch(20) == [None] * 20
    assert find_model("assistant@production", alone).model_id == versions[2].model_id
    assert kept_results(alone) == [("a", False, True), ("b", False, True), ("c", True, True)]
    with alone.unit_of_work() as uow:
        arm = uow.experiments.get(experiment.experiment_id).arm("b")
    assert arm.drop_cause is DropCause.GUARDRAIL
    with capsys.disabled():
        users = decision.look.users_a + decision.look.users_b
        print(f"\nb dropped after {dropped_after} users and {traffic.refused} failures, c promoted after {users} users")
