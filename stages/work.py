"""A job's own process: `python -m stages.work <job folder> <attempt>`.

Exit codes: 0 result.json is there; 3 error.json says why not; 75 restart.json asks for another start; 143 stopped on
request.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from contracts.errors import RestartNeededError, TunewayError
from settings.logs import start_logging
from storage.files import write_json_atomically
from storage.job_folder import AttemptFolder, JobFolder
from storage.job_state import (
    EXIT_CODE_ERROR,
    EXIT_CODE_RESTART,
    EXIT_CODE_STOPPED,
    read_submission,
    require_present_attempt,
)
from storage.processes import die_with_parent

if TYPE_CHECKING:
    from types import FrameType

log = logging.getLogger("work")


def main(arguments: list[str]) -> int:
    """Do the job's work once."""
    die_with_parent()
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop)
    folder = JobFolder(Path(arguments[0]).resolve())
    start_logging("job", job=folder.root.name, attempt=arguments[1], run_id=read_submission(folder).owner)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    attempt = folder.attempt(int(arguments[1]))
    try:
        work(folder)
    except Exception as error:  # noqa: BLE001 - the edge of the process: recorded, then told by the exit code
        if stop.asked:  # libraries make errors of a SystemExit that passes through them
            log.warning("stopped on request: %s: %s", type(error).__name__, error)
            return EXIT_CODE_STOPPED
        return _failed(attempt, error)
    return 0


def work(folder: JobFolder) -> None:
    """Read the submission, do the stage's work, write its record. Nothing where the record is there already."""
    if folder.result.exists():
        log.info("%s has its result already", folder.root.name)
        return
    from stages.catalog import STAGES
    from stages.services import open_services

    submission = read_submission(folder)
    stage = next(stage for stage in STAGES.values() if stage.job_kind is submission.kind)
    request = stage.request.model_validate(submission.request)
    record = stage.module.work(request, folder, open_services())
    if int(os.environ.get("RANK", "0")) == 0:
        require_present_attempt()
        write_json_atomically(folder.result, record.model_dump(mode="json"))


def _failed(attempt: AttemptFolder, error: Exception) -> int:
    """Leave the error for the launcher; the exit code that goes with it."""
    if isinstance(error, RestartNeededError):
        _leave_error(attempt, error)
        write_json_atomically(attempt.restart, error.as_record())
        return EXIT_CODE_RESTART
    if isinstance(error, TunewayError):
        log.error("%s", error)
        _leave_error(attempt, error)
        return EXIT_CODE_ERROR
    traceback.print_exception(error)
    from training.lost_processes import lost_process_error

    _leave_error(
        attempt,
        lost_process_error(error)
        or TunewayError(
            "The job met an error that nobody foresaw",
            value=f"{type(error).__name__}: {error}",
            next_step=f"read the traceback at the end of {attempt.log}",
        ),
    )
    return EXIT_CODE_ERROR


def _leave_error(attempt: AttemptFolder, error: TunewayError) -> None:
    """The first process of the job that fails says why; the others fail because of it."""
    if not attempt.error.exists():
        write_json_atomically(attempt.error, error.as_record())


class _Stop:
    """The answer to SIGTERM where the work has none of its own: ends the process, and knows that it was asked to."""

    asked = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> NoReturn:
        self.asked = True
        raise SystemExit(EXIT_CODE_STOPPED)


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EXIT_CODE_ERROR
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of libraries must not keep a finished job alive.
    os._exit(code)
