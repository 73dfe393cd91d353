"""Deployments move by compare-and-set, and keep their history."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from contracts.deployments import DeploymentConfig
from contracts.enums import Arm, DeploymentState, ModelFormat, ModelStatus, ServerBackend
from database.unit_of_work import unit_of_work
from tests.conftest import REPOSITORY_ROOT

MOVER = """
import sys
from contracts.enums import DeploymentState
from database.unit_of_work import unit_of_work

url, deployment_id = sys.argv[1], int(sys.argv[2])
sys.stdin.readline()
with unit_of_work(url) as uow:
    print(uow.deployments.move(deployment_id, DeploymentState.PLANNED, DeploymentState.STARTING, {}))
"""


def plan(url: str, content: str = "a" * 64):
    with unit_of_work(url) as uow:
        model = uow.models.add(
            model_name="rules",
            version=None,
            base_model="base",
            base_model_path="/models/base",
            finetuning_job_id=None,
            model_path="/models/rules",
            model_format=ModelFormat.HUGGINGFACE,
            model_size_gb=0.1,
            status=ModelStatus.STAGING,
            mlflow_model_uri=None,
            content_hash=content,
        )
        return uow.deployments.plan(
            model_id=model.model_id, arm=Arm.B, config=DeploymentConfig(), server_key="base-1", served_model_name="r"
        )


def test_a_version_has_one_deployment_that_is_not_over(database_url):
    first = plan(database_url)
    assert plan(database_url) == first
    with unit_of_work(database_url) as uow:
        assert uow.deployments.move(first.deployment_id, DeploymentState.PLANNED, DeploymentState.FAILED, {"what": "x"})
    second = plan(database_url)
    assert second.deployment_id != first.deployment_id
    with unit_of_work(database_url) as uow:
        assert uow.deployments.on_server("base-1") == [second]
        steps = [(step.from_state, step.to_state) for step in uow.deployments.transitions(first.deployment_id)]
    assert steps == [(None, DeploymentState.PLANNED), (DeploymentState.PLANNED, DeploymentState.FAILED)]


def test_two_processes_do_not_both_move_it(database_url):
    deployment = plan(database_url)
    movers = [
        subprocess.Popen(
            [sys.executable, "-c", MOVER, database_url, str(deployment.deployment_id)],
            cwd=REPOSITORY_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = sorted(mover.communicate("go\n", timeout=300)[0].strip() for mover in movers)
    assert answers == ["False", "True"]
    with unit_of_work(database_url) as uow:
        assert len(uow.deployments.transitions(deployment.deployment_id)) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"extra_arguments": {"chat-template": "mine.jinja"}},
        {"extra_arguments": {"served-model-name": "other"}},
        {"backend": "url"},
        {"base_url": "http://127.0.0.1:8000/v1"},
        {"backend": "url", "base_url": "http://127.0.0.1:8000/v1", "served_model_name": "m", "max_num_seqs": 8},
        {"gpu_share": 1.5},
    ],
)
def test_settings_that_would_serve_something_else_are_refused(wrong):
    with pytest.raises(ValidationError):
        DeploymentConfig.model_validate(wrong)


def test_settings_come_back_from_the_database_as_they_went_in(database_url):
    config = DeploymentConfig(
        backend=ServerBackend.VLLM, max_num_seqs=8, extra_arguments={"seed": 1, "enable-prefix-caching": True}
    )
    deployment = plan(database_url)
    with unit_of_work(database_url) as uow:
        uow.deployments.move(
            deployment.deployment_id,
            DeploymentState.PLANNED,
            DeploymentState.STARTING,
            {},
            config=config.model_dump(mode="json"),
        )
        assert uow.deployments.get(deployment.deployment_id).config == config
