"""The process between the runner and a job: `python -m runner.launcher <job folder> <attempt>`.

It outlives the runner. It starts the job's process, writes a heartbeat, ends the job on request or at its time limit,
and leaves exit.json as its last act. Killed itself, it takes the job's processes with it.

Within the attempt, its cards kept, it starts the job's process again where that hangs (runner/watchdog.py) or asks for
it (restart.json: a smaller micro-batch after memory ran out). The job goes on from its newest whole checkpoint.
"""

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from contracts.enums import CompressionMethod, JobKind, JobState
from contracts.errors import (
    InvalidDataError,
    JobFailedError,
    JobHungError,
    JobLostError,
    TunewayError,
    error_from_record,
)
from contracts.jobs import JobSubmission
from contracts.record import JsonObject, utc_now
from contracts.training import JobProgress
from runner.parts import BROKEN_GRACE_SECONDS, OtherParts, torchrun_options
from runner.watchdog import Watchdog
from settings import load_settings
from settings.logs import start_logging
from stages.launching import GPU_IDS_VARIABLE
from stages.tracing import EndedSpan, open_tracer, place_of_attempt
from storage.files import read_json, write_json_atomically, write_json_once
from storage.job_folder import AttemptFolder, JobFolder
from storage.job_state import EXIT_CODE_ERROR, EXIT_CODE_STOPPED, read_submission
from storage.private_folders import remove_private_folders
from storage.processes import ATTEMPT_VARIABLE, attempt_mark, die_with_parent, identity_of, kill_attempt

HEARTBEAT_SECONDS = 1.0
POLL_SECONDS = 0.2
LOCK_SECONDS = 2.0
"""A runner that looks whether a launcher lives holds the lock for a moment."""
STOP_GRACE_SECONDS = 30.0
"""Between SIGTERM and SIGKILL: training finishes its step and saves a checkpoint meanwhile."""
STOP_GRACE_VARIABLE = "TUNEWAY_STOP_GRACE_SECONDS"
MAX_RESTARTS = 2
"""Of one attempt: what hangs a third time will hang a fourth time."""

log = logging.getLogger("launcher")


@dataclass
class _Signals:
    """Set by the launcher's own SIGTERM: the machine or its operator ends us, the job may go on later."""

    interrupted: bool = False


@dataclass
class _Ending:
    """Why the launcher itself ends the job."""

    state: JobState
    error: TunewayError
    hangs: bool = False
    """It may go on in a new process."""
    breaks: bool = False
    """Another host's part is gone, so that the job's process can do nothing more."""
    asked_at: float = field(default_factory=time.monotonic)


def main(arguments: list[str]) -> int:
    """Run one attempt to its end."""
    folder, number = JobFolder(Path(arguments[0]).resolve()), int(arguments[1])
    start_logging("launcher", job=folder.root.name, attempt=str(number), run_id=read_submission(folder).owner)
    attempt = folder.attempt(number)
    attempt.root.mkdir(parents=True, exist_ok=True)
    if not take_lock(attempt.root / "launcher.lock"):
        log.warning("attempt %d of %s runs already", number, folder.root.name)
        return 0
    if attempt.exit.exists():
        log.warning("attempt %d of %s has ended already", number, folder.root.name)
        return 0
    signals = _Signals()
    signal.signal(signal.SIGTERM, lambda *_: setattr(signals, "interrupted", True))
    signal.signal(signal.SIGINT, lambda *_: setattr(signals, "interrupted", True))
    submission = read_submission(folder)
    gpu_ids: list[object] = json.loads(os.environ.get(GPU_IDS_VARIABLE, "[]"))
    write_json_atomically(
        attempt.launcher,
        {**identity_of(os.getpid()), "gpu_ids": gpu_ids, "started_at": utc_now().isoformat()},  # type: ignore[dict-item]
    )
    began = utc_now()
    code, ending = _run(submission, folder, number, signals)
    record = exit_record(folder, attempt, code, ending)
    write_json_once(attempt.exit, record)
    _trace(submission, began, record)
    return 0


def _trace(submission: JobSubmission, began: datetime, record: JsonObject) -> None:
    """The attempt's span, where the site collects them: the last act, without which nothing is missing."""
    tracer = open_tracer(load_settings(), "launcher")
    if tracer is None:
        return
    about: dict[str, str | int | float] = {
        "tuneway.job": submission.job_key,
        "tuneway.attempt": submission.attempt,
        "tuneway.gpus": submission.num_gpus,
        "tuneway.state": str(record["state"]),
    }
    error = record["error"]
    tracer.tell(
        EndedSpan(
            f"job {submission.kind.value}",
            place_of_attempt(submission),
            began,
            utc_now(),
            about,
            str(error["what"]) if isinstance(error, dict) else None,
        )
    )
    tracer.flush()


