"""A deployment goes on after a kill -9 at any state, and leaves service without losing an answer."""

import concurrent.futures
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import pytest

from contracts.deployments import DeploymentConfig
from contracts.enums import DeploymentState, LeaseKind, ModelStatus, ServerBackend
from contracts.errors import ConflictError, JobFailedError
from contracts.models import DeployRequest, UndeployRequest
from contracts.parity import MINIMUM_PROMPTS
from deployment import client
from deployment.permanent import all_servers
from settings import load_settings
from stages.deploy import deploy
from stages.deployment_steps import place_of
from stages.services import Services, open_services
from stages.undeploy import deployment_history, undeploy
from tests.conftest import REPOSITORY_ROOT
from tests.deployment.supervised import running_supervisor
from tests.model_fixtures import tiny_models
from tests.stages.test_deploy import register
from tests.tiny_model import make_tiny_adapter

__all__ = ["tiny_models"]

pytestmark = pytest.mark.slow

CHECKS = ("prompt_ids", "special_tokens", "continuation", "end_of_turn", "top_logprobs")
PATH = [
    DeploymentState.PLANNED,
    DeploymentState.STARTING,
    DeploymentState.HEALTHY,
    DeploymentState.PARITY_CHECKED,
    DeploymentState.WARMED,
    DeploymentState.SERVING,
]

DEPLOYER = """
import os, signal, sys
import deployment.backends, deployment.permanent
from contracts.models import DeployRequest
from stages.deploy import deploy
from stages.services import open_services

model_id, last = int(sys.argv[1]), sys.argv[2]
deployment.backends.gpu_count = lambda: 2  # the driver of a machine with two cards

def die_at(version, state):
    if version.model_id == model_id and state == last:
        os.kill(os.getpid(), signal.SIGKILL)

if last == "in the middle of starting":
    start = deployment.permanent.ensure_server

    def start_and_die(*arguments):
        start(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    deployment.permanent.ensure_server = start_and_die
deploy(DeployRequest(model_id=model_id), open_services(), on_state=die_at)
"""


@pytest.fixture
def platform(database_url, monkeypatch) -> Iterator[Services]:
    """An installation with a supervisor and a database."""
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        monkeypatch.setenv("TUNEWAY_DATA_DIR", folder)
        monkeypatch.setenv("TUNEWAY_DATABASE_URL", database_url)
        monkeypatch.setenv("TUNEWAY_MODEL_SERVER_PORT", "24500")
        monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", "embedded")
        settings = load_settings()
        with running_supervisor(settings):
            yield open_services(settings)


def deploy_and_die(model_id: int, last: str) -> int:
    """The exit code of a process that deploys, and kills itself there."""
    return subprocess.run(
        [sys.executable, "-c", DEPLOYER, str(model_id), last], cwd=REPOSITORY_ROOT, timeout=120, check=False
    ).returncode


def states(services: Services, model_id: int) -> list[DeploymentState]:
    with services.unit_of_work() as uow:
        newest = uow.deployments.newest(model_id)
    assert newest is not None
    return [step.to_state for step in deployment_history(newest.deployment_id, services).transitions]


def test_killed_at_every_state_it_ends_serving_with_one_server_and_one_lease(platform, tiny_models):
    model = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    for last in (*PATH[:2], "in the middle of starting", *PATH[2:]):
        assert deploy_and_die(model.model_id, last) == -signal.SIGKILL, last
    assert deploy_and_die(model.model_id, "never") == 0
    assert states(platform, model.model_id) == PATH
    (server,) = all_servers(platform.settings)
    with platform.unit_of_work() as uow:
        (lease,) = uow.leases.all()
        endpoints = {endpoint.model_id: endpoint for endpoint in uow.models.deployed()}
    assert (lease.owner, lease.kind) == (f"model-server-{server.key}", LeaseKind.SERVING)
    endpoint = endpoints[model.model_id]
    assert client.ask(endpoint.base_url, endpoint.served_model_name, "하나", 4)


