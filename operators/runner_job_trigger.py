"""Follows a runner job from the triggerer, and ends the task itself."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent

from contracts.enums import JobState, StageName
from contracts.errors import (
    ConflictError,
    InvalidDataError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    TunewayError,
    UnavailableError,
    error_from_record,
)
from contracts.record import utc_now
from operators.failures import error_record
from operators.stage_journal import StageJournal
from storage.files import write_text_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.triggers.base import TriggerEvent

    from contracts.jobs import JobView
    from contracts.record import JsonObject
    from stages.runner_client import AsyncRunnerClient

POLL_SECONDS = 1.0
UNREACHABLE_LIMIT_SECONDS = 900.0
"""A runner that is restarted or whose host reboots is back by then; the job itself does not mind."""
CAUGHT_UP_LINES = 200
"""Lines of a job's log shown again when a triggerer takes over a job that has been running for days."""
ROW_TRIES = 5


class RunnerJobTrigger(BaseTrigger):
    """Ends its task with the job's attempt: the task takes no second turn in the pool, and needs no worker.

    Between polls nothing is held: a triggerer that is killed and started again, or a runner that is, changes nothing.

    Where the runner does not answer, because its host is dead or cut off, the job's folder is asked: another host's runner
    writes the attempt's end there once that host has been silent for too long, and the task's next try goes elsewhere.

    :param run_id: the run's id in pipeline_runs
    :param runner_url: of the host where the job is; None is that of the settings
    """

    def __init__(
        self,
        *,
        job_key: str,
        attempt: int,
        run_id: str,
        stage: str,
        poll_seconds: float = POLL_SECONDS,
        unreachable_limit_seconds: float = UNREACHABLE_LIMIT_SECONDS,
        runner_url: str | None = None,
    ) -> None:
        super().__init__()
        self.job_key = job_key
        self.attempt = attempt
        self.run_id = run_id
        self.stage = stage
        self.poll_seconds = poll_seconds
        self.unreachable_limit_seconds = unreachable_limit_seconds
        self.runner_url = runner_url

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Everything that makes the same trigger in another process."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "job_key": self.job_key,
                "attempt": self.attempt,
                "run_id": self.run_id,
                "stage": self.stage,
                "poll_seconds": self.poll_seconds,
                "unreachable_limit_seconds": self.unreachable_limit_seconds,
                "runner_url": self.runner_url,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, at the attempt's end. An error is an event too: raised, it would cost a turn in the pool."""
        try:
            error = await self._follow()
        except Exception as unforeseen:
            self.log.exception("The job could not be followed")
            failure: JsonObject | None = error_record(unforeseen)
        else:
            failure = None if error is None else error.as_record()
            if error is not None:
                self.log.error("%s", error.sentence())
        if failure is None:
            yield TaskSuccessEvent()
            return
        await self._record_failure(failure)
        yield TaskFailedEvent()

    async def on_kill(self) -> None:
        """A person marked the task or cleared it: stop this attempt, never a later one.

        The row in pipeline_stages is left to `finish_run`: after a Clear the next attempt is already writing it.
        """
        from stages.runner_client import AsyncRunnerClient
        from stages.services import open_services

        self.log.info("Stopping %s attempt %d", self.job_key, self.attempt)
        settings = open_services().settings
        async with AsyncRunnerClient(settings, self.runner_url) as runner:
            try:
                await runner.stop(self.job_key, self.attempt)
            except (ConflictError, NotFoundError) as error:
                self.log.info("Nothing to stop. %s", error)
            except UnavailableError:
                if not await asyncio.to_thread(ask_to_stop, JobFolder(settings.jobs_dir / self.job_key), self.attempt):
                    raise

    async def _follow(self) -> TunewayError | None:
        """Wait for the attempt's end, its log flowing into the task's. None when it has its result."""
        from stages.runner_client import AsyncRunnerClient
        from stages.services import open_services

        log = LogTail()
        unreachable_since: float | None = None
        sign: bytes | None = None
        settings = open_services().settings
        folder = JobFolder(settings.jobs_dir / self.job_key)
        async with AsyncRunnerClient(settings, self.runner_url) as runner:
            while True:
                try:
                    # state first, log second: what was written before the end is in the log after it
                    view = await runner.view(self.job_key)
                    for line in await log.new_lines(runner, self.job_key, self.attempt, at_end=view.state.is_final):
                        self.log.info("%s", line)
                except UnavailableError as error:
                    now = time.monotonic()
                    if unreachable_since is None:
                        unreachable_since = now
                        self.log.warning("The runner does not answer; the job goes on without us. %s", error)
                    seen = await asyncio.to_thread(view_by_folder, folder)
                    if seen is not None and (seen.attempt != self.attempt or seen.state.is_final):
                        return await self._judged(seen)
                    beat = await asyncio.to_thread(sign_of_life, folder, self.attempt)
                    if beat != sign:  # its launcher lives, whatever became of its runner
                        sign, unreachable_since = beat, now
                    if now - unreachable_since > self.unreachable_limit_seconds:
                        return JobLostError(
                            f"The runner has not answered for {self.unreachable_limit_seconds:g} seconds",
                            value=self.job_key,
                            next_step="start it with `tuneway up`, then clear this task: it re-attaches to the job",
                        )
                else:
                    if unreachable_since is not None:
                        self.log.info("The runner answers again")
                        unreachable_since = None
                    if view.attempt != self.attempt or view.state.is_final:
                        return await self._judged(view)
                    await self._seen(runner, view)
                await asyncio.sleep(self.poll_seconds)

    async def _judged(self, view: JobView) -> TunewayError | None:
        """What the end of the attempt means for the task."""
        if view.attempt != self.attempt:
            return JobLostError(
                "Another attempt at this job has taken over",
                value=f"attempt {view.attempt}, this task follows {self.attempt}",
                next_step="look at the run that owns it",
            )
        return await self._ended(view)

    async def _seen(self, runner: AsyncRunnerClient, view: JobView) -> None:
        """The job works: time for what a kind of job wants to be done meanwhile."""

    async def _ended(self, view: JobView) -> TunewayError | None:
        """Why the job has not its result; None where it has, or where that is as it should be."""
        return job_error(view)

    async def _record_failure(self, error: JsonObject) -> None:
        from stages.services import open_services

        def write() -> None:
            StageJournal(open_services(), self.run_id, StageName(self.stage)).failed(error)

        for tries_left in reversed(range(ROW_TRIES)):
            try:
                await asyncio.to_thread(write)
            except Exception as unwritten:  # noqa: BLE001 - the task's end matters more than its row
                self.log.warning("pipeline_stages could not be told: %s", unwritten)
                if tries_left:
                    await asyncio.sleep(self.poll_seconds)
            else:
                return


