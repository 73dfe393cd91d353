"""The admin API."""

import json
import subprocess
import sys

import httpx
import pytest

from contracts.enums import Arm, StageName
from contracts.models import DeployRequest
from contracts.training import TrainRequest
from tests.conftest import REPOSITORY_ROOT
from tests.security.model_folders import plain_weights
from tests.serving_api.running import ADMIN_TOKEN, add_model, running_service, start_experiment
from tests.stages.test_jobs import make_job, save
from tests.training.fitting.qwen3 import QWEN3

pytestmark = pytest.mark.slow

HEADERS = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
PARTS = {"type", "title", "status", "detail", "code", "what", "value", "allowed", "next_step", "retryable"}


@pytest.fixture
def admin(services):
    with running_service(services) as (url, app):
        paths = {path: next(iter(methods)).upper() for path, methods in app.control.openapi()["paths"].items()}
        with httpx.Client(base_url=f"{url}/api/v1/admin", headers=HEADERS, timeout=60) as client:
            client.paths = paths  # type: ignore[attr-defined]
            yield client


@pytest.fixture
def experiment(services):
    a = add_model(services, "base", "base", "base-aaaa", "http://127.0.0.1:1/v1", Arm.A)
    b = add_model(services, "rules", "1", "rules-v1", "http://127.0.0.1:1/v1", Arm.B)
    started = start_experiment(services, a, b)
    ratings = {Arm.A: [1, 2, 3], Arm.B: [3, 4, 5]}
    with services.unit_of_work() as uow:
        for arm, values in ratings.items():
            for number, rating in enumerate(values):
                uow.experiments.log_answer(
                    experiment_id=started.experiment_id,
                    user_key=f"{arm}{number}",
                    session_id=None,
                    variant=arm,
                    model_id=(a if arm is Arm.A else b).model_id,
                    query="q",
                    response="r",
                    response_time_ms=100 * rating,
                    request_id=f"{arm}{number}",
                )
                uow.experiments.rate(f"{arm}{number}", rating, None)
    return started


def test_every_admin_path_refuses_a_call_without_the_token(admin):
    paths = [path for path in admin.paths if path.startswith("/api/v1/admin")]
    assert len(paths) >= 12
    for path in paths:
        method = admin.paths[path]
        concrete = path.replace("{dataset_id}", "1").replace("{job_id}", "1").replace("{model_id}", "1")
        concrete = concrete.replace("{experiment_id}", "1").replace("{run_id}", "r").replace("{user}", "u")
        concrete = concrete.removeprefix("/api/v1/admin")
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            response = httpx.request(method, f"{admin.base_url}{concrete.lstrip('/')}", headers=headers)
            assert response.status_code == 401, path
            assert response.headers["content-type"] == "application/problem+json"
            assert set(response.json()) == PARTS


def test_lists_are_empty_before_anything_was_made(admin):
    for path in ("training/datasets", "finetuning/jobs", "models", "ab-tests", "pipeline-runs"):
        assert admin.get(path).json()["items"] == [], path


def test_what_is_not_there_is_a_problem_with_four_parts(admin):
    for path in ("training/datasets/7", "finetuning/jobs/7", "models/7", "ab-tests/7", "pipeline-runs/latest"):
        response = admin.get(path)
        assert response.status_code == 404, path
        assert set(response.json()) == PARTS
        assert response.json()["code"] == "not_found"


def test_a_wrong_parameter_is_a_problem_that_names_it(admin):
    response = admin.get("models", params={"limit": 0})
    assert response.status_code == 422
    assert "limit" in response.json()["what"]


