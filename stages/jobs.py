"""The runner's jobs as a person handles them: list, look at, stop, go on. The job folders are the truth."""

from __future__ import annotations

import difflib
import time
from typing import TYPE_CHECKING

from contracts.enums import CompressionMethod, JobKind
from contracts.errors import (
    CapacityError,
    ConflictError,
    InvalidDataError,
    InvalidRequestError,
    NotFoundError,
    TunewayError,
    UnavailableError,
)
from contracts.jobs import JobDetail, JobListing, ResumedJob
from contracts.record import utc_now
from contracts.training import CompressionFacts, TrainingReport
from stages.hosts import runner_for
from stages.runner_client import RunnerClient
from storage.files import read_json, write_text_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_folders, job_view, read_submission
from storage.processes import host_name, is_alive
from storage.stored_files import read_stored_json
from training.checkpoints import (
    SET_ASIDE,
    check_chosen,
    checkpoint_records,
    newest_saved_step,
    set_aside_label,
)

if TYPE_CHECKING:
    from contracts.enums import JobState
    from contracts.jobs import JobSubmission, JobView
    from settings import Settings

STOP_LIMIT_SECONDS = 45.0
"""The launcher kills after 30 s what does not end; its processes and their cards take a little longer to go."""
POLL_SECONDS = 0.2
NUMBERED = ("train", "compress")
"""Keys of jobs that have a row begin so; its number follows."""


def list_jobs(settings: Settings, states: set[JobState] | None = None) -> list[JobListing]:
    """Every job, the newest submission first; as the runner sees them where it answers."""
    listings = [
        JobListing(name=_name(folder), compression=_compression(folder), view=view) for folder, view in _views(settings)
    ]
    listings.sort(
        key=lambda job: (job.view.started_at is None, str(job.view.started_at), job.view.job_key), reverse=True
    )
    return [job for job in listings if states is None or job.view.state in states]


def find_job(given: str, settings: Settings) -> JobFolder:
    """The job of that key (`train-17`), number (`17`) or name. Raises NotFoundError naming the nearest one."""
    folders = job_folders(settings.jobs_dir)
    by_key = {folder.root.name: folder for folder in folders}
    for key in (given, *(f"{kind}-{given}" for kind in NUMBERED)):
        if key in by_key:
            return by_key[key]
    by_name = {name: folder for folder in folders if (name := _name(folder))}
    if given in by_name:
        return by_name[given]
    known = [*by_key, *by_name]
    nearest = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    raise NotFoundError(
        "There is no such job",
        value=given,
        allowed="a key such as train-17, its number, or the job's name",
        next_step=f"did you mean {nearest[0]}?" if nearest else "see `tuneway job list`",
    )


def folder_of(job_id: int, settings: Settings) -> JobFolder | None:
    """The folder of that row's job; None until the runner has taken it."""
    folders = [JobFolder(settings.jobs_dir / f"{kind}-{job_id}") for kind in NUMBERED]
    return next((folder for folder in folders if folder.submission.exists()), None)


def describe_job(folder: JobFolder, settings: Settings) -> JobDetail:
    """Everything the folder tells of the job."""
    view = _view(folder, settings)
    restarts = (read_json(folder.attempt(view.attempt).restarts) or {}).get("restarts", [])
    assert isinstance(restarts, list)
    return JobDetail(
        name=_name(folder),
        view=view,
        folder=str(folder.root),
        log_path=str(folder.attempt(view.attempt).log),
        checkpoints=checkpoint_records(folder.checkpoints),
        set_aside=_set_aside(folder, "[!.]*"),
        restarts=[restart for restart in restarts if isinstance(restart, dict)],
        has_result=folder.result.exists(),
        compression=_compression_facts(folder),
    )


def stop_job(folder: JobFolder, settings: Settings) -> tuple[JobView, int | None]:
    """Stop the job and wait for its end: the last view, and the step at which a checkpoint lies (None: none yet).

    A job that has ended already is left as it is. Raises CapacityError where its processes do not end.
    """
    view = job_view(folder)
    if not view.state.is_final:
        _ask_to_stop(folder, view, settings)
    deadline = time.monotonic() + STOP_LIMIT_SECONDS
    while not (view := job_view(folder)).state.is_final:
        if time.monotonic() > deadline:
            raise CapacityError(
                f"The job has not ended within {STOP_LIMIT_SECONDS:.0f} s",
                value=view.job_key,
                next_step=f"see `tuneway job logs {view.job_key}`; its processes may wait for a disk or a card",
            )
        time.sleep(POLL_SECONDS)
    return view, newest_saved_step(folder.checkpoints)


