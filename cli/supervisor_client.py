"""Talking to this installation's supervisord over its unix socket."""

import http.client
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from cli.programs import common_environment
from cli.supervisor_config import configuration_file, log_file
from contracts.errors import UnavailableError
from settings import Settings

ALREADY_STARTED = 60
NOT_RUNNING = 70
"""Fault codes of supervisor.xmlrpc."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process as supervisord sees it."""

    name: str
    state: str
    """supervisord's word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL, UNKNOWN."""
    pid: int | None
    started_at: datetime | None
    description: str

    @property
    def is_up(self) -> bool:
        """The process runs, perhaps not ready yet."""
        return self.state in {"RUNNING", "STARTING"}

    @property
    def has_given_up(self) -> bool:
        """Supervisord tries no more."""
        return self.state in {"FATAL", "UNKNOWN"}


class SupervisorClient:
    """The supervisord of one installation, running or not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _server(self) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        url = f"unix://{self._settings.supervisor_socket}"
        # a transport keeps its connection, which supervisord closes when idle: a new one each time
        return ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, url)).supervisor

    def is_running(self) -> bool:
        """Supervisord answers."""
        if not self._settings.supervisor_socket.exists():
            return False
        try:
            self._server().getSupervisorVersion()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def pid(self) -> int | None:
        """Supervisord's process id, when it runs."""
        try:
            return int(self._server().getPID())
        except (OSError, http.client.HTTPException):
            return None

    def launch(self) -> None:
        """Start supervisord as a daemon and wait until it answers."""
        self._settings.supervisor_socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        bin_dir = str(Path(sys.executable).parent)
        environment = {**os.environ, **common_environment(self._settings)}
        environment["PATH"] = f"{bin_dir}{os.pathsep}{environment.get('PATH', os.defpath)}"
        completed = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration_file(self._settings))],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        deadline = time.monotonic() + 15
        while completed.returncode == 0 and time.monotonic() < deadline:
            if self.is_running():
                return
            time.sleep(0.1)
        raise UnavailableError(
            "The supervisor did not start",
            value=(completed.stderr or completed.stdout).strip()[-400:] or None,
            next_step=f"look at {log_file(self._settings, 'supervisord')}",
        )

    def states(self) -> dict[str, ProcessState]:
        """Every process by name; empty when supervisord does not run."""
        try:
            found = self._server().getAllProcessInfo()
        except (OSError, http.client.HTTPException):
            return {}
        return {
            entry["name"]: ProcessState(
                name=entry["name"],
                state=entry["statename"],
                pid=entry["pid"] or None,
                started_at=datetime.fromtimestamp(entry["start"], UTC) if entry["pid"] else None,
                description=entry["spawnerr"] or entry["description"],
            )
            for entry in found
        }

    def start(self, name: str) -> None:
        """Ask for a process to be started; it is no error when it runs."""
        try:
            self._server().startProcess(str(name), False)
        except Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise UnavailableError(
                    f"The process {name} could not be started",
                    value=fault.faultString,
                    next_step="run `tuneway doctor`",
                ) from fault

    def stop(self, name: str, *, wait: bool = True) -> None:
        """Stop a process; it is no error when it does not run."""
        try:
            self._server().stopProcess(str(name), wait)
        except Fault as fault:
            if fault.faultCode != NOT_RUNNING:
                raise UnavailableError(
                    f"The process {name} could not be stopped",
                    value=fault.faultString,
                    next_step="run `tuneway status`",
                ) from fault

    def shut_down(self) -> None:
        """Ask supervisord to stop every process and to end."""
        with suppress(OSError, http.client.HTTPException):
            self._server().shutdown()
