"""The platform that a campaign harms: an installation on a file system of its own, with a clock that can be moved."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from cli.supervisor_client import SupervisorClient
from contracts.errors import TunewayError
from settings import SecretName, read_secret
from tests.e2e.installation import Installation
from tests.ports import free_port_base

DISK_MIB = 3072
"""A platform that has just started holds 80 MiB; how much a long campaign writes was not measured yet."""
CLOCK_SOURCE = Path(__file__).with_name("moved_clock.c")


@dataclass(frozen=True, slots=True)
class Site:
    """One platform and what a fault may lay hands on."""

    installation: Installation
    clock: Path | None
    """File whose eight bytes move every process's clock, or None where no C compiler is installed."""
    own_disk: bool
    """The data folder is a file system of its own, which may be filled."""

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the platform's database. Raises psycopg.OperationalError while it is away."""
        settings = self.installation.settings
        with psycopg.connect(
            host="127.0.0.1",
            port=settings.ports["postgres"],
            user="tuneway",
            password=read_secret(settings.secrets_dir, SecretName.POSTGRES_PASSWORD),
            dbname="tuneway",
            connect_timeout=10,
        ) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def pid_of(self, name: str) -> int | None:
        """Process id of a supervised program, None while it does not run."""
        state = SupervisorClient(self.installation.settings).states().get(name)
        return None if state is None else state.pid

    def model_servers(self) -> list[str]:
        """Names of the supervised model servers that run."""
        states = SupervisorClient(self.installation.settings).states()
        return sorted(name for name, state in states.items() if name.startswith("model-server-") and state.pid)

    def job_processes(self) -> list[psutil.Process]:
        """The processes that train or evaluate."""
        return [process for process in self.installation.processes() if _command(process).count("stages.work")]


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def kill(pids: list[int]) -> None:
    """kill -9; a process that has just ended is no error."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Every process below this one."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_for(condition: Any, seconds: float, poll_seconds: float = 0.3) -> bool:
    """Whether it came true in time; a database that is away counts as not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(psycopg.Error, TunewayError, OSError):
            if condition():
                return True
        time.sleep(poll_seconds)
    return False


def _mounted(folder: Path) -> bool:
    """Give the folder a file system of its own; only root may."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0711", "tuneway-faults", str(folder)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def make_clock(folder: Path) -> Path | None:
    """The file of a clock that runs as the machine's, beside the library that reads it."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    clock = folder / "clock"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", str(clock.with_suffix(".so")), str(CLOCK_SOURCE), "-ldl"],
        check=True,
    )
    clock.write_bytes(bytes(8))
    for path in (clock, clock.with_suffix(".so")):
        path.chmod(0o755)
    return clock


@contextmanager
def running_site(base_model: Path) -> Iterator[Site]:
    """A platform that runs, with the base model at hand; everything of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tuneway-faults-"))
    folder.chmod(0o711)  # PostgreSQL may run as another account
    own_disk = os.geteuid() == 0 and _mounted(folder)
    clock_folder = Path(tempfile.mkdtemp(prefix="tuneway-clock-"))
    clock_folder.chmod(0o755)
    variables = {
        # starts in seconds; what is tested here is the platform around a model server
        "TUNEWAY_MODEL_SERVER_BACKEND": "embedded",
        "TUNEWAY_MIN_FREE_DISK_GB": "0.2",
        # a wave goes on side by side, and nobody changes a DAG meanwhile
        "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "16",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    }
    clock = make_clock(clock_folder)
    if clock is not None:
        variables |= {"LD_PRELOAD": str(clock.with_suffix(".so")), "TUNEWAY_TEST_CLOCK": str(clock)}
    installation = Installation(folder, free_port_base(), variables)
    shutil.copytree(base_model, folder / "models" / "base" / "demo-base")
    try:
        up = installation.tuneway("up", "--timeout", "600")
        assert up.returncode == 0, up.stderr
        yield Site(installation, clock, own_disk)
    finally:
        installation.tuneway("down")
        kill([process.pid for process in installation.processes()])
        if own_disk:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
        for path in (folder, clock_folder):
            subprocess.run(["rm", "-rf", "--", str(path)], check=False)
