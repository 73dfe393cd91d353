"""A job's log and metrics as they are written, for somebody who follows them and may have been away. Reads files only.

An event's id says where the file is to be read on: `2-4096` is byte 4096 of the second attempt's log, `81-512` byte 512
of the metrics file with inode 81, which is another file after a training has gone back to a checkpoint.
"""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from contracts.enums import JobState, JobStatus
from contracts.errors import InvalidRequestError
from contracts.jobs import JobLog, JobMetrics
from contracts.record import utc_now
from stages.jobs import folder_of
from storage.job_state import job_view, offset_of_last_lines, read_log_lines, read_submission
from training.metrics import read_metrics_from

if TYPE_CHECKING:
    from pathlib import Path

    from stages.services import Services
    from storage.job_folder import JobFolder

ID = re.compile(r"(\d{1,20})-(\d{1,18})")
RETRY_SECONDS = 60.0
"""An attempt that failed or was lost is begun again by Airflow within this time, or not at all."""
ROW_SECONDS = 2.0
"""Between two looks at the row of a job that nobody has begun."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event: `name` is log, metrics, reset or end."""

    id: str
    name: str
    data: str


class JobStream(Protocol):
    """What is followed."""

    is_over: bool

    def poll(self) -> list[StreamEvent]:
        """What is new since the last call; the last event is `end`."""
        ...


class _FollowedJob:
    """Its folder, once there is one, and its end."""

    def __init__(self, job_id: int, services: Services) -> None:
        self._job_id = job_id
        self._services = services
        self._folder: JobFolder | None = None
        self._looked_at = -math.inf
        self._unbegun_end: str | None = None

    @property
    def folder(self) -> JobFolder | None:
        """The job's folder; None until the runner has taken the job."""
        if self._folder is None:
            self._folder = folder_of(self._job_id, self._services.settings)
        return self._folder

    def end(self, attempt: int) -> str | None:
        """How the job has ended, where this is its last attempt; None while it goes on."""
        folder = self.folder
        if folder is None:
            return self._end_of_row()
        if not folder.attempt(attempt).exit.exists():
            return None
        view = job_view(folder)
        if view.attempt != attempt or not view.state.is_final:
            return None
        may_go_on = view.state in {JobState.FAILED, JobState.LOST}
        if may_go_on and view.finished_at is not None:
            age = (utc_now() - view.finished_at).total_seconds()
            if age < RETRY_SECONDS:
                return None
        return view.state.value

    def _end_of_row(self) -> str | None:
        now = time.monotonic()
        if now - self._looked_at >= ROW_SECONDS:
            self._looked_at = now
            with self._services.unit_of_work() as uow:
                status = uow.jobs.get(self._job_id).status
            self._unbegun_end = None if status in {JobStatus.PENDING, JobStatus.RUNNING} else status.value
        return self._unbegun_end


class LogStream:
    """The log, attempt after attempt."""

    def __init__(self, job_id: int, services: Services, *, after: str | None, lines: int) -> None:
        """`after`: the id of the last event that was seen; without it the last `lines` lines come first."""
        self._job = _FollowedJob(job_id, services)
        self._position: tuple[int, int] | None = None if after is None else _position(after)
        self._lines = lines
        self.is_over = False

    def poll(self) -> list[StreamEvent]:
        """See JobStream."""
        folder = self._job.folder
        if folder is None:
            return self._ended([], self._job.end(0), (0, 0))
        if self._position is None or self._position[0] == 0:
            attempt = read_submission(folder).attempt
            self._position = attempt, offset_of_last_lines(folder.attempt(attempt).log, self._lines)
        attempt, offset = self._position
        log = folder.attempt(attempt).log
        # the end first, the lines second: what was written before the end is read after it
        end, is_last = self._job.end(attempt), folder.attempt(attempt).exit.exists()
        found = read_log_lines(log, offset, at_end=is_last)
        self._position = attempt, found.next_offset
        if found.lines:
            event = StreamEvent(f"{attempt}-{found.next_offset}", "log", "\n".join(found.lines))
            return [event]
        if is_last and end is None and read_submission(folder).attempt > attempt:
            self._position = attempt + 1, 0
            return []
        return self._ended([], end, self._position)

    def _ended(self, events: list[StreamEvent], end: str | None, position: tuple[int, int]) -> list[StreamEvent]:
        if end is None:
            return events
        self.is_over = True
        return [*events, StreamEvent(f"{position[0]}-{position[1]}", "end", json.dumps({"state": end}))]


