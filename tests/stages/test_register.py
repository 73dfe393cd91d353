"""Stage register: only what passed, whole and unchanged, once for the same content."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.enums import ModelFormat, ModelStatus
from contracts.errors import ConflictError, UnavailableError
from contracts.evaluation import GateRequest, GateVerdict
from contracts.models import RegisterRequest
from registry.catalog import CHALLENGER, STAGING, get_version
from registry.client import open_client
from registry.mirror import STATUS_TAG
from settings import load_settings
from settings.model import REPOSITORY_ROOT
from stages.gate import gate
from stages.register import register
from stages.services import Services, open_services
from storage.files import sha256_of_file
from tests.evaluation.builders import report, suite
from tests.ports import free_port
from tests.security.model_folders import weights_saying
from tests.stages.finished_job import finished_job


class Subject:
    """A finished, evaluated job whose files are small enough to read."""

    def __init__(
        self, services: Services, folder: Path, job_name: str, tuned: int = 190, weights: str = "weights"
    ) -> None:
        self.services = services
        self.base = folder / "base"
        self.output = folder / job_name
        self.base.mkdir(exist_ok=True)
        self.output.mkdir()
        (self.base / "config.json").write_text("{}")
        (self.output / "adapter_config.json").write_text('{"r": 8}')
        (self.output / "adapter_model.safetensors").write_bytes(weights_saying(weights))
        self.job = finished_job(services, base_model=self.base, output=self.output, job_name=job_name)
        extras = [suite("unseen", 50, 1, 35)]
        with services.unit_of_work() as uow:
            example = report(tuned=tuned, extras=extras).model_copy(update={"job_id": self.job.job_id})
            self.evaluation_id = uow.evaluations.add(example, content_key=f"evaluate-{job_name}").evaluation_id

    def decide(self, bar: float = 0.90) -> GateVerdict:
        return gate(GateRequest(evaluation_id=self.evaluation_id, accuracy_bar=bar), self.services)

    def request(self, model_name: str = "regulations-assistant", **changes: Any) -> RegisterRequest:
        return RegisterRequest(
            job_id=self.job.job_id, evaluation_id=self.evaluation_id, model_name=model_name, **changes
        )


def test_a_model_without_a_verdict_is_refused(services, tmp_path):
    subject = Subject(services, tmp_path, "job-a")
    with pytest.raises(ConflictError, match="no verdict yet"):
        register(subject.request(), services)


def test_a_model_that_failed_the_gate_is_refused(services, tmp_path):
    subject = Subject(services, tmp_path, "job-a", tuned=150)
    subject.decide()
    with pytest.raises(ConflictError, match="Only a model that passed the gate"):
        register(subject.request(), services)
    assert not (services.settings.models_dir / "registered").exists()


def test_a_pass_over_a_lower_bar_does_not_count(services, tmp_path):
    subject = Subject(services, tmp_path, "job-a", tuned=150)
    subject.decide(bar=0.5)
    with pytest.raises(ConflictError, match="lower bar"):
        register(subject.request(accuracy_bar=0.9), services)


def test_the_evaluation_of_another_job_does_not_count(services, tmp_path):
    good, bad = Subject(services, tmp_path, "job-a"), Subject(services, tmp_path, "job-b", weights="others")
    good.decide()
    mixed = bad.request().model_copy(update={"evaluation_id": good.evaluation_id})
    with pytest.raises(ConflictError, match="another fine-tuning job"):
        register(mixed, services)


@pytest.fixture
def real_services(services, mlflow_server, monkeypatch):
    """Services with a real MLflow."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    return open_services(load_settings())