def _run(submission: JobSubmission, folder: JobFolder, number: int, signals: _Signals) -> tuple[int, _Ending | None]:
    """The job's process from its start to its end, again where it may go on in a new one; as `_watch` tells."""
    attempt, mark = folder.attempt(number), attempt_mark(folder.root, number)
    deadline = time.monotonic() + submission.max_runtime_seconds
    restarts: list[JsonObject] = []
    others = OtherParts(attempt) if submission.num_nodes > 1 else None
    while True:
        attempt.restart.unlink(missing_ok=True)
        child = subprocess.Popen(
            command_of(submission, folder, number),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
            env={**os.environ, ATTEMPT_VARIABLE: mark},
        )
        log.info("attempt %d of %s: process %d", number, submission.job_key, child.pid)
        code, ending = _watch(child, submission, folder, attempt, signals, mark, deadline, others)
        survivors = kill_attempt(mark)
        if survivors:
            log.warning("ended the remaining processes %s", survivors)
        remove_private_folders(folder.root)  # what a killed process had opened
        if others is not None:  # what several hosts do is begun again by the next attempt, on all of them
            others.end(code)
            return code, ending or _ending_of(others.lost())
        why = _reason_to_restart(attempt, code, ending)
        if why is None or folder.result.exists() or len(restarts) >= MAX_RESTARTS:
            return code, ending
        restarts.append({"at": utc_now().isoformat(), **why.as_record()})
        log.warning("starting the job again, %d of at most %d times: %s", len(restarts), MAX_RESTARTS, why)
        write_json_atomically(attempt.restarts, {"restarts": list(restarts)})
        attempt.error.unlink(missing_ok=True)


def _reason_to_restart(attempt: AttemptFolder, code: int, ending: _Ending | None) -> TunewayError | None:
    if ending is not None:
        return ending.error if ending.hangs and not attempt.stop.exists() else None
    wish = read_json(attempt.restart)
    return None if code == 0 or wish is None else error_from_record(wish)


def take_lock(path: Path) -> bool:
    """Hold the attempt's lock to the end of this process; False where another launcher holds it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True


def command_of(submission: JobSubmission, folder: JobFolder, attempt: int, rank: int = 0) -> list[str]:
    """The command of the job's process; torchrun starts several for a training job on several GPUs or hosts."""
    work = ["-m", "stages.work", str(folder.root), str(attempt)]
    if submission.kind is not JobKind.TRAIN or submission.num_gpus * submission.num_nodes == 1:
        return [sys.executable, *work]
    if (read_json(folder.plan) or {}).get("followed"):  # another trainer starts its own processes
        return [sys.executable, *work]
    options = torchrun_options(submission, folder.attempt(attempt), rank)
    return [sys.executable, "-m", "torch.distributed.run", *options, *work]


def _watch(
    child: subprocess.Popen[bytes],
    submission: JobSubmission,
    folder: JobFolder,
    attempt: AttemptFolder,
    signals: _Signals,
    mark: str,
    deadline: float,
    others: OtherParts | None,
) -> tuple[int, _Ending | None]:
    """Wait for the job, beating; the exit code and, if the launcher ended it, why."""
    last_beat, ending = 0.0, None
    left_before = _progress(folder)
    trains = submission.kind is JobKind.TRAIN or submission.request.get("compression") == CompressionMethod.DISTILL
    watchdog = Watchdog(load_settings().hang_seconds, time.monotonic()) if trains else None
    grace = float(os.environ.get(STOP_GRACE_VARIABLE, STOP_GRACE_SECONDS))
    while True:
        try:
            return child.wait(POLL_SECONDS), ending
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        hung = None
        if now - last_beat >= HEARTBEAT_SECONDS:
            last_beat = now
            if is_given_up(folder, attempt, submission.attempt):
                ending = _Ending(JobState.LOST, JobLostError("The attempt was given up while this host was silent"))
                log.warning("killing the job: %s", ending.error)
                # at once, without a last checkpoint: the folder is another attempt's
                child.kill()
                kill_attempt(mark)
                return child.wait(), ending
            beat(attempt, child.pid)
            if watchdog is not None:
                progress = _progress(folder)
                hung = watchdog.look(now, None if progress == left_before else progress)
        if ending is None:
            ending = _reason_to_end(submission, attempt, signals, now - deadline, hung)
            if ending is None and others is not None:
                ending = _ending_of(others.lost())
            if ending is not None:
                log.info("ending the job: %s", ending.error)
                child.terminate()
        elif now - ending.asked_at > (BROKEN_GRACE_SECONDS if ending.breaks else grace):
            log.warning("the job did not end within %.0f s, killing it", grace)
            child.kill()
            kill_attempt(mark)


