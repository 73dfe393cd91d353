"""What runs, what waits and what serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contracts.access import ResourceKind
from contracts.enums import JobKind, JobStatus
from contracts.errors import InvalidDataError, NotFoundError
from contracts.jobs import FinetuningJob, JobView
from contracts.models import ArmEndpoint, ModelVersion
from dashboard.reading.experiments import ExperimentState, experiment_state
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.reading.machine import Disk, ServiceHealth, Slots, disk_of, service_health, slots_of
from dashboard.reading.training_traces import LossCurve, loss_curve
from dashboard.visits import Visit
from stages.services import Services
from storage.job_folder import JobFolder
from storage.job_state import job_view

if TYPE_CHECKING:
    from datetime import datetime

    from contracts.access import Visibility
    from contracts.leases import Lease
    from contracts.pipeline import PipelineRun
    from contracts.training import JobProgress
    from database.unit_of_work import UnitOfWork

_JOB_OF_KEY = re.compile(r"(?:train|compress|evaluate)-(\d+)\b")
"""Keys of the runner's jobs that belong to a fine-tuning job."""


@dataclass(frozen=True, slots=True)
class RunningWork:
    """A runner job that holds slots or waits for them."""

    key: str
    kind: JobKind
    job: FinetuningJob | None
    """The row of a training job."""
    progress: JobProgress | None
    started_at: datetime | None
    is_waiting: bool
    curve: LossCurve | None


@dataclass(frozen=True, slots=True)
class ModelInService:
    """A model version that answers or is in production."""

    model: ModelVersion
    endpoint: ArmEndpoint | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything of the first page."""

    run: PipelineRun | None
    work: list[RunningWork]
    slots: list[Slots]
    """Of each host, the asked runner's first."""
    disk: Disk
    models: list[ModelInService]
    experiments: list[ExperimentState]
    health: list[ServiceHealth]

    @property
    def is_busy(self) -> bool:
        """Something changes by itself, so the page has to look again soon."""
        return bool(self.work) or (self.run is not None and self.run.finished_at is None)


@kept(FRESH_SECONDS)
def read_overview(visit: Visit) -> Overview:
    """The first page."""
    health = service_health(visit)
    seen_jobs, seen_models = visit.visible(ResourceKind.JOB), visit.visible(ResourceKind.MODEL)
    leases = ask(visit, lambda uow: uow.leases.all())
    experiments = ask(visit, lambda uow: uow.experiments.running())
    states = [experiment_state(visit, running) for running in experiments]
    if not seen_jobs.everything:
        leases = _named_to(visit, leases)

    def question(uow: UnitOfWork) -> Overview:
        jobs = [
            *uow.jobs.newest(JobStatus.RUNNING, limit=LISTED, visible=seen_jobs),
            *uow.jobs.newest(JobStatus.PENDING, limit=LISTED, visible=seen_jobs),
        ]
        return Overview(
            run=uow.pipeline_runs.latest(),
            work=[*(_training_work(visit, job) for job in jobs), *_evaluation_work(visit, leases)],
            slots=slots_of(visit, leases, health),
            disk=disk_of(visit),
            models=_models_in_service(uow, seen_models),
            experiments=states,
            health=health,
        )

    return ask(visit, question)


def _named_to(visit: Visit, leases: list[Lease]) -> list[Lease]:
    """The leases, those of jobs that the reader may not read without the job's name."""
    jobs = {lease.owner: int(found[1]) for lease in leases if (found := _JOB_OF_KEY.match(lease.owner)) is not None}
    readable = visit.readable(ResourceKind.JOB, jobs.values()) if jobs else frozenset()
    return [
        lease.model_copy(update={"owner": ""}) if jobs.get(lease.owner, 0) not in {0, *readable} else lease
        for lease in leases
    ]


def _training_work(services: Services, job: FinetuningJob) -> RunningWork:
    return RunningWork(
        key=job.job_name,
        kind=JobKind.TRAIN if job.compression is None else JobKind.COMPRESS,
        job=job,
        progress=job.progress,
        started_at=job.start_time,
        is_waiting=job.status is JobStatus.PENDING,
        curve=loss_curve(services, job),
    )


def _evaluation_work(services: Services, leases: list[Lease]) -> list[RunningWork]:
    """Evaluations have no row of their own: the leases name them, their folders tell how far they are."""
    keys = dict.fromkeys(lease.owner.rpartition("#")[0] for lease in leases)
    views = [view for key in keys if (view := _view_of(services, key)) is not None]
    return [
        RunningWork(
            key=view.job_key,
            kind=view.kind,
            job=None,
            progress=view.progress,
            started_at=view.started_at,
            is_waiting=view.started_at is None,
            curve=None,
        )
        for view in views
        if view.kind in {JobKind.EVALUATE, JobKind.EVALUATE_SUITES} and not view.state.is_final
    ]


def _view_of(services: Services, job_key: str) -> JobView | None:
    if not job_key:
        return None
    try:
        return job_view(JobFolder(services.settings.jobs_dir / job_key))
    except (NotFoundError, InvalidDataError, ValidationError, OSError):
        # another host's job, or a folder that is being written at this moment
        return None


def _models_in_service(uow: UnitOfWork, visible: Visibility) -> list[ModelInService]:
    endpoints = {endpoint.model_id: endpoint for endpoint in uow.models.deployed()}
    return [
        ModelInService(model, endpoints.get(model.model_id))
        for model in uow.models.newest(limit=LISTED, visible=visible)
        if model.model_id in endpoints or model.status.value == "production"
    ]