@pytest.mark.slow
def test_a_version_is_a_whole_folder_a_row_and_an_entry_in_mlflow(real_services, tmp_path):
    subject = Subject(real_services, tmp_path, "job-a")
    subject.decide()
    version = register(subject.request("assistant-a", description="규정 안내", tags=["korean"]), real_services)

    assert (version.version, version.status) == ("1", ModelStatus.STAGING)
    assert version.model_format is ModelFormat.LORA_ADAPTER
    folder = real_services.settings.models_dir / "registered" / "assistant-a" / f"v1-{version.content_hash[:8]}"
    assert version.model_path == str(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {entry["path"]: entry["sha256"] for entry in manifest["files"]} == {
        name: sha256_of_file(folder / name) for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    assert manifest["base_config_sha256"] == sha256_of_file(subject.base / "config.json")
    assert manifest["dataset"]["version"] == "v1.0"
    card = (folder / "MODEL_CARD.md").read_text()
    assert "| regulations | 10.0 %" in card
    assert "기반 모델의 이용 허락: 모델 폴더에 적혀 있지 않아" in card
    assert "- 판정: **합격** (지표: 정확도, 기준 90.0 %)" in card

    catalogued = get_version(real_services.settings.resolved_mlflow_tracking_url, "assistant-a", CHALLENGER)
    assert version.mlflow_model_uri == catalogued.uri == "models:/assistant-a/1"
    assert sorted(catalogued.aliases) == [CHALLENGER, STAGING]
    assert catalogued.tags[STATUS_TAG] == "staging"
    assert catalogued.description == card
    assert catalogued.tags["tuneway.accuracy"] == "0.9500"
    with real_services.unit_of_work() as uow:
        assert uow.models.get(version.model_id) == version
        assert uow.models.production("assistant-a") is None


@pytest.mark.slow
def test_registering_twice_is_registering_once(real_services, tmp_path):
    subject = Subject(real_services, tmp_path, "job-a")
    subject.decide()
    first = register(subject.request("assistant-b"), real_services)
    assert register(subject.request("assistant-b"), real_services) == first
    client = open_client(real_services.settings.resolved_mlflow_tracking_url)
    assert len(client.search_model_versions("name='assistant-b'")) == 1
    assert len(list((real_services.settings.models_dir / "registered" / "assistant-b").iterdir())) == 1


@pytest.mark.slow
def test_other_weights_are_the_next_version_and_the_new_challenger(real_services, tmp_path):
    first, second = (
        Subject(real_services, tmp_path, "job-a"),
        Subject(real_services, tmp_path, "job-b", weights="other weights"),
    )
    for subject in (first, second):
        subject.decide()
        register(subject.request("assistant-c"), real_services)
    url = real_services.settings.resolved_mlflow_tracking_url
    assert get_version(url, "assistant-c", CHALLENGER).version == "2"
    register(first.request("assistant-c"), real_services)
    assert get_version(url, "assistant-c", CHALLENGER).version == "2"


@pytest.mark.slow
def test_what_an_outage_of_mlflow_interrupted_is_completed_by_a_retry(real_services, services, monkeypatch, tmp_path):
    subject = Subject(real_services, tmp_path, "job-a")
    subject.decide()
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnavailableError, match="MLflow"):
        register(subject.request("assistant-d"), open_services(load_settings()))
    version = register(subject.request("assistant-d"), real_services)
    assert (version.version, version.mlflow_model_uri) == ("1", "models:/assistant-d/1")


@pytest.mark.slow
def test_every_suite_is_a_benchmark_of_the_version(real_services, tmp_path):
    from sqlalchemy import select

    from database.models import ModelBenchmark

    subject = Subject(real_services, tmp_path, "job-a")
    subject.decide()
    version = register(subject.request("assistant-e"), real_services)
    with real_services.unit_of_work() as uow:
        rows = uow.session.execute(
            select(ModelBenchmark.benchmark_name, ModelBenchmark.score).where(
                ModelBenchmark.model_id == version.model_id
            )
        ).all()
    assert sorted(tuple(row) for row in rows) == [("regulations", 0.95), ("unseen", 0.7)]


@pytest.mark.slow
def test_the_same_weights_under_two_names_lie_on_the_disk_once(real_services, tmp_path):
    subject = Subject(real_services, tmp_path, "job-a")
    subject.decide()
    first, second = (register(subject.request(name), real_services) for name in ("assistant-g", "assistant-h"))
    one, other = (Path(version.model_path) / "adapter_model.safetensors" for version in (first, second))
    assert one.samefile(other)
    assert not one.samefile(subject.output / "adapter_model.safetensors")
    assert one.stat().st_mode & 0o222 == 0


@pytest.mark.slow
def test_a_registration_killed_while_it_copies_leaves_nothing_that_hinders_the_next(real_services, tmp_path):
    subject = Subject(real_services, tmp_path, "job-a", weights="0" * 200_000_000)
    subject.decide()
    request = subject.request("assistant-f")
    code = (
        "import sys; from contracts.models import RegisterRequest; from stages.register import register\n"
        "from stages.services import open_services\n"
        "register(RegisterRequest.model_validate_json(sys.argv[1]), open_services())"
    )
    process = subprocess.Popen([sys.executable, "-c", code, request.model_dump_json()], cwd=REPOSITORY_ROOT)
    registered = real_services.settings.models_dir / "registered" / "assistant-f"
    while not list(registered.glob(".*.tmp")):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert list(registered.glob("v*")) == []

    version = register(request, real_services)

    assert [folder.name for folder in registered.glob("v*")] == [f"v1-{version.content_hash[:8]}"]
    assert (version.version, version.mlflow_model_uri) == ("1", "models:/assistant-f/1")
