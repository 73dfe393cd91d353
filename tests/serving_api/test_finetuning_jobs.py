"""By the admin API a fine-tuning job is checked, written down and started once, whatever happens in between."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from contracts.access import ResourceKind
from contracts.enums import DatasetStatus, JobStatus
from contracts.errors import ConflictError
from contracts.identity import AccountKind, Role
from security.identity.access_tokens import AccessTokens
from settings import load_settings
from stages.finetuning import check_startable, end_unbegun_job, submission_of
from stages.services import open_services
from tests.cli.airflow_stand_in import AirflowStandIn
from tests.security.model_folders import plain_weights
from tests.serving_api.running import ADMIN_TOKEN, TOKEN_KEY, running_service
from tests.training.fitting.qwen3 import QWEN3
from tests.training.tiny_model import make_base_model, tiny_request

pytestmark = pytest.mark.slow

JOBS = "/api/v1/admin/finetuning/jobs"
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 1000}
LARGE = {"num_hidden_layers": 4000}


@pytest.fixture
def airflow(monkeypatch):
    stand_in = AirflowStandIn(dag_id="finetune_job")
    monkeypatch.setenv("TUNEWAY_AIRFLOW_URL", stand_in.url)
    return stand_in


@pytest.fixture
def installation(services, airflow):
    """Base models of which only the shape matters, two dataset versions, and Airflow's password."""
    services = open_services(load_settings())
    for name, changes in (("small", SMALL), ("large", LARGE)):
        folder = services.settings.models_dir / "base" / name
        folder.mkdir(parents=True)
        config = {**QWEN3["0.6B"], "architectures": ["Qwen3ForCausalLM"], **changes}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(plain_weights())
    services.settings.secrets_dir.mkdir(parents=True)
    (services.settings.secrets_dir / "airflow_platform_password").write_text("right")
    with services.unit_of_work() as uow:
        for name in ("rules", "old"):
            dataset = uow.datasets.add(
                name=name, content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
                test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
            )  # fmt: skip
        uow.datasets.set_status(dataset.dataset_id, DatasetStatus.DEPRECATED)
        for name, projects in (("engineer", ["roads"]), ("stranger", ["tolls"])):
            account = uow.users.add(
                name, kind=AccountKind.PERSON, role=Role.ML_ENGINEER, projects=projects, password_hash=None
            )
            if name == "engineer":
                uow.ownership.claim(ResourceKind.DATASET, 1, account.user_id)
    return services


@pytest.fixture
def api(installation):
    with (
        running_service(installation) as (url, _),
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=60) as client,
    ):
        yield client


def body(**changes):
    return {
        "job_name": "toll-rules-7", "base_model": "small", "dataset_id": 1, "method": "lora", "recipe": "demo-lora",
        "hyperparameters": {"lora_rank": 8, "lora_alpha": 16, "learning_rate": 1e-3, "batch_size": 2,
                            "gradient_accumulation_steps": 2, "num_epochs": 1, "warmup_steps": 3, "max_seq_length": 64},
        "gpu_ids": "0,1", **changes,
    }  # fmt: skip


def jobs_in(services):
    with services.unit_of_work() as uow:
        return uow.jobs.newest(limit=100)


def as_(name):
    token = AccessTokens(TOKEN_KEY).issue(name, "anything", [], "session", datetime.now(UTC))
    return {"Authorization": f"Bearer {token}"}


def test_a_job_is_the_callers_and_airflow_is_told_its_number_and_nothing_else(api, airflow, installation):
    with airflow:
        created = api.post(JOBS, json=body(), headers=as_("engineer"))
    assert created.status_code == 201, created.text
    job = created.json()["job"]
    assert (job["job_name"], job["status"], job["hyperparameters"]["lora_rank"]) == ("toll-rules-7", "pending", 8)
    assert job["hyperparameters"]["num_gpus"] == 2
    ((run_id, run),) = airflow.runs.items()
    assert run == {"conf": {"job_id": job["job_id"]}}
    assert run_id == job["dag_run_id"]
    with installation.unit_of_work() as uow:
        assert uow.ownership.of(ResourceKind.JOB, job["job_id"]).owner == "engineer"
        said = uow.session.execute(text("SELECT actor, subject FROM audit_logs WHERE action = 'job.created'"))
        assert said.all() == [("engineer", f"job/{job['job_id']}")]


def test_the_same_request_again_is_the_same_job_and_another_one_of_its_name_is_refused(api, airflow, installation):
    with airflow:
        first = api.post(JOBS, json=body(), headers=as_("engineer"))
        again = api.post(JOBS, json=body(), headers=as_("engineer"))
        other = api.post(JOBS, json=body(seed=1), headers=as_("engineer"))
        # the name is another person's
        admins = api.post(JOBS, json=body())
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())
    assert (other.status_code, admins.status_code) == (409, 409)
    assert len(airflow.runs) == len(jobs_in(installation)) == 1


def test_of_many_calls_under_one_key_one_starts_a_job(api, airflow, installation):
    headers = {"Idempotency-Key": "nightly-2026-11-28"}
    with airflow, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post(JOBS, json=body(), headers=headers), range(16)))
        answers.append(api.post(JOBS, json=body(), headers=headers))
        other = api.post(JOBS, json=body(job_name="another"), headers=headers)
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {201, 409} and codes[-1] == 201
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 409)
    assert (other.status_code, "Idempotency-Key" in other.json()["what"]) == (422, True)
    assert len(airflow.runs) == len(jobs_in(installation)) == 1


