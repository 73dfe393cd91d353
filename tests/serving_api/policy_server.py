"""The real policy decision point, one for the whole session of tests."""

import atexit
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from cli.programs import cerbos_program
from settings import Settings
from stages.services import Services
from tests.ports import free_port


def with_policies(
    services: Services, *, requests_per_minute: int = 100_000, logins_per_minute: int = 100_000
) -> Services:
    """The same services, whose policies are decided by a real Cerbos that has time on a busy machine."""
    port, grpc_port = policy_ports()
    changes = {
        "cerbos_port": port,
        "cerbos_grpc_port": grpc_port,
        "policy_timeout_seconds": 20.0,
        # a test asks as often as it needs, unless it is about just that
        "requests_per_minute": requests_per_minute,
        "logins_per_minute": logins_per_minute,
    }
    return replace(services, settings=services.settings.model_copy(update=changes))


@cache
def policy_ports() -> tuple[int, int]:
    """HTTP and gRPC port of the one decision point of this process."""
    ports = free_port(), free_port()
    start_server(Settings(cerbos_port=ports[0], cerbos_grpc_port=ports[1]))
    return ports


def start_server(settings: Settings, policies: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the decision point as the platform does, with other policies where they are given; return when it answers."""
    if not settings.cerbos_binary.exists():
        pytest.skip("needs Cerbos: run `make setup` where npm is")
    program = cerbos_program(settings)
    own = [] if policies is None else [f"--set=storage.disk.directory={policies}"]
    # a pipe nobody reads would stop it
    process = subprocess.Popen([*program.command, *own], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(stop_server, process)
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(program.health_target, timeout=5):
                return process
        except (urllib.error.URLError, OSError):
            assert process.poll() is None and time.monotonic() < deadline, "cerbos did not come up"
            time.sleep(0.05)


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """End it."""
    if process.poll() is None:
        process.kill()
        process.wait()