class MetricsStream:
    """The metrics, one event a logged step; `reset` where the values so far are not valid any more."""

    def __init__(self, job_id: int, services: Services, *, after: str | None) -> None:
        """`after`: the id of the last event that was seen; without it all values come."""
        self._job = _FollowedJob(job_id, services)
        self._position = (0, 0) if after is None else _position(after)
        self.is_over = False

    def poll(self) -> list[StreamEvent]:
        """See JobStream."""
        folder = self._job.folder
        attempt = 0 if folder is None else read_submission(folder).attempt
        end = self._job.end(attempt)
        events = [] if folder is None else self._new(folder.metrics)
        if end is not None:
            self.is_over = True
            file, offset = self._position
            events.append(StreamEvent(f"{file}-{offset}", "end", json.dumps({"state": end})))
        return events

    def _new(self, path: Path) -> list[StreamEvent]:
        file, offset = self._position
        try:
            present = path.stat()
        except FileNotFoundError:
            return []
        events = []
        if present.st_ino != file or present.st_size < offset:
            if file != 0:
                events.append(StreamEvent(f"{present.st_ino}-0", "reset", "{}"))
            file, offset = present.st_ino, 0
        elif present.st_size == offset:
            return []
        values, offset = read_metrics_from(path, offset)
        if values:
            events.append(StreamEvent(f"{file}-{offset}", "metrics", json.dumps(values)))
        self._position = file, offset
        return events


def log_of(job_id: int, services: Services, lines: int) -> JobLog:
    """The last lines of the newest attempt's log."""
    folder = folder_of(job_id, services.settings)
    if folder is None:
        return JobLog(attempt=None, lines=[], last_id=None)
    attempt = read_submission(folder).attempt
    log, has_ended = folder.attempt(attempt).log, folder.attempt(attempt).exit.exists()
    offset = offset_of_last_lines(log, lines)
    found: list[str] = []
    while (part := read_log_lines(log, offset, at_end=has_ended)).lines:
        found += part.lines
        offset = part.next_offset
    return JobLog(attempt=attempt, lines=found[-lines:], last_id=f"{attempt}-{offset}")


def metrics_of(job_id: int, services: Services, points: int) -> JobMetrics:
    """All series, each with so many points at most."""
    folder = folder_of(job_id, services.settings)
    if folder is None or not folder.metrics.exists():
        return JobMetrics(series={}, last_id=None)
    file = folder.metrics.stat().st_ino
    lines, offset = read_metrics_from(folder.metrics, 0)
    series: dict[str, list[tuple[int, float]]] = {}
    for values in lines:
        step = int(str(values.get("step", 0)))
        for name, value in values.items():
            if name != "step" and isinstance(value, int | float) and math.isfinite(value):
                series.setdefault(name, []).append((step, float(value)))
    thinned = {name: _thinned(found, points) for name, found in series.items()}
    return JobMetrics(series=thinned, last_id=f"{file}-{offset}")


def _thinned(points: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    if len(points) <= most:
        return points
    last = len(points) - 1
    return [points[round(index * last / (most - 1))] for index in range(most)]


def _position(event_id: str) -> tuple[int, int]:
    found = ID.fullmatch(event_id)
    if found is None:
        raise InvalidRequestError(
            "That is no id of an event of this stream",
            value=event_id[:50],
            allowed="the id of the last event that was received, such as 1-4096",
            next_step="send it as Last-Event-ID, or leave the header out to begin anew",
        )
    return int(found[1]), int(found[2])
