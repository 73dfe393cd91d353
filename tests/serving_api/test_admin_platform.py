"""The admin API over models, cards, audit trail and the planning of A/B tests."""

import httpx
import pytest

from contracts.access import ResourceKind
from contracts.enums import LeaseKind
from settings import load_settings
from stages.audit import record_action
from stages.services import open_services
from stages.suites import resolve_suite
from storage.files import write_json_atomically
from tests.cli.airflow_stand_in import AirflowStandIn
from tests.ports import free_port
from tests.serving_api.running import ADMIN_TOKEN, running_service
from tests.stages.test_jobs import make_job
from tests.stages.test_register import Subject

pytestmark = pytest.mark.slow


@pytest.fixture
def installation(services, monkeypatch):
    """Its MLflow is never asked, its runner does not answer, and its Airflow has the DAG evaluate_model."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("stages.register.mirror", lambda *_, **__: [])
    monkeypatch.setattr("stages.verify_models.compare_catalogues", lambda *_: [])
    airflow = AirflowStandIn(dag_id="evaluate_model")
    monkeypatch.setenv("TUNEWAY_AIRFLOW_URL", airflow.url)
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    opened = open_services(load_settings())
    opened.settings.secrets_dir.mkdir(parents=True)
    (opened.settings.secrets_dir / "airflow_platform_password").write_text("right")
    return opened, airflow


@pytest.fixture
def api(installation):
    with (
        running_service(installation[0]) as (url, _),
        httpx.Client(
            base_url=f"{url}/api/v1/admin", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=120
        ) as client,
    ):
        yield client


def test_a_model_is_registered_judged_again_and_verified(api, installation, tmp_path):
    services, airflow = installation
    subject = Subject(services, tmp_path, "job-a")
    wanted = {"job_id": subject.job.job_id, "evaluation_id": subject.evaluation_id, "model_name": "rules"}
    assert api.post("models/register", json=wanted).status_code == 409  # no verdict yet
    subject.decide()
    headers = {"Idempotency-Key": "register-rules"}
    registered = api.post("models/register", json=wanted, headers=headers)
    assert registered.status_code == 201, registered.text
    assert api.post("models/register", json=wanted, headers=headers).json() == registered.json()
    number = registered.json()["model_id"]
    with services.unit_of_work() as uow:
        assert uow.ownership.of(ResourceKind.MODEL, number).owner == "ci"

    asked = {"test_dataset_id": subject.job.dataset_id}
    assert api.post(f"models/{number}/evaluate", json=asked).status_code == 503  # Airflow is away
    with airflow:
        runs = [
            api.post(f"models/{number}/evaluate", json=asked, headers={"Idempotency-Key": "again"}) for _ in range(2)
        ]
        assert api.post(f"models/{number}/evaluate", json={"test_dataset_id": 99}).status_code == 404
        assert api.post(f"models/{number}/evaluate", json={"test_suite": "none"}).status_code == 404
        assert api.post(f"models/{number}/evaluate", json={**asked, "test_suite": "rules"}).status_code == 422
    assert [run.status_code for run in runs] == [202, 202]
    assert runs[0].json() == runs[1].json()
    ((run_id, run),) = airflow.runs.items()
    assert run_id == runs[0].json()["dag_run_id"]
    assert run["conf"] == {
        "job_id": subject.job.job_id, "test_suite": f"dataset:{subject.job.dataset_id}", "extra_suites": [],
        "accuracy_bar": 0.9, "model_name": "rules",
    }  # fmt: skip

    (case,) = resolve_suite(run["conf"]["test_suite"], services).cases
    assert case.question == "보존 기간은 얼마인가요?"

    verified = api.post(f"models/{number}/verify").json()
    assert verified["files"]["problems"] == []
    assert verified["provenance"]["signature"]["state"] == "unsigned"
    with services.unit_of_work() as uow:
        folder = uow.models.get(number).model_path
    (tmp_path / "x").write_text("x")
    (tmp_path / "x").rename(f"{folder}/planted.safetensors")
    (problem,) = api.post(f"models/{number}/verify").json()["files"]["problems"]
    assert problem["problem"] == "unlisted"


def test_the_cards_and_the_queue_are_told_without_what_the_jobs_are_about(api, installation):
    services, _ = installation
    with services.unit_of_work() as uow:
        uow.leases.acquire("somebody#1", 1, "gpu-host", 2, kind=LeaseKind.SERVING)
    make_job(services.settings, 1, "secret-name")
    running = make_job(services.settings, 2, "other")
    write_json_atomically(
        running.attempt(1).launcher, {"pid": 1, "started_at": "2026-11-28T00:00:00+00:00", "gpu_ids": [1]}
    )
    make_job(services.settings, 3, "ended", "succeeded")
    state = api.get("gpus").json()
    assert [(lease["host"], lease["gpu_index"], lease["kind"]) for lease in state["leases"]] == [
        ("gpu-host", 0, "serving")
    ]
    assert state["runner_answers"] is False
    assert [job["job_key"] for job in state["waiting"]] == ["train-1"]
    assert [(job["job_key"], job["gpu_ids"]) for job in state["running"]] == [("train-2", [1])]
    assert "secret-name" not in str(state)


def test_the_audit_trail_is_searched_in_parts(api, installation):
    services, _ = installation
    for number in range(5):
        record_action(services, "kim", "job.stopped", f"job/{number}")
    record_action(services, "lee", "model.deployed", "model/1")
    first = api.get("audit", params={"action": "job.*", "actor": "kim", "limit": 3}).json()
    assert [entry["subject"] for entry in first["items"]] == ["job/4", "job/3", "job/2"]
    rest = api.get("audit", params={"action": "job.*", "limit": 3, "before": first["next_before"]}).json()
    assert ([entry["subject"] for entry in rest["items"]], rest["next_before"]) == (["job/1", "job/0"], None)
    assert api.get("audit", params={"since": "yesterday"}).status_code == 422


def test_the_size_of_a_test_is_planned(api):
    plan = api.post("ab-tests/plan", json={"effect": 0.3, "samples": 200}).json()
    assert plan["is_enough"] is False
    assert 0 < plan["power_at_samples"] < 0.8
    assert plan["samples_needed_with_looks"] > 200
    assert api.post("ab-tests/plan", json={"effect": 0.3, "metric": "height"}).status_code == 422
