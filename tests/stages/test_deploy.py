"""Stage deploy: from a registered version to two arms that answer."""

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openai import OpenAI

from contracts.enums import Arm, ModelFormat, ModelStatus, ParityForm, ServerBackend
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.experiments import StartABTestRequest
from contracts.models import DeployRequest, ModelVersion
from deployment import client
from settings import load_settings
from stages.base_versions import base_content_hash, is_unchanged_since
from stages.deploy import deploy
from stages.services import Services, open_services
from stages.start_ab_test import start_ab_test
from tests.deployment.supervised import running_supervisor
from tests.model_fixtures import require_vllm, tiny_models
from tests.serving_api.running import running_service, stored_answers, wait_until
from tests.tiny_model import greedy_answers

__all__ = ["tiny_models"]

pytestmark = pytest.mark.slow


@pytest.fixture
def platform(database_url, monkeypatch, request) -> Iterator[Services]:
    """An installation with a supervisor and a database."""
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        monkeypatch.setenv("TUNEWAY_DATA_DIR", folder)
        monkeypatch.setenv("TUNEWAY_DATABASE_URL", database_url)
        monkeypatch.setenv("TUNEWAY_MODEL_SERVER_PORT", "24300")
        monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", getattr(request, "param", "embedded"))
        settings = load_settings()
        with running_supervisor(settings):
            yield open_services(settings)


def register(services: Services, tiny_models, folder: Path, *, content: str, whole: bool = False) -> ModelVersion:
    with services.unit_of_work() as uow:
        return uow.models.add(
            model_name="rules",
            version=None,
            base_model="tiny-base",
            base_model_path=str(tiny_models.base),
            finetuning_job_id=None,
            model_path=str(folder),
            model_format=ModelFormat.HUGGINGFACE if whole else ModelFormat.LORA_ADAPTER,
            model_size_gb=0.1,
            status=ModelStatus.STAGING,
            mlflow_model_uri=None,
            content_hash=content,
        )


@pytest.mark.parametrize("platform", ["embedded", pytest.param("vllm", marks=pytest.mark.deep)], indirect=True)
def test_the_first_version_stands_beside_its_base_and_users_reach_both(platform, tiny_models):
    if platform.settings.model_server_backend == "vllm":
        require_vllm(platform.settings)
    model = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    deployment = deploy(DeployRequest(model_id=model.model_id), platform)
    a, b = deployment.arms
    assert (a.arm, a.version, b.arm, b.model_id) == (Arm.A, "base", Arm.B, model.model_id)
    assert b.served_model_name == "rules-v1-aaaaaaaa"
    assert a.base_url == b.base_url
    assert a.backend is ServerBackend(platform.settings.model_server_backend)
    with platform.unit_of_work() as uow:
        certificates = [uow.certificates.newest(arm.model_id) for arm in deployment.arms]
    assert [(one.passed, one.form) for one in certificates if one is not None] == [
        (True, ParityForm.WHOLE), (True, ParityForm.ADAPTER),
    ]  # fmt: skip
    start_ab_test(
        StartABTestRequest(experiment_name="e", model_a_id=a.model_id, model_b_id=b.model_id, target_samples=None),
        platform,
    )
    question = "휴게소 점검은 언제 합니까?"
    expected = {
        "a": greedy_answers(tiny_models.base, [question], 12)[0],
        "b": greedy_answers(tiny_models.base, [question], 12, tiny_models.adapter)[0],
    }
    assert expected["a"] != expected["b"]
    seen = set()
    with running_service(platform) as (url, app):
        wait_until(lambda: app.routing.table is not None and app.routing.table.experiments)
        openai = OpenAI(base_url=f"{url}/v1", api_key="none")
        for number in range(12):
            answer = openai.chat.completions.with_raw_response.create(
                model="auto",
                messages=[{"role": "user", "content": question}],
                max_tokens=12,
                temperature=0,
                user=f"user-{number}",
            )
            arm = answer.headers["x-tuneway-arm"]
            assert answer.parse().choices[0].message.content == expected[arm]
            seen.add(arm)
        wait_until(lambda: len(stored_answers(platform)) == 12)
    assert seen == {"a", "b"}
    assert all(row["response"] == expected[row["variant"]] for row in stored_answers(platform))


def test_a_base_model_that_was_written_again_is_not_the_one_that_was_certified(tmp_path):
    weights, before = tmp_path / "model.safetensors", datetime.now(UTC)
    weights.write_bytes(b"weights")
    os.utime(weights, (before.timestamp() - 60,) * 2)
    assert is_unchanged_since(tmp_path, before)
    os.utime(weights, (before.timestamp() + 60,) * 2)
    assert not is_unchanged_since(tmp_path, before)


def test_deploying_again_changes_nothing(platform, tiny_models):
    model = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    first = deploy(DeployRequest(model_id=model.model_id), platform)
    assert deploy(DeployRequest(model_id=model.model_id), platform) == first
    with platform.unit_of_work() as uow:
        assert len(uow.models.newest()) == 2
        assert sorted(uow.models.deployed(), key=lambda endpoint: endpoint.arm) == first.arms


def test_a_second_version_stands_beside_the_production_version(platform, tiny_models):
    first = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    deploy(DeployRequest(model_id=first.model_id), platform)
    with platform.unit_of_work() as uow:
        uow.models.set_status(first.model_id, ModelStatus.PRODUCTION)
    second = register(platform, tiny_models, tiny_models.second_adapter, content="bbbbbbbb2222")
    deployment = deploy(DeployRequest(model_id=second.model_id), platform)
    assert [(arm.arm, arm.model_id) for arm in deployment.arms] == [(Arm.A, first.model_id), (Arm.B, second.model_id)]
    assert deployment.arms[0].base_url == deployment.arms[1].base_url
    names = set(client.model_names(deployment.arms[0].base_url))
    assert {"rules-v1-aaaaaaaa", "rules-v2-bbbbbbbb"} <= names


def test_a_whole_model_has_a_server_of_its_own(platform, tiny_models, tmp_path):
    from tests.tiny_model import make_tiny_model

    whole = register(platform, tiny_models, make_tiny_model(tmp_path / "whole", seed=5), content="cccc1", whole=True)
    deployment = deploy(DeployRequest(model_id=whole.model_id), platform)
    a, b = deployment.arms
    assert a.base_url != b.base_url
    question = "안전 점검은 언제 합니까?"
    assert (
        client.ask(b.base_url, b.served_model_name, question, 12)
        == greedy_answers(tmp_path / "whole", [question], 12)[0]
    )


def test_a_version_whose_files_are_gone_is_not_deployed(platform, tiny_models, tmp_path):
    model = register(platform, tiny_models, tmp_path, content="dddddddd")
    with pytest.raises(InvalidRequestError, match="no LoRA adapter"):
        deploy(DeployRequest(model_id=model.model_id), platform)
    with platform.unit_of_work() as uow:
        assert uow.models.deployed() == []


def test_a_base_model_is_not_deployed_by_itself(platform, tiny_models):
    with platform.unit_of_work() as uow:
        base = uow.models.ensure_base("tiny-base", str(tiny_models.base), 0.1, base_content_hash(tiny_models.base))
    with pytest.raises(ConflictError, match="not deployed by itself"):
        deploy(DeployRequest(model_id=base.model_id), platform)


def test_an_unknown_version_is_not_found(platform):
    with pytest.raises(NotFoundError):
        deploy(DeployRequest(model_id=99), platform)
