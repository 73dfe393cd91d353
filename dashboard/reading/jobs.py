"""Fine-tuning jobs, and the story of one; sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.datasets import DatasetVersion
from contracts.enums import JobStatus
from contracts.jobs import FinetuningJob
from dashboard.reading.keeping import FRESH_SECONDS, HEALTH_SECONDS, LISTED, ask, kept
from dashboard.reading.training_traces import LossCurve, job_folder, loss_curve, metric_series
from dashboard.visits import Visit
from stages.services import Services
from storage.job_folder import JobFolder
from training.checkpoints import checkpoint_records

if TYPE_CHECKING:
    from contracts.sweeps import SweepReport
    from contracts.training import CheckpointRecord
    from database.unit_of_work import UnitOfWork


STORY_SECONDS = 0.8
"""A job's page looks each second."""
FIGURE_POINTS = 60
SPARK_POINTS = 40
SPARK_SECONDS = 600.0


@kept(FRESH_SECONDS)
def list_jobs(visit: Visit, status: JobStatus | None = None) -> list[FinetuningJob]:
    """Fine-tuning jobs, newest first."""
    seen = visit.visible(ResourceKind.JOB)
    return ask(visit, lambda uow: uow.jobs.newest(status, limit=LISTED, visible=seen))


def loss_sparks(jobs: list[FinetuningJob]) -> dict[int, list[float]]:
    """The course of each job's loss in a few points: from its report, else from its folder."""
    return {job.job_id: _spark(job) for job in jobs}


def _spark(job: FinetuningJob) -> list[float]:
    if job.report is not None and job.report.loss_curve:
        curve = job.report.loss_curve
        return [value for _, value in curve[:: -(-len(curve) // SPARK_POINTS)]]
    folder = job_folder(job)
    if folder is None or not folder.metrics.is_file():
        return []
    return _spark_of(str(folder.metrics), folder.metrics.stat().st_mtime_ns)


@kept(SPARK_SECONDS)
def _spark_of(path: str, written_at_ns: int) -> list[float]:
    """`written_at_ns` tells a file that has grown from what it was."""
    series = metric_series(Path(path), SPARK_POINTS)
    return [value for _, value in series.get("loss") or series.get("train_loss") or []]


@dataclass(frozen=True, slots=True)
class JobStory:
    """One fine-tuning job."""

    job: FinetuningJob
    dataset: DatasetVersion
    curve: LossCurve | None
    metrics: dict[str, list[tuple[int, float]]]
    """(step, value) by name, for small figures."""


@kept(STORY_SECONDS)
def job_story(visit: Visit, job_id: int) -> JobStory:
    """One fine-tuning job. Raises NotFoundError, ForbiddenError."""
    visit.require(ResourceKind.JOB, "read", job_id)

    def question(uow: UnitOfWork) -> tuple[FinetuningJob, DatasetVersion]:
        job = uow.jobs.get(job_id)
        return job, uow.datasets.get(job.dataset_id)

    job, dataset = ask(visit, question)
    folder = job_folder(job)
    metrics = {} if folder is None else metric_series(folder.metrics, FIGURE_POINTS)
    return JobStory(job, dataset, loss_curve(visit, job), metrics)


def checkpoints(services: Services, job_id: int) -> list[CheckpointRecord]:
    """The checkpoints that the job can go on from, by step."""
    return checkpoint_records(JobFolder(services.settings.jobs_dir / f"train-{job_id}").checkpoints)


def was_handed_over(services: Services, job_id: int) -> bool:
    """The runner has the job: it can be stopped, or go on."""
    return JobFolder(services.settings.jobs_dir / f"train-{job_id}").submission.exists()


def is_queued(services: Services, job_id: int) -> bool:
    """The job was asked for by a person or a program, and Airflow hands it over: it can be stopped before that."""
    return ask(services, lambda uow: uow.jobs.queued(job_id)) is not None


@kept(HEALTH_SECONDS)
def list_sweeps(visit: Visit) -> list[SweepReport]:
    """Every sweep of whose jobs the reader may read each, newest first."""
    from stages.tune_hyperparameters import list_sweeps

    found = list_sweeps(visit)
    jobs = {sweep.sweep_name: {trial.job_id for trial in sweep.trials if trial.job_id} for sweep in found}
    readable = visit.readable(ResourceKind.JOB, {job for of_sweep in jobs.values() for job in of_sweep})
    return [sweep for sweep in found if jobs[sweep.sweep_name] <= readable]
