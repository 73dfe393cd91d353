"""Several hosts over one data folder: each shows that it lives, and gives up the jobs of one that has fallen silent.

The shared folder is the judge, because it is what a job writes into: a host that cannot reach it cannot save a checkpoint
either, and one that has only lost PostgreSQL or the way to Airflow goes on undisturbed. An attempt is given up by its
exit.json, which nobody replaces: its launcher, should it live after all, finds it there and kills the job
(runner/launcher.py); what the job itself makes known it asks for first (storage/job_state.py).
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import JobState
from contracts.errors import InvalidDataError, JobFailedError, JobLostError, NotFoundError
from contracts.record import utc_now
from runner.leases import SILENCE
from storage.files import write_json_atomically, write_json_once
from storage.job_state import host_of, job_folders, job_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.errors import TunewayError
    from settings import Settings
    from storage.job_folder import JobFolder

LONGEST_GAP = timedelta(seconds=15)
"""Between two looks: who was away longer has slept itself, and begins to listen anew."""
FORGOTTEN = timedelta(days=7)
"""The sign of a host that has been silent for so long is removed."""

log = logging.getLogger("runner")


@dataclass
class _Heard:
    sign: bytes
    since: float


class OtherHosts:
    """What one runner knows of the others. All of it can be lost: it then listens for SILENCE before it judges.

    A sign is compared with the one before, never with a clock: hosts' clocks may differ, and so may the file server's.
    """

    def __init__(self, settings: Settings, host: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._heard: dict[str, _Heard] = {}
        self._looked_at: float | None = None

    def show_life(self) -> None:
        """Leave this host's own sign; those of hosts that are long gone are removed."""
        write_json_atomically(
            self._settings.hosts_dir / f"{self._host}.json",
            {"host": self._host, "runner_url": self._settings.resolved_runner_url, "at": utc_now().isoformat()},
        )
        for path in self._settings.hosts_dir.glob("[!.]*.json"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > FORGOTTEN.total_seconds():
                    path.unlink()

    def is_first(self) -> bool:
        """Of the living, this host does what one of them has to do for all."""
        others = (path.stem for path in self._settings.hosts_dir.glob("[!.]*.json") if path.stem != self._host)
        return all(host > self._host or self._is_silent(f"host {host}") for host in others)

    def give_up_silent(self) -> list[JobFolder]:
        """Write the end of every attempt whose host is silent; the jobs given up now.

        A running one also has its launcher's heartbeat: where the runner alone is dead, the job is not.
        """
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at > LONGEST_GAP.total_seconds():
            self._heard.clear()
        self._looked_at = now
        for path in self._settings.hosts_dir.glob("[!.]*.json"):
            self._hear(f"host {path.stem}", _content(path))
        ended = []
        for folder in job_folders(self._settings.jobs_dir):
            try:
                view = job_view(folder)
            except (InvalidDataError, NotFoundError):  # a broken file is no proof of death
                continue
            if view.state.is_final or view.host in {None, self._host}:
                continue
            attempt = folder.attempt(view.attempt)
            sign = _content(self._settings.hosts_dir / f"{view.host}.json") + _content(attempt.heartbeat)
            key = f"{folder.root.name}#{view.attempt}"
            self._hear(key, sign)
            if self._is_silent(key) and self._give_up(folder, view.attempt):
                ended.append(folder)
        return ended

    def _hear(self, key: str, sign: bytes) -> None:
        heard = self._heard.get(key)
        if heard is None or heard.sign != sign:
            self._heard[key] = _Heard(sign, self._clock())

    def _is_silent(self, key: str) -> bool:
        heard = self._heard.get(key)
        return heard is not None and self._clock() - heard.since >= SILENCE.total_seconds()

    def _give_up(self, folder: JobFolder, number: int) -> bool:
        attempt, host = folder.attempt(number), host_of(folder, number)
        state, error = _end_of(folder, number, str(host))
        log.warning("%s attempt %d: %s", folder.root.name, number, error or state)
        return write_json_once(
            attempt.exit,
            {
                "state": state.value,
                "exit_code": 0 if state is JobState.SUCCEEDED else None,
                "finished_at": utc_now().isoformat(),
                "error": None if error is None else error.as_record(),
                "declared_by": self._host,
            },
        )


def _end_of(folder: JobFolder, number: int, host: str) -> tuple[JobState, TunewayError | None]:
    if folder.result.exists():
        return JobState.SUCCEEDED, None
    if folder.attempt(number).stop.exists():
        return JobState.STOPPED, JobFailedError("The job was stopped on request")
    return JobState.LOST, JobLostError(
        f"The job's host has been silent for {SILENCE.total_seconds():.0f} s",
        value=host,
        next_step="start the job again: another host resumes it from its last checkpoint",
    )


def _content(path: Path) -> bytes:
    """Read, not only looked at: a network file system asks its server anew when a file is opened."""
    with suppress(OSError):
        return path.read_bytes()
    return b""