def test_a_version_leaves_after_its_last_answer_and_the_last_one_takes_its_server_along(platform, tiny_models):
    model = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    base, tuned = deploy(DeployRequest(model_id=model.model_id), platform).arms
    with platform.unit_of_work() as uow:
        uow.models.set_status(model.model_id, ModelStatus.PRODUCTION)
    with pytest.raises(ConflictError, match="in production stays"):
        undeploy(UndeployRequest(model_id=model.model_id), platform)
    with platform.unit_of_work() as uow:
        uow.models.set_status(model.model_id, ModelStatus.STAGING)
    assert client.requests_in_flight(tuned.base_url, tuned.served_model_name, is_adapter=True) == 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        long = pool.submit(client.ask, tuned.base_url, tuned.served_model_name, "하나", 450, ignore_eos=True)
        while not client.requests_in_flight(tuned.base_url, tuned.served_model_name, is_adapter=True):
            time.sleep(0.01)
        undeploy(UndeployRequest(model_id=model.model_id), platform)
        assert long.result(timeout=60)
    assert states(platform, model.model_id)[-2:] == [DeploymentState.DRAINING, DeploymentState.STOPPED]
    assert client.model_names(base.base_url) == [base.served_model_name]
    undeploy(UndeployRequest(model_id=base.model_id), platform)
    assert all_servers(platform.settings) == []
    with platform.unit_of_work() as uow:
        assert uow.models.deployed() == []


@pytest.mark.deep
def test_a_server_that_runs_already_takes_an_adapter_by_its_url(platform, tiny_models):
    first = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    base, _ = deploy(DeployRequest(model_id=first.model_id), platform).arms
    second = register(platform, tiny_models, tiny_models.second_adapter, content="bbbbbbbb2222")
    config = DeploymentConfig(
        backend=ServerBackend.URL, base_url=base.base_url, served_model_name=base.served_model_name
    )
    arms = deploy(DeployRequest(model_id=second.model_id, config=config), platform).arms
    assert (arms[1].backend, arms[1].served_model_name) == (ServerBackend.URL, "rules-v2-bbbbbbbb")
    assert client.ask(base.base_url, "rules-v2-bbbbbbbb", "하나", 4)
    undeploy(UndeployRequest(model_id=second.model_id), platform)
    assert "rules-v2-bbbbbbbb" not in client.model_names(base.base_url)
    assert len(all_servers(platform.settings)) == 1


def test_a_version_that_is_served_otherwise_than_trained_fails_and_the_present_one_serves_on(
    platform, tiny_models, tmp_path
):
    present = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    deploy(DeployRequest(model_id=present.model_id), platform)
    with platform.unit_of_work() as uow:
        uow.models.set_status(present.model_id, ModelStatus.PRODUCTION)
        before = uow.models.deployed()
        certificate = uow.certificates.newest(present.model_id)
    assert certificate is not None
    assert certificate.passed
    assert {check.name: check.passed for check in certificate.checks} == dict.fromkeys(CHECKS, True)
    assert certificate.prompts >= MINIMUM_PROMPTS
    folder = shutil.copytree(tiny_models.second_adapter, tmp_path / "second")
    changed = register(platform, tiny_models, folder, content="bbbbbbbb2222")
    place = place_of(changed, DeploymentConfig(), platform)
    assert place.adapter is not None
    client.load_adapter(before[0].base_url, place.adapter)
    # the server has the files in memory; those on the disk are others by now
    make_tiny_adapter(folder, tiny_models.base, rank=16, seed=3)
    with pytest.raises(JobFailedError, match="not what was trained"):
        deploy(DeployRequest(model_id=changed.model_id), platform)
    assert states(platform, changed.model_id)[-1] is DeploymentState.FAILED
    with platform.unit_of_work() as uow:
        assert uow.models.deployed() == before
        refused = uow.certificates.newest(changed.model_id)
    assert refused is not None
    assert refused.first_difference is not None
    assert refused.first_difference.trainer_id != refused.first_difference.server_id
    assert place.name not in client.model_names(before[0].base_url)
