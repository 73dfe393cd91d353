"""Compression as a stage: made from a real parent, recorded, judged against it, registered with what it costs."""

import json
from pathlib import Path

import pytest

from contracts.compression import CompressRequest
from contracts.enums import JobStatus, Method
from contracts.errors import ConflictError, InvalidRequestError
from contracts.evaluation import EvaluateRequest, GateRequest
from contracts.models import RegisterRequest
from settings import load_settings
from stages.compress_model import check_request, compress_model, create_job
from stages.evaluate import evaluate
from stages.gate import gate
from stages.register import register
from stages.services import open_services
from tests.conftest import free_port
from tests.model_fixtures import require_vllm
from tests.stages.finished_job import finished_job

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def alone(services, mlflow_server, monkeypatch):
    """No runner: jobs run in the foreground."""
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    return open_services(load_settings())


def request_for(job_id, compression="neurons", **changes):
    return CompressRequest.model_validate(
        {"job_name": "small", "parent_job_id": job_id, "compression": compression, "group_size": 32, **changes}
    )


def test_a_compressed_adapter_is_judged_against_its_merged_parent_and_registered_with_the_cost(
    alone, tiny_model, tiny_adapter
):
    """In 8 bits, served by the real vLLM."""
    require_vllm(alone.settings)
    talks = [(f"통행료 {number}번 환급은 며칠 안에 처리됩니까?", f"{number}일") for number in range(8)]
    parent = finished_job(alone, base_model=tiny_model, output=tiny_adapter, test_talks=talks)
    request = request_for(parent.job_id, "int8")
    report = compress_model(request, alone)

    facts = report.compression
    assert facts is not None
    assert facts.compressed_bytes < 0.7 * facts.parent_bytes
    assert (report.method, report.base_model) == (Method.FULL, parent.report.job_name)
    assert (Path(report.base_model_path) / "config.json").exists()
    with alone.unit_of_work() as uow:
        job = uow.jobs.get(report.job_id)
    assert (job.status, job.report) == (JobStatus.COMPLETED, report)
    assert compress_model(request, alone) == report

    judged = evaluate(EvaluateRequest(job_id=report.job_id, max_answer_tokens=8), alone)
    assert judged.backend.value == "vllm"
    assert judged.main.base.n == judged.main.tuned.n == 8

    # nothing a random model answers is right: the gate's own test judges honest numbers, this one the way to the card
    verdict = gate(GateRequest(evaluation_id=judged.evaluation_id, accuracy_bar=0.5), alone)
    assert not verdict.passed
    with alone.unit_of_work() as uow:
        uow.evaluations.record_verdict(verdict.model_copy(update={"decision": "pass"}))
    version = register(
        RegisterRequest(job_id=report.job_id, evaluation_id=judged.evaluation_id, model_name="small", accuracy_bar=0.5),
        alone,
    )
    card = (Path(version.model_path) / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## 압축" in card
    assert "INT8" in card
    assert "| 문항 | 압축 전 | 압축 후 |" in card
    manifest = json.loads((Path(version.model_path) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["compression"]["method"] == "int8"


def test_a_model_with_fewer_neurons_is_made_from_a_whole_model(alone, tiny_model):
    parent = finished_job(alone, base_model=tiny_model, output=tiny_model, method=Method.FULL)
    report = compress_model(request_for(parent.job_id), alone)
    assert report.base_model_path == str(tiny_model)
    assert report.compression is not None
    assert report.compression.compressed_bytes < report.compression.parent_bytes
    with pytest.raises(InvalidRequestError, match="compressed already"):
        check_request(request_for(report.job_id, job_name="smaller"), alone)


def test_what_cannot_be_compressed_is_refused_before_a_job_is_made(alone, tiny_model, monkeypatch, tmp_path):
    waiting = finished_job(alone, base_model=tiny_model, output=tiny_model, method=Method.FULL, complete=False)
    with pytest.raises(ConflictError, match="no model to compress"):
        create_job(request_for(waiting.job_id), alone)
    done = finished_job(alone, base_model=tiny_model, output=tiny_model, method=Method.FULL, job_name="done")
    with pytest.raises(InvalidRequestError, match="groups"):
        create_job(request_for(done.job_id, "gptq", group_size=128), alone)
    create_job(request_for(done.job_id), alone)
    with pytest.raises(ConflictError, match="another request"):
        create_job(request_for(done.job_id, sparsity=0.25), alone)
    monkeypatch.setenv("TUNEWAY_VLLM_PYTHON", str(tmp_path / "none"))
    with pytest.raises(InvalidRequestError, match="Only vLLM"):
        create_job(request_for(done.job_id, "int8", job_name="eight"), open_services(load_settings()))