def test_while_airflow_is_away_the_job_is_kept_and_the_same_call_starts_it_later(api, airflow, installation):
    headers = {"Idempotency-Key": "k"}
    began = time.monotonic()
    kept = api.post(JOBS, json=body(), headers=headers)
    assert time.monotonic() - began < 20
    assert (kept.status_code, kept.json()["is_started"]) == (202, False)
    assert "Airflow does not answer" in kept.json()["waiting_for"]
    assert api.get(f"{JOBS}/{kept.json()['job']['job_id']}").json()["dag_run_id"] is None
    with airflow:
        started = api.post(JOBS, json=body(), headers=headers)
    assert (started.status_code, started.json()["is_started"]) == (201, True)
    assert len(airflow.runs) == len(jobs_in(installation)) == 1


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"base_model": "absent"}, 422, "no such base model"),
    ({"base_model": "http://elsewhere/model"}, 422, ""),
    ({"base_model": "../small"}, 422, ""),
    ({"recipe": "demo-lorra"}, 422, "recipe"),
    ({"recipe": None}, 422, "No recipe is named"),
    ({"recipe": "demo-full"}, 422, ""),
    ({"dataset_id": 99}, 404, ""),
    ({"dataset_id": 2}, 409, "not used any more"),
    ({"base_model": "large", "gpu_ids": "0"}, 507, "memory"),
    ({"gpu_ids": "0,0"}, 422, "twice"),
    ({"gpu_ids": "7"}, 422, "no such card"),
    ({"gpu_ids": "0; rm -rf /"}, 422, "gpu_ids"),
    ({"job_name": "{{ var.value.x }}"}, 422, "job_name"),
    ({"hyperparameters": {"lora_rank": 0}}, 422, "lora_rank"),
    ({"hyperparameters": {"lora_ranks": 8}}, 422, "lora_ranks"),
    ({"gpu": "0"}, 422, "gpu"),
]


def test_what_cannot_be_trained_is_refused_before_anything_is_written(api, airflow, installation):
    for changes, status, word in WRONG:
        refused = api.post(JOBS, json=body(**changes))
        assert refused.status_code == status, (changes, refused.text)
        assert word in refused.json()["what"], changes
    assert (jobs_in(installation), airflow.runs) == ([], {})


def test_nobody_trains_on_a_dataset_that_they_may_not_read(api, installation):
    refused = api.post(JOBS, json=body(), headers=as_("stranger"))
    assert refused.status_code == 403
    assert jobs_in(installation) == []


def test_a_job_that_is_stopped_before_it_begins_is_never_handed_over(api, airflow, installation):
    with airflow:
        number = api.post(JOBS, json=body()).json()["job"]["job_id"]
        stopped = api.post(f"{JOBS}/{number}/stop")
    assert stopped.json() == {"job": None, "checkpoint_step": None}
    assert api.get(f"{JOBS}/{number}").json()["status"] == "stopped"
    for step in (check_startable, submission_of):
        with pytest.raises(ConflictError, match="stopped before it began"):
            step(number, installation)
    # again changes nothing
    assert api.post(f"{JOBS}/{number}/stop").status_code == 200


def test_a_run_that_fails_before_the_runner_has_the_job_ends_it_with_the_reason(api, airflow, installation):
    with airflow:
        number = api.post(JOBS, json=body()).json()["job"]["job_id"]
    reason = ConflictError("The dataset's files are gone", value="/d")
    assert end_unbegun_job(number, JobStatus.FAILED, reason, installation)
    assert not end_unbegun_job(number, JobStatus.STOPPED, reason, installation)
    job = api.get(f"{JOBS}/{number}").json()
    assert (job["status"], job["error"]["what"]) == ("failed", "The dataset's files are gone")


def test_before_the_runner_has_the_job_its_log_and_metrics_are_empty(api, airflow):
    with airflow:
        number = api.post(JOBS, json=body()).json()["job"]["job_id"]
    assert api.get(f"{JOBS}/{number}/logs").json() == {"attempt": None, "lines": [], "last_id": None}
    assert api.get(f"{JOBS}/{number}/metrics").json() == {"series": {}, "last_id": None}


def test_a_dry_run_says_what_is_wrong_and_writes_nothing(api, installation):
    refused = api.post(JOBS, params={"dry_run": True}, json=body(dataset_id=2))
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert jobs_in(installation) == []


@pytest.mark.deep
def test_a_dry_run_tells_the_plan_and_the_cost(api, installation, tmp_path):
    request = tiny_request(installation, make_base_model(tmp_path / "base"))
    wanted = {"job_name": "t", "base_model": "tiny", "dataset_id": request.dataset_id, "recipe": "demo-lora"}
    planned = api.post(JOBS, params={"dry_run": True}, json={**wanted, "gpu_ids": "0"})
    assert planned.status_code == 200, planned.text
    plan = planned.json()
    assert (plan["training"]["recipe"], plan["fit"]["verdict"]) == ("demo-lora", "fits")
    assert 0 < plan["card_hours"] <= plan["card_hours_high"]
    assert plan["fit"]["time"]["steps"] > 0
    assert jobs_in(installation) == []
