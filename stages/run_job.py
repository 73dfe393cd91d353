"""Have a stage's job done for a caller that waits, such as a person at a terminal."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from contracts.enums import JobState
from contracts.errors import (
    CapacityError,
    ConflictError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    UnavailableError,
    error_from_record,
)
from contracts.record import utc_now
from stages.cards import real_gpus
from stages.launching import (
    acceptance,
    cards_in_use,
    job_cards,
    lease_kind,
    lease_owner,
    slots,
    start_launcher,
)
from stages.runner_client import RunnerClient
from storage.files import read_json, write_json_atomically, write_json_once, write_text_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view, read_log
from storage.processes import host_name, is_alive

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from contracts.errors import TunewayError
    from contracts.jobs import JobSubmission, JobView
    from stages.services import Services

BEAT_SECONDS = 10.0

log = logging.getLogger(__name__)


def run_job(submission: JobSubmission, services: Services, *, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Return when the job has ended: done by the runner where one answers, else by a launcher of this process.

    How it ended stands in its folder; the stage's `collect` reads it. A job that has its result is not done again.
    `should_stop` is asked again and again meanwhile; once it says so the job is stopped, in order.
    """
    if JobFolder(services.settings.jobs_dir / submission.job_key).result.exists():
        return
    runner = RunnerClient(services.settings)
    if _answers(runner):
        runner.submit_or_resume(submission)
        runner.wait(submission.job_key, on_view=lambda view: _stop_at_the_runner(runner, view, should_stop))
        return
    if submission.num_nodes > 1:
        raise UnavailableError(
            "No runner answers, which a job on several hosts needs",
            value=f"{submission.job_key}, num_nodes {submission.num_nodes}",
            next_step="start it with `tuneway up`, on each of the hosts",
        )
    log.warning("no runner answers: %s is done in the foreground", submission.job_key)
    _run_in_foreground(submission, services, should_stop)


def error_of(view: JobView) -> TunewayError:
    """Why a job ended without its result."""
    if view.error is not None:
        return error_from_record(view.error)
    kind = JobLostError if view.state is JobState.LOST else JobFailedError
    return kind(
        "The job ended without its result",
        value=f"{view.job_key} attempt {view.attempt} is {view.state.value}, exit code {view.exit_code}",
        next_step="read its log, then start it again",
    )


def _answers(runner: RunnerClient) -> bool:
    try:
        return runner.is_up()
    except NotFoundError:  # no token: the platform was never started here
        return False


def _stop_at_the_runner(runner: RunnerClient, view: JobView, should_stop: Callable[[], bool]) -> None:
    if not view.state.is_final and should_stop():
        runner.stop(view.job_key, view.attempt)


def _run_in_foreground(submission: JobSubmission, services: Services, should_stop: Callable[[], bool]) -> None:
    """The job's next attempt by a launcher of this process, its output on stderr.

    Leaves the same rows and files as the runner, so that a runner started meanwhile sees a job it can follow.
    """
    settings, gpus = services.settings, real_gpus()
    folder = JobFolder(settings.jobs_dir / submission.job_key)
    submission = submission.model_copy(update={"attempt": _next_attempt(folder)})
    owner = lease_owner(submission)
    with services.unit_of_work() as uow:
        cards = uow.leases.acquire(
            owner,
            submission.num_gpus,
            host_name(),
            slots(settings, gpus),
            kind=lease_kind(submission),
            never={*settings.serving_gpus, *cards_in_use(settings)},
        )
    if cards is None:
        raise CapacityError(
            "Not enough GPUs are free",
            value=f"{submission.num_gpus} wanted",
            allowed=f"{len(job_cards(settings, gpus))} in all",
            next_step="wait for the running jobs, or start the runner, which waits by itself: `tuneway up`",
        )
    try:
        attempt = folder.attempt(submission.attempt)
        attempt.root.mkdir(parents=True, exist_ok=True)
        write_json_atomically(attempt.queued, acceptance(settings))
        write_json_atomically(folder.submission, submission.model_dump(mode="json"))
        if submission.finetuning_job_id is not None:
            with services.unit_of_work() as uow:
                uow.jobs.mark_running(submission.finetuning_job_id, cards)
        launcher = start_launcher(settings, folder, submission, cards, gpus)
        try:
            _follow(launcher, folder, submission, lambda: _beat(owner, services), should_stop)
        except BaseException:
            # Ctrl-C: the job ends in order; asking for it again goes on with it
            launcher.terminate()
            launcher.wait()
            raise
    finally:
        with services.unit_of_work() as uow:
            uow.leases.release(owner)


def _next_attempt(folder: JobFolder) -> int:
    """Number of the job's next attempt. Raises ConflictError while one runs."""
    try:
        view = job_view(folder)
    except NotFoundError:
        return 1
    identity = read_json(folder.attempt(view.attempt).launcher)
    if not view.state.is_final and identity is not None and is_alive(identity):
        raise ConflictError(
            "The job is running already",
            value=f"{view.job_key} attempt {view.attempt}",
            next_step="wait for it, or stop it on the dashboard",
        )
    return view.attempt + 1


def _beat(owner: str, services: Services) -> None:
    """The cards' holder lives. PostgreSQL being away ends nothing."""
    try:
        with services.unit_of_work() as uow:
            uow.leases.beat([owner], host_name())
    except (UnavailableError, DBAPIError) as error:
        log.warning("the cards' lease was not renewed: %s", error)


def _follow(
    launcher: subprocess.Popen[bytes],
    folder: JobFolder,
    submission: JobSubmission,
    beat: Callable[[], None],
    should_stop: Callable[[], bool],
) -> None:
    """Pass the job's output on until it has ended, and renew its lease meanwhile."""
    offset, beaten_at = 0, time.monotonic()
    stop = folder.attempt(submission.attempt).stop
    while True:
        ended = launcher.poll() is not None
        if time.monotonic() - beaten_at > BEAT_SECONDS:
            beat()
            beaten_at = time.monotonic()
        chunk = read_log(folder, offset, submission.attempt)
        offset = chunk.next_offset
        sys.stderr.write(chunk.text)
        sys.stderr.flush()
        if ended and not chunk.text:
            break
        if not ended and not stop.exists() and should_stop():
            write_text_atomically(stop, utc_now().isoformat())
        time.sleep(0.2)
    if not folder.attempt(submission.attempt).exit.exists():
        error = JobLostError("The job's launcher vanished", next_step="ask for the job again")
        write_json_once(
            folder.attempt(submission.attempt).exit,
            {
                "state": JobState.LOST.value,
                "exit_code": launcher.returncode,
                "finished_at": utc_now().isoformat(),
                "error": error.as_record(),
            },
        )