def view_by_folder(folder: JobFolder) -> JobView | None:
    """The job as its folder tells it; None where the folder cannot be seen from here."""
    try:
        return job_view(folder)
    except (InvalidDataError, NotFoundError, OSError):
        return None


def sign_of_life(folder: JobFolder, attempt: int) -> bytes:
    """Changes each second while the attempt's launcher lives."""
    with suppress(OSError):
        return folder.attempt(attempt).heartbeat.read_bytes()
    return b""


def ask_to_stop(folder: JobFolder, attempt: int) -> bool:
    """Leave the wish in the job's folder, for a runner or launcher that cannot be reached; False where that is not seen."""
    view = view_by_folder(folder)
    if view is None:
        return False
    if view.attempt == attempt and not view.state.is_final:
        write_text_atomically(folder.attempt(attempt).stop, utc_now().isoformat())
    return True


class LogTail:
    """The lines of one attempt's log, each once; at the start only the last ones of a long log."""

    def __init__(self) -> None:
        self.offset = 0
        self.unfinished = ""
        self.caught_up = False

    async def new_lines(
        self, runner: AsyncRunnerClient, job_key: str, attempt: int, *, at_end: bool = False
    ) -> list[str]:
        """Whole lines since the last call; at the end of the job also a last one without a line feed."""
        lines: list[str] = []
        while True:
            chunk = await runner.log(job_key, attempt=attempt, offset=self.offset)
            if not chunk.text:
                break
            self.offset = chunk.next_offset
            *whole, self.unfinished = (self.unfinished + chunk.text).split("\n")
            lines.extend(whole)
            if not self.caught_up:
                lines = lines[-CAUGHT_UP_LINES:]
        self.caught_up = True
        if at_end and self.unfinished:
            lines.append(self.unfinished)
            self.unfinished = ""
        # a progress bar rewrites its line; only its last state is worth a line
        return [line.rpartition("\r")[2] if not line.endswith("\r") else line.rstrip("\r") for line in lines]


def job_error(view: JobView) -> TunewayError | None:
    """Why the attempt ended without its result, in the job's own words where it left any; None when it has it."""
    if view.state is JobState.SUCCEEDED:
        return None
    if view.error is not None:
        return error_from_record(view.error)
    return (JobLostError if view.state is JobState.LOST else JobFailedError)(
        f"The job {view.job_key} has ended without its result",
        value=f"attempt {view.attempt} is {view.state}, exit code {view.exit_code}",
        next_step="read the job's log in this task's log, then clear the task",
    )


def retry_can_help(error: TunewayError) -> bool:
    """A job that crashed or vanished may do better; one whose request, data or machine is wrong will not."""
    return error.retryable or isinstance(error, JobFailedError) or type(error) is TunewayError
