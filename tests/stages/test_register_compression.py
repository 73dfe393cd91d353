"""A compressed model is registered only with what it costs, on the suite by which its parent was judged."""

import json
from pathlib import Path

import pytest

from contracts.compression import CompressModelRequest
from contracts.enums import Method
from contracts.errors import ConflictError
from contracts.evaluation import EvaluationReport, GateRequest
from contracts.models import ModelVersion, RegisterRequest
from registry.catalog import CHALLENGER, get_version
from settings import load_settings
from stages.compress_model import check_suites
from stages.gate import gate
from stages.register import register
from stages.services import Services, open_services
from tests.evaluation.builders import report, suite
from tests.security.model_folders import weights_saying
from tests.stages.compression import FACTS
from tests.stages.finished_job import FinishedJob, finished_job, write_suite


class Compressed:
    """A parent that was judged by the suite `regulations`, and a smaller model made of it."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        self.parent = self._job(folder, "parent")
        self.evaluated(self.parent.job_id, report(base=20, tuned=190))
        small = self._job(folder, "small")
        facts = FACTS.model_copy(update={"parent_job_id": self.parent.job_id})
        self.job_id = small.job_id
        with services.unit_of_work() as uow:
            uow.jobs.complete(self.job_id, small.report.model_copy(update={"compression": facts}))

    def _job(self, folder: Path, name: str) -> FinishedJob:
        output = folder / name
        output.mkdir()
        (output / "config.json").write_text(json.dumps({"name": name}))
        (output / "model.safetensors").write_bytes(weights_saying(name))
        return finished_job(self.services, base_model=output, output=output, method=Method.FULL, job_name=name)

    def evaluated(self, job_id: int, found: EvaluationReport) -> int:
        with self.services.unit_of_work() as uow:
            return uow.evaluations.add(
                found.model_copy(update={"job_id": job_id}), content_key=f"evaluate-{job_id}-{found.parent_job_id}"
            ).evaluation_id

    def registered(self, found: EvaluationReport, model_name: str = "small") -> ModelVersion:
        evaluation_id = self.evaluated(self.job_id, found)
        gate(GateRequest(evaluation_id=evaluation_id, accuracy_bar=0.9), self.services)
        return register(
            RegisterRequest(job_id=self.job_id, evaluation_id=evaluation_id, model_name=model_name), self.services
        )

    def compared(self, name: str = "regulations", sha256: str = "0" * 64) -> EvaluationReport:
        """The compressed model's evaluation beside its parent's on that suite."""
        found = report(base=190, tuned=186).model_copy(update={"parent_job_id": self.parent.job_id})
        return found.model_copy(update={"main": found.main.model_copy(update={"name": name, "sha256": sha256})})


def test_a_compression_that_was_not_compared_with_its_parent_is_refused(services, tmp_path):
    subject = Compressed(services, tmp_path)
    with pytest.raises(ConflictError, match="only with what it costs"):
        subject.registered(subject.compared().model_copy(update={"parent_job_id": None}))
    assert not (services.settings.models_dir / "registered").exists()


def test_a_compression_judged_by_another_suite_than_its_parent_is_refused(services, tmp_path):
    subject = Compressed(services, tmp_path)
    with pytest.raises(ConflictError, match="by the same suite as its parent") as caught:
        subject.registered(subject.compared("easier", "1" * 64))
    assert caught.value.value == "easier"
    assert "regulations" in caught.value.allowed


def test_the_wrong_suite_is_told_before_anything_is_compressed(services, tmp_path):
    subject = Compressed(services, tmp_path)
    case = {"id": "1", "question": "보존 기간은?", "accepted_answers": ["5년"]}
    path = write_suite(services, "easier", [case])
    asked = CompressModelRequest(job_name="x", parent_job_id=subject.parent.job_id, test_suite=path)
    with pytest.raises(ConflictError, match="by the same suite as its parent"):
        check_suites(asked, services)
    fresh = finished_job(services, base_model=tmp_path, output=tmp_path, method=Method.FULL, job_name="never-judged")
    check_suites(asked.model_copy(update={"parent_job_id": fresh.job_id}), services)


@pytest.mark.slow
def test_the_registered_version_carries_its_loss_its_parent_and_the_suite(
    services, mlflow_server, monkeypatch, tmp_path
):
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    subject = Compressed(open_services(load_settings()), tmp_path)
    parent = RegisterRequest(job_id=subject.parent.job_id, evaluation_id=1, model_name="assistant")
    with subject.services.unit_of_work() as uow:
        judged = uow.evaluations.latest_for_job(subject.parent.job_id)
    assert judged is not None
    gate(GateRequest(evaluation_id=judged.evaluation_id, accuracy_bar=0.9), subject.services)
    register(parent.model_copy(update={"evaluation_id": judged.evaluation_id}), subject.services)

    extra = suite("unseen", 50, 40, 30)
    version = subject.registered(subject.compared().model_copy(update={"extras": [extra]}))
    folder = Path(version.model_path)
    written = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["compression"]
    assert (written["method"], written["parent_job_id"]) == ("int8", subject.parent.job_id)
    assert written["parent_version"] == "assistant 1"
    assert [cost["suite"] for cost in written["costs"]] == ["regulations", "unseen"]
    main = written["costs"][0]
    assert main["lost"] == pytest.approx(0.02)
    assert main["interval"]["lower"] < 0.02 < main["interval"]["upper"]
    assert (main["newly_wrong"], main["newly_right"]) == (14, 10)
    tags = get_version(subject.services.settings.resolved_mlflow_tracking_url, "small", CHALLENGER).tags
    assert tags["tuneway.accuracy_lost"] == "0.0200"
    assert tags["tuneway.parent_version"] == "assistant 1"
    assert tags["tuneway.accuracy_lost_suite"] == "regulations (000000000000)"
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- 정확도 손실(regulations): +2.0 %p" in card
    assert "1.50배" in card
    assert "| 문항 | 압축 전 | 압축 후 |" in card
