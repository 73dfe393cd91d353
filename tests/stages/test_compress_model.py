"""Compression as a stage: made from a real parent, recorded, judged against it, registered with what it costs."""

import json
import sys
from pathlib import Path

import pytest

from contracts.compression import CompressRequest
from contracts.enums import JobStatus, Method
from contracts.errors import ConflictError, InvalidRequestError
from contracts.evaluation import EvaluateRequest, GateRequest
from contracts.models import RegisterRequest
from contracts.training import CheckpointRecord, TrainRequest
from registry.client import open_client
from settings import load_settings
from stages.compress_model import check_request, compress_model, create_job
from stages.evaluate import evaluate
from stages.gate import gate
from stages.register import register
from stages.services import open_services
from stages.train import check_request as check_training
from tests.model_fixtures import require_vllm
from tests.ports import free_port
from tests.stages.finished_job import finished_job
from tests.tiny_model import make_tiny_model
from tests.training.tiny_model import make_base_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def alone(services, mlflow_server, monkeypatch):
    """No runner: jobs run in the foreground. INT8 is measured on any processor."""
    monkeypatch.setenv("TUNEWAY_ALLOW_INEXACT_INT8", "true")
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    return open_services(load_settings())


def request_for(job_id, compression="neurons", **changes):
    return CompressRequest.model_validate(
        {
            "job_name": "small",
            "parent_job_id": job_id,
            "compression": compression,
            "group_size": 32,
            "speed_seconds": 0,
            **changes,
        }
    )


@pytest.mark.deep
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


@pytest.mark.deep
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
    vllm_is_there = open_services(
        alone.settings.model_copy(
            update={"vllm_python": Path(sys.executable), "model_server_backend": "vllm", "allow_inexact_int8": False}
        )
    )
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx2\n", encoding="utf-8")
    monkeypatch.setattr("deployment.backends.CPU_INFO", tmp_path / "cpuinfo")
    with pytest.raises(InvalidRequestError, match="TUNEWAY_ALLOW_INEXACT_INT8"):
        create_job(request_for(done.job_id, "int8", job_name="eight"), vllm_is_there)
    monkeypatch.setenv("TUNEWAY_VLLM_PYTHON", str(tmp_path / "none"))
    with pytest.raises(InvalidRequestError, match="Only vLLM"):
        create_job(request_for(done.job_id, "int8", job_name="eight"), open_services(load_settings()))


@pytest.mark.deep
def test_a_student_is_distilled_judged_against_its_parent_and_measured(alone, tiny_model, monkeypatch):
    """Of one of the parent's own layers, served by the embedded server."""
    monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", "embedded")
    alone = open_services(load_settings())
    parent = finished_job(alone, base_model=tiny_model, output=tiny_model, method=Method.FULL)
    request = request_for(parent.job_id, "distill", student_layers=1, num_epochs=2, temperature=1.5, speed_seconds=0.1)
    report = compress_model(request, alone)

    facts = report.compression
    assert facts is not None
    assert (report.base_model, report.base_model_path) == (parent.report.job_name, str(tiny_model))
    assert report.steps == 2
    assert report.checkpoints
    assert report.hyperparameters["distill_temperature"] == 1.5
    assert facts.student == f"{parent.report.job_name}, 1 layers"
    assert facts.compressed_bytes < facts.parent_bytes
    assert facts.divergence_before is not None
    assert facts.divergence_after is not None
    assert facts.divergence_after < facts.divergence_before
    assert facts.speed is not None, facts.speed_missing
    assert [load.concurrency for load in facts.speed.loads] == [1, 16]
    with alone.unit_of_work() as uow:
        job = uow.jobs.get(report.job_id)
        saved = uow.jobs.checkpoints(report.job_id)
    assert (job.status, job.report) == (JobStatus.COMPLETED, report)
    assert [CheckpointRecord(**row.model_dump(exclude={"checkpoint_id"})) for row in saved] == report.checkpoints
    metrics = open_client(alone.settings.resolved_mlflow_tracking_url).get_run(str(report.mlflow_run_id)).data.metrics
    assert metrics["compression.divergence_after"] == pytest.approx(facts.divergence_after)
    assert metrics["compression.ratio.users_1"] == pytest.approx(facts.speed.loads[0].ratio)
    assert "loss" in metrics
    assert compress_model(request, alone) == report

    judged = evaluate(EvaluateRequest(job_id=report.job_id, max_answer_tokens=8), alone)
    assert judged.main.base.n == judged.main.tuned.n == 1


def test_a_student_that_cannot_learn_from_its_parent_is_refused_before_a_job_is_made(alone, tiny_model, tmp_path):
    parent = finished_job(alone, base_model=tiny_model, output=tiny_model, method=Method.FULL)
    roots = alone.settings.allowed_model_roots

    def refused(told, kind=InvalidRequestError, **changes):
        with pytest.raises(kind, match=told):
            create_job(request_for(parent.job_id, "distill", **changes), alone)

    refused("fewer layers", student_layers=2)
    refused("no such base model", student="nothing")
    refused("does not distill", student_layers=1, recipe="demo-full")
    other = make_base_model(roots[0] / "other")
    refused("tokenizer or chat template", student=str(other))
    large = roots[0] / "large"
    make_tiny_model(large)
    larger_than(large)
    refused("larger than its parent", student=str(large))
    with pytest.raises(InvalidRequestError, match="wants a finished model to learn from"):
        check_training(
            TrainRequest(
                job_name="any", dataset_id=parent.dataset_id, base_model="x", method="full", recipe="demo-distill"
            ),
            alone,
        )


@pytest.mark.parametrize(
    ("compression", "changes", "told"),
    [
        ("distill", {}, "either student, a base model, or student_layers"),
        ("distill", {"student": "a", "student_layers": 1}, "either student"),
        ("int8", {"student": "a", "temperature": 2.0}, "student, temperature: a matter of distill"),
    ],
)
def test_a_request_names_its_student_once_and_only_to_distill(compression, changes, told):
    with pytest.raises(ValueError, match=told):
        request_for(1, compression, **changes)


def larger_than(folder):
    """Add layers to the model's configuration; its weights play no part."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["num_hidden_layers"], config["layer_types"] = 40, ["full_attention"] * 40
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
