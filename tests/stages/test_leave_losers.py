"""The loser of an A/B test leaves service by itself, once, and only when nobody needs it."""

import pytest

from contracts.deployments import DeploymentConfig
from contracts.enums import Arm, DeploymentState, ServerBackend
from contracts.experiment_decisions import ConcludeABTestRequest, MonitorABTestRequest
from contracts.promotions import PromoteRequest
from settings import load_settings
from stages import leave_losers as leaving
from stages.conclude_ab_test import conclude_ab_test
from stages.leave_losers import leave_losers
from stages.monitor_ab_test import monitor_ab_test
from stages.promote import promote
from stages.services import open_services
from stages.undeploy import undeploy
from tests.ports import free_port
from tests.stages.ab_test_story import audited, deployed_pair, running_test
from tests.stages.test_promote import version_of

pytestmark = pytest.mark.slow

URL = "http://127.0.0.1:1/v1"


@pytest.fixture
def alone(services, monkeypatch):
    """Services whose MLflow is away."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return open_services(load_settings())


@pytest.fixture
def pair(alone, tmp_path):
    """Both serve, at the URL of a server that somebody else runs."""
    pair = deployed_pair(alone, tmp_path)
    with alone.unit_of_work() as uow:
        for arm, version in zip(Arm, pair, strict=True):
            config = DeploymentConfig(backend=ServerBackend.URL, base_url=URL, served_model_name=f"assistant-{arm}")
            planned = uow.deployments.plan(
                model_id=version.model_id,
                arm=arm,
                config=config,
                server_key="url",
                served_model_name=f"assistant-{arm}",
            )
            uow.deployments.move(planned.deployment_id, DeploymentState.PLANNED, DeploymentState.SERVING, {})
    return pair


def concluded(services, experiment, winner: Arm | None) -> None:
    conclude_ab_test(
        ConcludeABTestRequest(experiment_id=experiment.experiment_id, winner=winner, actor="lee", reason="r"), services
    )


def states(services, pair) -> list[DeploymentState]:
    with services.unit_of_work() as uow:
        return [uow.deployments.newest(version.model_id).state for version in pair]


def test_the_loser_drains_and_stops_and_one_that_is_deployed_again_stays(alone, pair):
    _, b = pair
    concluded(alone, running_test(alone, *pair), Arm.A)
    assert states(alone, pair) == [DeploymentState.SERVING, DeploymentState.SERVING]
    report = monitor_ab_test(MonitorABTestRequest(), alone)
    assert report.undeployed == [b.model_id]
    assert states(alone, pair) == [DeploymentState.SERVING, DeploymentState.STOPPED]
    assert audited(alone)[-1] == "model.undeployed"
    with alone.unit_of_work() as uow:
        assert [endpoint.model_id for endpoint in uow.models.deployed()] == [pair[0].model_id]
        again = uow.deployments.plan(
            model_id=b.model_id, arm=Arm.B, config=DeploymentConfig(), server_key="url", served_model_name="b"
        )
    assert leave_losers(alone) == []
    with alone.unit_of_work() as uow:
        assert uow.deployments.get(again.deployment_id).state is DeploymentState.PLANNED


def test_a_loser_that_another_test_needs_waits_for_its_end(alone, pair):
    first = running_test(alone, *pair, layer_share=0.5)
    second = running_test(alone, *pair, experiment_name="summer", layer_share=0.5)
    concluded(alone, first, Arm.A)
    assert leave_losers(alone) == []
    concluded(alone, second, None)
    assert leave_losers(alone) == [pair[1].model_id]


def test_a_loser_that_a_rollback_would_bring_back_waits_for_the_next_promotion(alone, pair, tmp_path):
    a, _ = pair
    concluded(alone, running_test(alone, *pair), Arm.B)
    assert leave_losers(alone) == []
    next_one = version_of(alone, tmp_path, "job-c", decided=0.9)
    promote(PromoteRequest(model_id=next_one.model_id, actor="kim", reason="r", override=True), alone)
    assert leave_losers(alone) == [a.model_id]
    assert states(alone, pair) == [DeploymentState.STOPPED, DeploymentState.SERVING]


def test_a_kill_after_the_server_was_left_is_made_good(alone, pair, monkeypatch):
    concluded(alone, running_test(alone, *pair), Arm.A)

    def undeploy_and_die(*arguments):
        undeploy(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(leaving, "undeploy", undeploy_and_die)
        leave_losers(alone)
    assert leave_losers(alone) == [pair[1].model_id]
    assert leave_losers(alone) == []
    assert audited(alone).count("model.undeployed") == 1


@pytest.mark.parametrize(("winner", "changes"), [(Arm.A, {"undeploy_loser": False}), (None, {})])
def test_nobody_leaves_where_the_plan_keeps_them_or_nobody_has_lost(alone, pair, winner, changes):
    concluded(alone, running_test(alone, *pair, **changes), winner)
    assert leave_losers(alone) == []
    assert states(alone, pair) == [DeploymentState.SERVING, DeploymentState.SERVING]
