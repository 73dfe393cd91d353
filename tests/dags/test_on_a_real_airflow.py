"""What the operators promise about kills, marks and clears, on a platform of processes with a model of random weights."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.enums import JobState, StageName, StageStatus
from contracts.errors import TunewayError
from contracts.identity import PLATFORM_USER, AccountKind, Role
from settings import SecretName, read_secret
from stages.accounts import add_account, create_key
from stages.airflow_client import AirflowClient
from tests.conftest import REPOSITORY_ROOT
from tests.dags.toll_rows import write_toll_rows
from tests.e2e.installation import Installation
from tests.ports import free_port_base

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

STARTED = [
    "runner",
    "mlflow",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "cerbos",
]
LONG = {"num_epochs": 400}
SHORT = {"num_epochs": 6}
PATIENCE_SECONDS = 600


class Platform:
    """A real Airflow with a real runner, and a dataset version to train on."""

    def __init__(self, installation: Installation) -> None:
        from stages.services import open_services

        self.installation = installation
        self.settings = installation.settings
        self.services = open_services(self.settings)
        password = read_secret(self.settings.secrets_dir, SecretName.AIRFLOW_PLATFORM_PASSWORD)
        self.airflow = AirflowClient(self.settings.resolved_airflow_url, username=PLATFORM_USER, password=password)
        token = httpx.post(
            f"{self.settings.resolved_airflow_url}/auth/token",
            json={"username": PLATFORM_USER, "password": password},
            timeout=60,
        ).json()["access_token"]
        self.api = httpx.Client(
            base_url=f"{self.settings.resolved_airflow_url}/api/v2",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    @cached_property
    def key_of_ci(self) -> str:
        """Of a service account, as docs/ci.md has it."""
        add_account("ci", Role.ML_ENGINEER, "test", self.services, kind=AccountKind.SERVICE)
        scopes = ["dag:read", "dag:read_logs", "dag:trigger", "airflow:look_inside"]
        return create_key("ci", "pipeline", scopes, timedelta(days=1), "test", self.services).key

    def train(self, run_id: str, **changes: Any) -> str:
        conf = {"dataset_id": 1, "base_model": "tiny", "test_suite": None, "extra_suites": [], **changes}
        return self.airflow.trigger("train_model", run_id, conf).run_id

    def wait_until(self, what, found):
        """The first truthy answer; Airflow may be away for a moment in between."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if answer := found():
                    return answer
            except TunewayError:
                pass
            time.sleep(0.5)
        raise AssertionError(f"{what} did not happen within {PATIENCE_SECONDS} s")

    def task(self, run_id, task_id):
        return next(task for task in self.airflow.tasks("train_model", run_id) if task.task_id == task_id)

    def wait_for_end(self, run_id):
        return self.wait_until("the run's end", lambda: self._ended(run_id)).state

    def _ended(self, run_id):
        run = self.airflow.run("train_model", run_id)
        return run if run.is_final else None

    def wait_for_job(self, run_id, attempt=1):
        """The run's job, once this attempt trains and the task waits for it."""

        def training():
            submission = self.airflow.result("train_model", run_id, "train")
            if submission is None or self.task(run_id, "train").state != "deferred":
                return None
            view = self.job(submission["job_key"])
            is_training = view.progress is not None and view.progress.stage == "training"
            return view if view.attempt == attempt and view.state is JobState.RUNNING and is_training else None

        return self.wait_until(f"training, attempt {attempt},", training)

    def job(self, job_key):
        from stages.runner_client import RunnerClient

        return RunnerClient(self.settings).view(job_key)

    def train_row(self, run_id):
        with self.services.unit_of_work() as uow:
            run = uow.pipeline_runs.get(f"train_model/{run_id}")
        return run, next(state for state in run.stages if state.stage is StageName.TRAIN)

    def leased_cards(self):
        from storage.processes import host_name

        with self.services.unit_of_work() as uow:
            return uow.leases.owners(host_name())


@pytest.fixture(scope="module")
def platform():
    from tests.tiny_model import make_tiny_model

    folder = Path(tempfile.mkdtemp(prefix="tuneway-airflow-"))
    folder.chmod(0o755)  # PostgreSQL may run as another account
    make_tiny_model(folder / "models" / "base" / "tiny")
    installation = Installation(folder, free_port_base())
    up = installation.tuneway("up", *STARTED)
    try:
        assert up.returncode == 0, up.stderr
        yield Platform(installation)
    finally:
        installation.tuneway("down")
        for process in installation.processes():
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def dataset(platform, tmp_path_factory):
    """Dataset version 1, made as CI would: by the curl script."""
    inbox = platform.settings.data_dir / "inbox"
    request = tmp_path_factory.mktemp("ci") / "request.json"
    request.write_text(
        json.dumps(
            {
                "dataset_name": "tolls",
                "input_files": [str(write_toll_rows(inbox))],
                "train_ratio": 0.8,
                "val_ratio": 0.1,
                "test_ratio": 0.1,
                "test_suite": None,
                "extra_suites": [],
            }
        ),
        encoding="utf-8",
    )
    done = run_script(platform, "prepare_dataset", request, "ci-1")
    assert done.returncode == 0, done.stdout + done.stderr
    return 1


