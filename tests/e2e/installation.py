"""A whole installation of its own: data folder, ports, processes, spoken to as a user speaks to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from settings import Settings
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port_base


@contextmanager
def own_installation(base_model: Path, variables: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """A platform with the base model at hand; ended in the end, with everything it started."""
    folder = Path(tempfile.mkdtemp(prefix="tuneway-e2e-"))
    folder.chmod(0o755)  # PostgreSQL may run as another account
    shutil.copytree(base_model, folder / "models" / "base" / "demo-base")
    platform = Installation(folder, free_port_base(), variables or {})
    yield platform
    down = platform.tuneway("down")
    left = platform.processes()
    for process in left:
        process.kill()
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False)
    assert down.returncode == 0, down.stderr
    assert left == [], f"`tuneway down` has left {left}"


@dataclass(frozen=True)
class Installation:
    """One platform."""

    data_dir: Path
    port_base: int
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further ones, for everything that is started."""

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.data_dir, port_base=self.port_base)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TUNEWAY_", "AIRFLOW"))}
        return {
            **inherited,
            "TUNEWAY_DATA_DIR": str(self.data_dir),
            "TUNEWAY_PORT_BASE": str(self.port_base),
            "TUNEWAY_MIN_FREE_DISK_GB": "1",
            # where tests run everything is slow, and a late decision is a refusal
            "TUNEWAY_POLICY_TIMEOUT_SECONDS": "20",
            "PYTHONPATH": str(REPOSITORY_ROOT),
            **self.variables,
        }

    def tuneway(self, *arguments: str, timeout: float = 1800) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=REPOSITORY_ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def summary(self, run_id: str) -> dict[str, Any]:
        """`tuneway summary RUN_ID --json`."""
        completed = self.tuneway("summary", run_id, "--json")
        assert completed.returncode == 0, completed.stderr
        value: dict[str, Any] = json.loads(completed.stdout)
        return value

    def trigger(
        self, run_id: str, conf: dict[str, Any], tmp_path: Path, dag: str = "finetune_pipeline"
    ) -> subprocess.Popen[str]:
        """`tuneway pipeline trigger ... --wait`, going on beside the test."""
        path = tmp_path / f"{run_id}.json"
        path.write_text(json.dumps(conf, ensure_ascii=False), encoding="utf-8")
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "cli.main",
                "pipeline",
                "trigger",
                dag,
                "--conf",
                str(path),
                "--run-id",
                run_id,
                "--wait",
                "--json",
                "--timeout",
                "2400",
            ],
            cwd=REPOSITORY_ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def processes(self) -> list[psutil.Process]:
        """Every living process that carries this installation's data folder in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TUNEWAY_DATA_DIR") == str(self.data_dir) and process.status() != "zombie":
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return [process for process in found if process.pid != os.getpid()]

    def listening(self) -> set[tuple[str, int]]:
        """Addresses on which processes of this installation listen."""
        own = {process.pid for process in self.processes()}
        return {
            (connection.laddr.ip, connection.laddr.port)
            for connection in psutil.net_connections("tcp")
            if connection.laddr and connection.status == psutil.CONN_LISTEN and connection.pid in own
        }

    def supervised_pid(self, name: str) -> int:
        """Pid of a process of `tuneway status`."""
        status = json.loads(self.tuneway("status", "--json").stdout)
        return next(int(process["pid"]) for process in status["processes"] if process["name"] == name)

    def wait_for_step(self, job_name_part: str, step: int, timeout: float = 900) -> Path:
        """The folder of the training job with this name, once it has passed the step."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for submission in self.settings.jobs_dir.glob("train-*/submission.json"):
                request = json.loads(submission.read_text(encoding="utf-8"))["request"]
                progress = submission.parent / "progress.json"
                if job_name_part in request["job_name"] and progress.exists():
                    state = json.loads(progress.read_text(encoding="utf-8"))
                    if state["step"] >= step and state["stage"] == "training":
                        return submission.parent
            time.sleep(0.2)
        raise AssertionError(f"no training job of {job_name_part} has reached step {step}")

    def kill_trainer(self, job_folder: Path) -> None:
        """kill -9 of the process that trains."""
        trainers = [
            process
            for process in self.processes()
            if "stages.work" in " ".join(process.cmdline()) and str(job_folder) in " ".join(process.cmdline())
        ]
        assert trainers, "no trainer was found"
        for process in trainers:
            process.send_signal(signal.SIGKILL)

    def ask(self, question: str, model: str, user: str = "e2e") -> tuple[str, httpx.Headers]:
        """One answer through the chat door."""
        response = httpx.post(
            f"{self.settings.resolved_serving_url}/v1/chat/completions",
            json={"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "user": user},
            timeout=180,
        )
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"]), response.headers
