"""A run's context, and a runner that answers over HTTP but starts nothing: the tests play the launcher."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.enums import JobKind, JobState
from contracts.jobs import JobSubmission
from contracts.record import utc_now
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.ports import free_port


@dataclass
class FakeTaskInstance:
    """What a task sees of itself: its XComs live in a dictionary."""

    dag_id: str = "finetune_pipeline"
    run_id: str = "run-1"
    task_id: str = "task"
    task: Any = None
    map_index: int = -1
    try_number: int = 1
    left: dict[str, Any] = field(default_factory=dict)
    """Records that other tasks have left."""
    pushed: dict[str, Any] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    def xcom_pull(self, task_ids):
        return self.left.get(task_ids)

    def xcom_push(self, key, value):
        self.pushed[key] = value

    def get_task_states(self, dag_id, run_ids):
        return {run_ids[0]: self.states} if self.states else {}


class FakeStore(dict[str, Any]):
    """The task's state store: outlives a try and a Clear."""

    def set(self, key, value):
        self[key] = value


@pytest.fixture
def task_instance():
    return FakeTaskInstance()


@pytest.fixture
def context(task_instance):
    return {
        "ti": task_instance,
        "dag_run": SimpleNamespace(clear_number=0, triggering_user_name="engineer"),
        "task_state_store": FakeStore(),
        "outlet_events": {},
        "params": {},
    }


@pytest.fixture
def pipeline_run(services):
    """A run's row, as `validate_request` leaves it."""
    with services.unit_of_work() as uow:
        uow.pipeline_runs.start("run-1", "finetune_pipeline", {})
    return "run-1"


@dataclass
class Runner:
    """The real service and its real door, without passes: no job starts by itself."""

    jobs_dir: Path
    port: int
    app: Any
    server: Any = None
    thread: threading.Thread | None = None

    def open(self):
        import uvicorn

        self.server = uvicorn.Server(uvicorn.Config(self.app, port=self.port, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            self.thread.join(0.02)

    def close(self):
        if self.server is not None and self.thread is not None:
            self.server.should_exit = True
            self.thread.join(10)
            self.server = None

    def start(self, job_key, attempt=1):
        """The launcher begins."""
        folder = JobFolder(self.jobs_dir / job_key).attempt(attempt)
        write_json_atomically(folder.launcher, {"pid": 1, "gpu_ids": [0], "started_at": utc_now().isoformat()})

    def say(self, job_key, text, attempt=1):
        """The job writes to its output."""
        with JobFolder(self.jobs_dir / job_key).attempt(attempt).log.open("a", encoding="utf-8") as log:
            log.write(text)

    def end(self, job_key, state, attempt=1, error=None):
        """The launcher ends."""
        folder = JobFolder(self.jobs_dir / job_key).attempt(attempt)
        write_json_atomically(
            folder.exit,
            {"state": state, "exit_code": 0 if state == "succeeded" else 3, "finished_at": utc_now().isoformat(),
             "error": error},
        )  # fmt: skip

    def stop_was_asked(self, job_key, attempt=1):
        return JobFolder(self.jobs_dir / job_key).attempt(attempt).stop.exists()

    def state(self, job_key):
        from storage.job_state import job_view

        view = job_view(JobFolder(self.jobs_dir / job_key))
        return view.attempt, view.state


@pytest.fixture
def runner(services, monkeypatch):
    from runner.api import create_app
    from runner.service import RunnerService
    from settings import SecretName, load_settings
    from stages.services import open_services

    port = free_port()
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(port))
    settings = load_settings()
    settings.secrets_dir.mkdir(parents=True, exist_ok=True)
    (settings.secrets_dir / SecretName.RUNNER_TOKEN).write_text("token", encoding="utf-8")
    settings.jobs_dir.mkdir(parents=True)
    opened = Runner(settings.jobs_dir, port, create_app(RunnerService(open_services(settings)), "token"))
    opened.open()
    yield opened
    opened.close()


def submission(job_key="evaluate-7", attempt=1, **changes):
    return JobSubmission(
        **{"job_key": job_key, "kind": JobKind.EVALUATE, "request": {"job_id": 7}, "attempt": attempt, **changes}
    )


__all__ = ["FakeStore", "FakeTaskInstance", "JobState", "Runner", "submission"]