def run_script(platform, dag_id, request, run_id):
    key = request.with_name("key")
    key.write_text(platform.key_of_ci, encoding="utf-8")
    return subprocess.run(
        ["sh", str(REPOSITORY_ROOT / "docs" / "ci" / "trigger.sh"), dag_id, str(request), run_id],
        env={
            "PATH": os.environ["PATH"],
            "AIRFLOW_URL": platform.settings.resolved_airflow_url,
            "AIRFLOW_USER": "ci",
            "AIRFLOW_PASSWORD_FILE": str(key),
            "POLL_SECONDS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.deep
def test_the_curl_script_follows_the_run_that_is_there(platform, dataset, tmp_path):
    request = tmp_path / "request.json"
    request.write_text("{}", encoding="utf-8")
    done = run_script(platform, "prepare_dataset", request, "ci-1")
    assert done.returncode == 0, done.stderr
    assert "exists already" in done.stdout


def test_the_curl_script_tells_a_wrong_request_from_a_failed_run(platform, tmp_path):
    request = tmp_path / "request.json"
    request.write_text('{"input_files": ["demo/data/none.jsonl"]}', encoding="utf-8")
    done = run_script(platform, "prepare_dataset", request, "ci-wrong")
    assert done.returncode == 2
    assert "validate_request" in done.stderr


def test_a_killed_triggerer_and_scheduler_change_nothing(platform, dataset):
    run_id = platform.train("killed", **SHORT)
    platform.wait_until("waiting", lambda: platform.task(run_id, "train").state == "deferred")
    for name in ("airflow-triggerer", "airflow-scheduler"):
        os.killpg(os.getpgid(platform.installation.supervised_pid(name)), signal.SIGKILL)
    assert platform.wait_for_end(run_id) == "success"
    assert platform.task(run_id, "train").try_number == 1
    run, row = platform.train_row(run_id)
    assert row.status is StageStatus.SUCCEEDED
    assert row.record == platform.airflow.result("train_model", run_id, "collect_train")
    assert run.finished_at is not None
    assert platform.leased_cards() == {}


@pytest.mark.deep
def test_marked_failed_cleared_and_ended_by_hand_nothing_is_left_behind(platform, dataset):
    run_id = platform.train("by-hand", **LONG)
    job = platform.wait_for_job(run_id)

    # a person marks the task as failed: the job ends, and so does the run
    path = f"/dags/train_model/dagRuns/{run_id}"
    assert platform.api.patch(f"{path}/taskInstances/train", json={"new_state": "failed"}).is_success
    assert platform.wait_for_end(run_id) == "failed"
    platform.wait_until("the job's end", lambda: platform.job(job.job_key).state is JobState.STOPPED)
    run, row = platform.train_row(run_id)
    assert (row.status, run.finished_at is not None) == (StageStatus.FAILED, True)
    platform.wait_until("the lease's end", lambda: platform.leased_cards() == {})

    # the person clears it: the same job goes on as its next attempt
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["train"], "include_downstream": True,
            "only_failed": False, "reset_dag_runs": True}  # fmt: skip
    assert platform.api.post("/dags/train_model/clearTaskInstances", json=body).is_success
    assert platform.wait_for_job(run_id, attempt=2).job_key == job.job_key
    run, row = platform.train_row(run_id)
    assert (row.status, run.finished_at) == (StageStatus.RUNNING, None)

    # and clears it while it works: that attempt ends before the next one begins
    assert platform.api.post("/dags/train_model/clearTaskInstances", json=body).is_success
    assert platform.wait_for_job(run_id, attempt=3).job_key == job.job_key

    # then marks the whole run as failed: finish_run closes everything, and the run is red
    assert platform.api.patch(path, json={"state": "failed"}).is_success
    assert platform.wait_for_end(run_id) == "failed"
    platform.wait_until("the job's end", lambda: platform.job(job.job_key).state is JobState.STOPPED)
    run, row = platform.train_row(run_id)
    assert (row.status, run.finished_at is not None) == (StageStatus.FAILED, True)
    platform.wait_until("the lease's end", lambda: platform.leased_cards() == {})


def test_a_killed_trainer_costs_a_retry_and_nothing_else(platform, dataset):
    run_id = platform.train("killed-trainer", **{**LONG, "num_epochs": 60})
    job = platform.wait_for_job(run_id)
    platform.installation.kill_trainer(platform.settings.jobs_dir / job.job_key)
    assert platform.wait_for_end(run_id) == "success"
    assert platform.task(run_id, "train").try_number == 2
    assert platform.job(job.job_key).attempt == 2


@pytest.mark.deep
def test_a_sweeps_trials_are_mapped_tasks_that_end_with_their_jobs(platform, dataset):
    run_id = "sweep-1"
    platform.airflow.trigger(
        "tune_hyperparameters",
        run_id,
        {
            "sweep_name": "rates",
            "dataset_id": dataset,
            "base_model": "tiny",
            "search_space": {
                "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
                "num_epochs": {"choices": [2]},
            },
            "objectives": ["train_loss"],
            "pruner": "none",
            "trials": 2,
        },
    )

    def ended():
        run = platform.airflow.run("tune_hyperparameters", run_id)
        return run if run.is_final else None

    state = platform.wait_until("the sweep's end", ended).state
    tasks = platform.airflow.tasks("tune_hyperparameters", run_id)
    assert state == "success", [(task.task_id, task.state) for task in tasks]
    trials = [task for task in tasks if task.task_id == "run_trial"]
    assert [task.state for task in trials] == ["success", "success"]
    with platform.services.unit_of_work() as uow:
        (stage,) = uow.pipeline_runs.get(f"tune_hyperparameters/{run_id}").stages
    assert stage.status is StageStatus.SUCCEEDED
    assert stage.record is not None
    assert stage.record["recipe_name"] == "rates"
    assert (platform.settings.recipes_dir / "rates.yaml").exists()