def resume_job(folder: JobFolder, checkpoint: str | None, settings: Settings, *, owner: str = "") -> ResumedJob:
    """Start the job's next attempt from its last checkpoint, or from the one that is named; later ones are set aside.

    `owner` names the call: of the owner who has resumed the job last, it is the same call again, which changes nothing.
    Raises ConflictError while it runs or where it has its result, InvalidRequestError for an unknown checkpoint.
    """
    if owner and read_submission(folder).owner == owner:
        view = _view(folder, settings)
    else:
        following = next_attempt(folder, checkpoint)
        runner = RunnerClient(settings, runner_for(following.num_gpus, settings))
        view = runner.submit(following.model_copy(update={"owner": owner or following.owner}))
    return ResumedJob(
        job=view,
        checkpoint_step=newest_saved_step(folder.checkpoints),
        set_aside=_set_aside(folder, set_aside_label(view.attempt)),
    )


def next_attempt(folder: JobFolder, checkpoint: str | None) -> JobSubmission:
    """What the runner is to be handed for the job to go on. Raises as `resume_job`; changes nothing."""
    submission, view = read_submission(folder), job_view(folder)
    if folder.result.exists():
        raise ConflictError(
            "The job has its result already",
            value=view.job_key,
            next_step=f"see it with `tuneway job show {view.job_key}`",
        )
    if not view.state.is_final:
        raise ConflictError(
            "The job has not ended",
            value=f"{view.job_key} attempt {view.attempt} is {view.state.value}",
            next_step=f"stop it first: `tuneway job stop {view.job_key}`",
        )
    try:
        following = submission.model_validate(
            {**submission.model_dump(), "attempt": view.attempt + 1, "resume_from": checkpoint}
        )
    except ValueError as error:
        raise InvalidRequestError(
            "That is no name of a checkpoint",
            value=checkpoint,
            allowed=", ".join(record.name for record in checkpoint_records(folder.checkpoints)) or "checkpoint-<step>",
            next_step=f"see `tuneway job show {view.job_key}`",
        ) from error
    if checkpoint is not None and (read_stored_json(folder.plan) or {}).get("followed"):
        raise ConflictError(
            "The checkpoints are another trainer's, which chooses for itself where it goes on",
            value=f"{view.job_key}, {checkpoint}",
            next_step=f"resume it without a checkpoint: `tuneway job resume {view.job_key}`",
        )
    if checkpoint is not None:
        check_chosen(folder.checkpoints, checkpoint)
    return following


def _ask_to_stop(folder: JobFolder, view: JobView, settings: Settings) -> None:
    """By the runner of its host where that answers, else by the file that the launcher looks for."""
    try:
        RunnerClient(settings, view.runner_url).stop(view.job_key, view.attempt)
    except (UnavailableError, NotFoundError):
        attempt = folder.attempt(view.attempt)
        identity = read_json(attempt.launcher)
        is_elsewhere = view.host not in {None, host_name()}
        if not is_elsewhere and (identity is None or not is_alive(identity)):
            raise UnavailableError(
                "The runner does not answer, and no process of the job lives here",
                value=view.job_key,
                next_step="start the runner with `tuneway up`: it finds out how the job ended",
            ) from None
        write_text_atomically(attempt.stop, utc_now().isoformat())


def _views(settings: Settings) -> list[tuple[JobFolder, JobView]]:
    try:
        views = RunnerClient(settings).views()
    except (UnavailableError, NotFoundError):  # not started, or never
        views = []
        for folder in job_folders(settings.jobs_dir):
            try:
                views.append(job_view(folder))
            except InvalidDataError:
                continue
    return [(JobFolder(settings.jobs_dir / view.job_key), view) for view in views]


def _view(folder: JobFolder, settings: Settings) -> JobView:
    try:
        return RunnerClient(settings).view(folder.root.name)
    except (UnavailableError, NotFoundError):
        return job_view(folder)


def _compression(folder: JobFolder) -> CompressionMethod | None:
    try:
        submission = read_submission(folder)
    except TunewayError:
        return None
    return CompressionMethod(str(submission.request["compression"])) if submission.kind is JobKind.COMPRESS else None


def _compression_facts(folder: JobFolder) -> CompressionFacts | None:
    """What the job's result says of a compression; None while it has none."""
    record = read_json(folder.result)
    if _compression(folder) is None or record is None:
        return None
    return TrainingReport.model_validate(record).compression


def _set_aside(folder: JobFolder, label: str) -> list[str]:
    aside = folder.checkpoints / SET_ASIDE
    return sorted(str(path.relative_to(aside)) for path in aside.glob(f"{label}/checkpoint-*"))


def _name(folder: JobFolder) -> str:
    """The name its request gave the job; empty where it has none."""
    try:
        return str(read_submission(folder).request.get("job_name") or "")
    except TunewayError:
        return ""
