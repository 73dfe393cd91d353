"""A running runner, started and killed as the platform does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.jobs import JobSubmission
from settings import SecretName, load_settings
from stages.runner_client import RunnerClient
from storage.job_folder import JobFolder
from storage.processes import attempt_mark, kill_attempt
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port

TOKEN = "a-token-for-tests"


class RunnerProcess:
    """`python -m runner` of one data folder."""

    def __init__(self, settings) -> None:
        self.settings = settings
        self.client = RunnerClient(settings)
        self.log_path: Path = settings.data_dir / "runner.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runner"],
                cwd=REPOSITORY_ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: self.client.is_up() or self.process.poll() is not None, "the runner answers")
        assert self.process.poll() is None, self.log_path.read_text()

    def end(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=20)

    def folder(self, job_key: str) -> JobFolder:
        return JobFolder(self.settings.jobs_dir / job_key)


def wait_until(condition, what: str, seconds: float = 90.0) -> None:
    """Poll a condition; the limit only ends a test that hangs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.1)


@pytest.fixture
def runner(services, monkeypatch) -> Iterator[RunnerProcess]:
    """A runner with an empty data folder and two CPU slots. Its jobs are ended with the test."""
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    settings = load_settings()
    settings.secrets_dir.mkdir(parents=True)
    (settings.secrets_dir / SecretName.RUNNER_TOKEN.value).write_text(TOKEN)
    process = RunnerProcess(settings)
    process.start()
    yield process
    if process.process is not None and process.process.poll() is None:
        process.end(signal.SIGKILL)
    for folder in settings.jobs_dir.iterdir():
        for attempt in folder.glob("attempt-*"):
            kill_attempt(attempt_mark(folder, int(attempt.name.removeprefix("attempt-"))))


def submission(**changes) -> JobSubmission:
    """A job whose work a test stage does."""
    values = {"job_key": "train-1", "kind": "train", "request": {}, "owner": "test"}
    return JobSubmission.model_validate({**values, **changes})
