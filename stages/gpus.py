"""What the cards do now: leases from PostgreSQL, places from the runner, the rest from the job folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.enums import JobState
from contracts.errors import InvalidDataError, NotFoundError, UnavailableError
from contracts.gpus import GpuState, QueuedWork
from stages.cards import real_gpus
from stages.launching import slots
from stages.runner_client import RunnerClient
from storage.job_folder import JobFolder
from storage.job_state import job_folders, job_view, read_submission

if TYPE_CHECKING:
    from contracts.jobs import JobView
    from settings import Settings
    from stages.services import Services


def gpu_state(services: Services) -> GpuState:
    """Cards, holders and queue. A runner that does not answer leaves the places out."""
    settings = services.settings
    with services.unit_of_work() as uow:
        leases = uow.leases.all()
    try:
        views, answers = RunnerClient(settings).views(), True
    except (UnavailableError, NotFoundError):  # not started, or never
        views, answers = _views_of_folders(settings), False
    work = [_work(view, settings) for view in views if not view.state.is_final]
    waiting = [job for job in work if job.state is JobState.QUEUED]
    return GpuState(
        cards=slots(settings, real_gpus()),
        serving_cards=sorted(settings.serving_gpus),
        leases=leases,
        runner_answers=answers,
        running=[job for job in work if job.state is JobState.RUNNING],
        waiting=sorted(waiting, key=lambda job: (job.place is None, job.place.position if job.place else 0)),
    )


def _views_of_folders(settings: Settings) -> list[JobView]:
    views = []
    for folder in job_folders(settings.jobs_dir):
        try:
            views.append(job_view(folder))
        except InvalidDataError:
            continue
    return views


def _work(view: JobView, settings: Settings) -> QueuedWork:
    submission = read_submission(JobFolder(settings.jobs_dir / view.job_key))
    return QueuedWork(
        job_key=view.job_key,
        kind=view.kind,
        state=view.state,
        num_gpus=submission.num_gpus,
        gpu_ids=view.gpu_ids,
        project=submission.project,
        priority=submission.priority,
        place=view.place,
    )
