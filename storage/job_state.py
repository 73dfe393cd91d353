"""What the folder of a runner job says about it. Reads files only, so any host that sees them may ask."""

import json
import os
from pathlib import Path

from pydantic import ValidationError

from contracts.enums import JobState
from contracts.errors import InvalidDataError, JobLostError, NotFoundError
from contracts.jobs import JobSubmission, JobView, LogChunk, LogLines
from contracts.record import JsonObject
from contracts.training import JobProgress
from storage.files import read_json
from storage.job_folder import JobFolder
from storage.log_lines import readable
from storage.processes import ATTEMPT_VARIABLE, is_alive

LOG_CHUNK_BYTES = 256 * 1024
LOG_TAIL_BYTES = 4 * 1024 * 1024
EXIT_CODE_STOPPED = 143
"""128 + SIGTERM: the job ended because it was asked to."""
EXIT_CODE_ERROR = 3
"""The job left its error in error.json."""
EXIT_CODE_RESTART = 75
"""The job asks in restart.json to be started once more."""


def read_submission(folder: JobFolder) -> JobSubmission:
    """The newest submission. Raises NotFoundError or InvalidDataError."""
    value = _read(folder.submission)
    if value is None:
        raise NotFoundError("There is no such job", value=folder.root.name, next_step="list jobs with GET /jobs")
    try:
        return JobSubmission.model_validate(value)
    except ValidationError as error:
        raise InvalidDataError("The job's submission cannot be read", value=folder.submission) from error


def host_of(folder: JobFolder, attempt: int) -> str | None:
    """The host whose runner has accepted the attempt; None where its file does not say."""
    host = (_read(folder.attempt(attempt).queued) or {}).get("host")
    return None if host is None else str(host)


def require_present_attempt() -> None:
    """Raise JobLostError where the attempt that this process works for has ended in the eyes of others.

    Asked before a job's process makes something known: a machine that slept through its being given up must not write
    into what the next attempt has made. Nothing where the process belongs to no attempt.
    """
    mark = os.environ.get(ATTEMPT_VARIABLE)
    if mark is None:
        return
    path, _, number = mark.rpartition("#")
    # of an attempt over several hosts, a part's mark has its number behind the folder's name
    folder = JobFolder(Path(path).with_name(Path(path).name.partition("@")[0]))
    attempt = folder.attempt(int(number))
    if attempt.exit.exists() or int(str((_read(folder.submission) or {}).get("attempt", number))) != int(number):
        raise JobLostError(
            "The attempt was given up while this host was silent",
            value=f"{folder.root.name} attempt {number}",
            next_step="nothing: the job goes on elsewhere, from its last checkpoint",
        )


def job_folders(jobs_dir: Path) -> list[JobFolder]:
    """The folders to which a job was submitted, by key."""
    if not jobs_dir.is_dir():
        return []
    return [JobFolder(path.parent) for path in sorted(jobs_dir.glob("*/submission.json"))]


def job_view(folder: JobFolder) -> JobView:
    """The job as its files tell it.

    Without exit.json an attempt counts as running (launcher.json is there) or queued: only the host's runner can see
    that processes vanished, and it then writes exit.json. Raises NotFoundError where no job was submitted.
    """
    submission = read_submission(folder)
    attempt = folder.attempt(submission.attempt)
    queued = _read(attempt.queued) or {}
    launcher = _read(attempt.launcher) or {}
    end = _read(attempt.exit)
    running = JobState.RUNNING if launcher else JobState.QUEUED
    state = running if end is None else JobState(str(end["state"]))
    error = None
    if state in {JobState.FAILED, JobState.LOST, JobState.STOPPED}:
        ended = (end or {}).get("error")
        error = ended if isinstance(ended, dict) else _read(attempt.error)
    progress = _read(folder.progress)
    return JobView.model_validate(
        {
            "job_key": submission.job_key,
            "kind": submission.kind,
            "state": state,
            "attempt": submission.attempt,
            "host": queued.get("host"),
            "runner_url": queued.get("runner_url"),
            "exit_code": None if end is None else end.get("exit_code"),
            "gpu_ids": launcher.get("gpu_ids", []),
            "progress": None if progress is None else JobProgress.model_validate(progress),
            "error": error,
            "started_at": launcher.get("started_at"),
            "finished_at": None if end is None else end.get("finished_at"),
        }
    )


def launchers_here(folder: JobFolder, attempt: int) -> list[JsonObject]:
    """What the living launchers of the attempt on this host have written, of the whole or of a part, until it has ended."""
    paths = folder.attempt(attempt)
    written = [read_json(one.launcher) for one in (paths, *paths.parts()) if not one.exit.exists()]
    return [identity for identity in written if identity is not None and is_alive(identity)]


def read_log(folder: JobFolder, offset: int = 0, attempt: int | None = None) -> LogChunk:
    """Output of the newest (or the given) attempt from a byte offset on, whole characters only."""
    number = attempt or read_submission(folder).attempt
    try:
        with folder.attempt(number).log.open("rb") as stream:
            stream.seek(offset)
            raw = stream.read(LOG_CHUNK_BYTES)
    except FileNotFoundError:
        return LogChunk(text="", next_offset=offset)
    whole = raw[: len(raw) - _unfinished_bytes(raw)]
    return LogChunk(text=whole.decode("utf-8", errors="replace"), next_offset=offset + len(whole))


def read_log_lines(log: Path, offset: int, *, at_end: bool = False) -> LogLines:
    """Whole lines of a log from a byte offset on, some 256 KiB of them; at the end also one without a line feed.

    Of a line that was rewritten, as progress bars do, its last state.
    """
    try:
        with log.open("rb") as stream:
            stream.seek(offset)
            raw = stream.read(LOG_CHUNK_BYTES)
    except FileNotFoundError:
        return LogLines(lines=[], next_offset=offset)
    is_whole = at_end and len(raw) < LOG_CHUNK_BYTES
    cut = raw.rfind(b"\n") + 1
    if is_whole or (cut == 0 and len(raw) == LOG_CHUNK_BYTES):
        cut = len(raw) - _unfinished_bytes(raw)
    text = raw[:cut].decode("utf-8", errors="replace")
    lines = [readable(line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n")]
    return LogLines(lines=lines[:-1] if lines[-1] == "" else lines, next_offset=offset + cut)


def offset_of_last_lines(log: Path, lines: int) -> int:
    """Where the last lines of a log begin, an unfinished one not counted; looked for in its last 4 MiB."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            begin = max(0, size - LOG_TAIL_BYTES)
            stream.seek(begin)
            raw = stream.read(size - begin)
    except FileNotFoundError:
        return 0
    end = raw.rfind(b"\n") + 1
    for _ in range(lines):
        if end <= 0:
            break
        end = raw.rfind(b"\n", 0, end - 1) + 1
    return begin + end


def _unfinished_bytes(raw: bytes) -> int:
    """Bytes at the end that begin a character whose rest is not there yet: 0 to 3."""
    for back in range(1, min(3, len(raw)) + 1):
        byte = raw[-back]
        if byte & 0b1100_0000 == 0b1000_0000:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return back if needed > back else 0
    return 0


def _read(path: Path) -> JsonObject | None:
    """A JSON file's object; None where it is absent. Every such file is written whole, so a broken one is a fault."""
    try:
        return read_json(path)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidDataError("A file of the job cannot be read", value=path) from error