def test_a_body_that_is_no_text_is_a_problem_like_any_other(admin):
    for body in (b'{"a": "\xff"}', b"\xff\xfe", b'{"a": '):
        response = admin.post("finetuning/plan", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 422
        assert set(response.json()) == PARTS


def test_models_are_listed_in_pages_and_tell_where_they_answer(admin, experiment):
    page = admin.get("models", params={"limit": 1, "skip": 1}).json()
    assert [model["model_name"] for model in page["items"]] == ["base"]
    details = admin.get(f"models/{experiment.model_b_id}").json()
    assert details["deployment"]["served_model_name"] == "rules-v1"


def test_replays_of_a_test_are_listed_and_those_of_none_are_not_found(admin, experiment):
    assert admin.get(f"ab-tests/{experiment.experiment_id}/replays").json() == []
    assert admin.get("ab-tests/999/replays").status_code == 404


def test_results_are_true_to_the_stored_ratings(admin, experiment):
    results = admin.get(f"ab-tests/{experiment.experiment_id}/results").json()
    a, b = results["arms"]
    assert (a["samples"], a["mean_rating"], a["mean_response_time_ms"]) == (3, 2.0, 200.0)
    assert (b["samples"], b["mean_rating"], b["mean_response_time_ms"]) == (3, 4.0, 400.0)
    assert results["comparison"]["p_value"] == pytest.approx(0.070484, abs=1e-6)
    assert results["comparison"]["is_fixed_horizon"] is True
    assert results["comparison"]["planned_size_reached"] is False
    assert results["look"]["verdict"] == "keep_going"
    assert (results["look"]["users_a"], results["look"]["users_b"]) == (3, 3)
    assert results["look"]["more_users_needed"] == 54


def test_an_experiment_is_stopped_once_and_stays_stopped(admin, experiment, services):
    path = f"ab-tests/{experiment.experiment_id}"
    assert admin.get(path).json()["status"] == "running"
    assert admin.post(f"{path}/stop").json()["status"] == "stopped"
    assert admin.post(f"{path}/stop").json()["status"] == "stopped"
    with services.unit_of_work() as uow:
        assert uow.experiments.running() == []


def test_an_experiment_is_created_with_its_plan_and_concluded_once(admin, experiment):
    models = {"model_a_id": experiment.model_a_id, "model_b_id": experiment.model_b_id}
    refused = admin.post("ab-tests", json={"experiment_name": "spring", **models})
    assert refused.status_code == 409
    assert "accept_underpowered" in refused.json()["next_step"]
    wanted = {"experiment_name": "spring", **models, "target_samples": None, "layer_share": 0.5}
    full = admin.post("ab-tests", json=wanted)
    assert (full.status_code, "0.0% of the users are free" in full.json()["allowed"]) == (409, True)
    assert admin.post("ab-tests", json={**wanted, "make_room": True}).status_code == 422
    assert admin.post(f"ab-tests/{experiment.experiment_id}/stop").json()["status"] == "stopped"
    created = admin.post("ab-tests", json=wanted).json()
    assert created["plan"]["is_enough"]
    path = f"ab-tests/{created['experiment_id']}"
    concluded = admin.post(f"{path}/conclude", json={"winner": "a"})
    assert (concluded.status_code, concluded.json()["cause"]) == (200, "person")
    assert admin.get(path).json()["status"] == "completed"
    assert admin.post(f"{path}/conclude", json={"winner": "a"}).json() == concluded.json()
    assert admin.post(f"{path}/conclude", json={"winner": "b"}).status_code == 409


def test_a_pipeline_run_is_found_by_airflows_id(admin, services):
    run_id = "manual__2026-11-22T17:00:00+00:00"
    with services.unit_of_work() as uow:
        uow.pipeline_runs.start(run_id, "finetune_pipeline", {"a": 1})
        uow.pipeline_runs.stage_started(run_id, StageName.TRAIN)
    by_id = admin.get(f"pipeline-runs/{run_id.replace('+', '%2B')}").json()
    assert by_id["run_id"] == run_id
    assert by_id["stages"][0]["stage"] == "train"
    assert admin.get("pipeline-runs/latest").json() == by_id


def test_a_job_is_stopped_and_what_cannot_go_on_says_why(admin, services):
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="tiny", content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
            test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        request = TrainRequest(job_name="tiny", dataset_id=dataset.dataset_id, base_model="demo-base")
        job_id = uow.jobs.create(request, hyperparameters={}, base_model_path="/m")
    assert admin.post(f"finetuning/jobs/{job_id + 1}/stop").status_code == 404
    never_begun = admin.post(f"finetuning/jobs/{job_id}/stop").json()
    assert never_begun == {"job": None, "checkpoint_step": None}
    assert admin.get(f"finetuning/jobs/{job_id}").json()["status"] == "stopped"
    save(make_job(services.settings, job_id, "tiny", "failed"), 25)
    stopped = admin.post(f"finetuning/jobs/{job_id}/stop").json()
    assert (stopped["job"]["state"], stopped["checkpoint_step"]) == ("failed", 25)
    wrong = admin.post(f"finetuning/jobs/{job_id}/resume", json={"checkpoint": "../etc"})
    assert wrong.status_code == 422
    assert wrong.json()["allowed"] == "checkpoint-25"
    assert admin.post(f"finetuning/jobs/{job_id}/resume").status_code in {404, 503}  # no runner here


def test_a_training_is_planned_without_being_started_and_without_torch(admin, services):
    folder = services.settings.models_dir / "base" / "shape-only"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**QWEN3["0.6B"], "architectures": ["Qwen3ForCausalLM"]}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(plain_weights())
    wanted = {"recipe": "demo-lora", "base_model": "shape-only"}
    plan = admin.post("finetuning/plan", json=wanted).json()
    assert plan["memory"]["parts"]["weights"] > 2_000_000_000  # 0.6 billion in float32
    assert plan["verdict"] in {"fits", "tight", "too_large"}
    unknown = admin.post("finetuning/plan", json={**wanted, "recipe": "demo-lorra"})
    assert unknown.status_code == 422
    assert "did you mean demo-lora?" in unknown.json()["next_step"]
    code = (
        "import sys, serving_api.app, training.fitting.setup, training.methods.qlora; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY_ROOT)


def test_versions_are_not_deployed_undeployed_or_rolled_back_where_that_makes_no_sense(admin, services, experiment):
    base = experiment.model_a_id
    assert admin.post("models/99/deploy").status_code == 404
    refused = admin.post(f"models/{base}/deploy", json={"deployment_config": {"max_model_length": 512}})
    assert (refused.status_code, "base model" in refused.json()["what"]) == (409, True)
    assert admin.post(f"models/{base}/deploy", json={"deployment_config": {"gpu": 1}}).status_code == 422
    for path in (f"models/{base}/undeploy", f"models/{base}/deployment"):
        assert admin.request("POST" if "undeploy" in path else "GET", path).status_code == 404
    assert admin.post(f"models/{experiment.model_b_id}/rollback").status_code == 409
    assert admin.post(f"models/{experiment.model_b_id}/promote").status_code == 409


def test_a_deployment_in_a_process_of_its_own_says_in_a_sentence_why_it_failed(services, experiment):
    request = DeployRequest(model_id=experiment.model_a_id)
    process = subprocess.run(
        [sys.executable, "-m", "stages.deploying"],
        input=request.model_dump_json(), capture_output=True, text=True, cwd=REPOSITORY_ROOT, timeout=120,
    )  # fmt: skip
    assert process.returncode == 1
    assert "A base model is not deployed by itself" in process.stderr
    assert "Traceback" not in process.stderr
