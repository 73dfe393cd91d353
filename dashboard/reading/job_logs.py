"""A job's log: its end, older lines, and what is found in it. Only what is shown or searched is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from dashboard.reading.keeping import ask, kept
from dashboard.visits import Visit
from storage.job_state import offset_of_last_lines, read_log_lines

if TYPE_CHECKING:
    from contracts.jobs import FinetuningJob

LOG_LINES = 200
"""Shown at first."""
OLDER_LINES = 500
MOST_LINES = 5_000
"""More in one page is slow to draw; the rest is in the file to download."""
SEARCHED_BYTES = 16 * 1024 * 1024
"""From the end of the log."""
FOUND_LINES = 500
SEARCH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LogView:
    """A part of a job's log."""

    attempt: int
    attempts: list[int]
    lines: list[str]
    has_older: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FoundLines:
    """What a search has found."""

    count: int
    """Lines in the searched part."""
    lines: list[str]
    """The last of them."""
    is_whole: bool
    """All of the log was searched."""


def job_log(visit: Visit, job_id: int, lines: int = LOG_LINES, attempt: int | None = None) -> LogView | None:
    """The last lines of an attempt's log, of the newest where none is named; None before there is one.

    Raises NotFoundError, ForbiddenError.
    """
    files = _files(visit, job_id)
    if not files:
        return None
    chosen = attempt if attempt in files else max(files)
    path = files[chosen]
    offset = offset_of_last_lines(path, lines)
    return LogView(chosen, sorted(files), _read(path, offset), offset > 0, path.stat().st_size)


def search_log(visit: Visit, job_id: int, attempt: int, text: str) -> FoundLines:
    """Lines of an attempt's log that hold the text, whatever its letters' case."""
    path = _files(visit, job_id)[attempt]
    return _search(str(path), path.stat().st_size, text.casefold())


def whole_log(visit: Visit, job_id: int) -> bytes:
    """Every attempt's log, one after the other, for a download."""
    files = _files(visit, job_id)
    return b"\n".join(
        b"".join([f"== attempt {number} ==\n".encode() if len(files) > 1 else b"", files[number].read_bytes()])
        for number in sorted(files)
    )


def _files(visit: Visit, job_id: int) -> dict[int, Path]:
    visit.require(ResourceKind.JOB, "read", job_id)
    return _files_of(ask(visit, lambda uow: uow.jobs.get(job_id)))


def _files_of(job: FinetuningJob) -> dict[int, Path]:
    """The logs by the number of their attempt."""
    if job.logs_path is None:
        return {}
    place = Path(job.logs_path)
    folder = place.parent.parent if place.suffix == ".log" else place
    found = {path.parent.name.rpartition("-")[2]: path for path in folder.glob("attempt-*/output.log")}
    numbered = {int(number): path for number, path in found.items() if number.isdecimal()}
    return numbered or ({1: place} if place.is_file() else {})


def _read(path: Path, offset: int) -> list[str]:
    lines: list[str] = []
    while (part := read_log_lines(path, offset, at_end=True)).next_offset > offset:
        lines += part.lines
        offset = part.next_offset
    return lines


@kept(SEARCH_SECONDS)
def _search(path: str, size_bytes: int, text: str) -> FoundLines:
    """`size_bytes` tells a log that has grown from what it was."""
    begin = max(0, size_bytes - SEARCHED_BYTES)
    found = [line for line in _read(Path(path), begin) if text in line.casefold()]
    return FoundLines(len(found), found[-FOUND_LINES:], begin == 0)