def _ending_of(lost: JobLostError | None) -> _Ending | None:
    return None if lost is None else _Ending(JobState.LOST, lost, breaks=True)


def is_given_up(folder: JobFolder, attempt: AttemptFolder, number: int) -> bool:
    """Another host has declared the attempt's end, or a later one has begun: this one's folder is no longer its own."""
    if attempt.exit.exists():
        return True
    try:
        return read_submission(folder).attempt != number
    except TunewayError:  # a fault of the file is no proof
        return False


def _progress(folder: JobFolder) -> JobProgress | None:
    """What the job's process has written last; None where there is nothing to read."""
    try:
        return JobProgress.model_validate(read_json(folder.progress))
    except (ValueError, OSError):
        return None


def _reason_to_end(
    submission: JobSubmission, attempt: AttemptFolder, signals: _Signals, overtime: float, hung: str | None
) -> _Ending | None:
    if attempt.stop.exists():
        return _Ending(JobState.STOPPED, JobFailedError("The job was stopped on request"))
    if overtime > 0:
        return _Ending(
            JobState.FAILED,
            JobFailedError(
                "The job ran past its time limit",
                value=f"{submission.max_runtime_seconds + overtime:.0f} s",
                allowed=f"max_runtime_seconds {submission.max_runtime_seconds:.0f}",
                next_step="submit it again with a larger max_runtime_seconds: it resumes from its last checkpoint",
            ),
        )
    if signals.interrupted:
        return _Ending(
            JobState.LOST,
            JobLostError(
                "The job's launcher was told to end",
                next_step="start the job again: it resumes from its last checkpoint",
            ),
        )
    if hung is not None:
        return _Ending(
            JobState.FAILED,
            JobHungError(
                f"The job's process {hung}",
                allowed="see docs/training/durability.md for the limits, TUNEWAY_HANG_SECONDS for the lowest",
                next_step=f"see {attempt.log} and `dmesg`, then go on from the last checkpoint: "
                f"`tuneway job resume {submission.job_key}`",
            ),
            hangs=True,
        )
    return None


def beat(attempt: AttemptFolder, pid: int) -> None:
    """The job's process lives."""
    try:
        write_json_atomically(attempt.heartbeat, {"at": utc_now().isoformat(), "pid": pid})
    except OSError as error:  # a full disk must not end the job: its own writes will say so
        log.warning("no heartbeat: %s", error)


def exit_record(folder: JobFolder, attempt: AttemptFolder, code: int, ending: _Ending | None) -> JsonObject:
    """The content of exit.json."""
    exit_code = 128 - code if code < 0 else code
    error: TunewayError | None = None
    if code == 0 and folder.result.exists():
        state = JobState.SUCCEEDED
    elif ending is not None and not (ending.breaks and attempt.error.exists()):
        state, error = ending.state, ending.error
    elif attempt.error.exists() and isinstance(error_from_record(read_json(attempt.error) or {}), JobLostError):
        state = JobState.LOST  # another process of the job vanished; the file says so
    elif attempt.error.exists():
        state, exit_code = JobState.FAILED, exit_code or EXIT_CODE_ERROR
    elif code == 0:
        state, error = JobState.FAILED, InvalidDataError("The job ended without its result", value=folder.result)
    else:
        how = "was told to end from outside" if exit_code == EXIT_CODE_STOPPED else "vanished"
        state = JobState.LOST
        error = JobLostError(
            f"The job's process {how}",
            value=f"exit code {exit_code}",
            next_step=f"see {attempt.log}; memory that ran out shows in `dmesg`. Started again, it resumes from its "
            "last checkpoint",
        )
    return {
        "state": state.value,
        "exit_code": exit_code,
        "finished_at": utc_now().isoformat(),
        "error": None if error is None else error.as_record(),
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
