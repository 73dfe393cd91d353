"""Fine-tuning jobs over HTTP: their state, their end and how they go on."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from contracts.access import ResourceKind, Visibility
from contracts.enums import JobStatus, Method
from contracts.errors import InvalidRequestError
from contracts.fitting import FitPlan, PlanRequest
from contracts.job_requests import CreatedJob, FinetuneJobRequest, JobPlan
from contracts.jobs import FinetuningJob, JobLog, JobMetrics, JobView, ResumedJob, SavedCheckpoint
from contracts.lists import ListRequest, Page
from database.repositories.jobs import JobRepository
from serving_api.admin.lists import listed_by
from serving_api.admin.routers import admin_router
from serving_api.authentication import Caller, ServicesParameter, principal_again
from serving_api.event_streams import EVENTS, EventStream, LastEventId, stream_events
from serving_api.idempotency import OnceParameter
from serving_api.permissions import ListPermission, ThingsParameter, permit, require
from serving_api.planning import planned_elsewhere
from serving_api.problems import problem_responses
from stages import finetuning
from stages.audit import record_action
from stages.job_streams import LogStream, MetricsStream, log_of, metrics_of
from stages.jobs import find_job
from stages.jobs import resume_job as resume_ended_job
from stages.plan_training import plan_training
from stages.services import Services
from storage.job_folder import JobFolder


class ResumeRequest(BaseModel):
    """From where a job goes on."""

    checkpoint_id: int | None = None
    """One of the job's checkpoints, by its id; without it, and without a name, the last one."""
    checkpoint: str | None = None
    """The same by its name: `checkpoint-500`."""


class JobStopped(BaseModel):
    """How a job ended."""

    job: JobView | None
    """None: it was stopped before the runner had taken it."""
    checkpoint_step: int | None
    """The step from which it can go on; None where no checkpoint was saved."""


router = admin_router("jobs")


@router.get("/finetuning/jobs")
def list_jobs(
    services: ServicesParameter,
    visible: Annotated[Visibility, Depends(ListPermission(ResourceKind.JOB))],
    listing: Annotated[ListRequest, listed_by(JobRepository.SORTED_BY)],
    status: JobStatus | None = None,
    method: Method | None = None,
    base_model: str | None = None,
    dataset_id: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
) -> Page[FinetuningJob]:
    """Fine-tuning jobs."""
    with services.unit_of_work() as uow:
        return uow.jobs.page(
            listing, visible, status=status, method=method, base_model=base_model, dataset_id=dataset_id
        )


@router.get(
    "/finetuning/jobs/{job_id}",
    dependencies=[permit(ResourceKind.JOB, "read", by="job_id")],
    responses=problem_responses(404),
)
def get_job(services: ServicesParameter, job_id: int) -> FinetuningJob:
    """One fine-tuning job with its progress and report."""
    with services.unit_of_work() as uow:
        return uow.jobs.get(job_id)


@router.post(
    "/finetuning/jobs/{job_id}/stop",
    dependencies=[permit(ResourceKind.JOB, "stop", by="job_id")],
    responses=problem_responses(404, 507),
)
def stop_job(services: ServicesParameter, caller: Caller, job_id: int) -> JobStopped:
    """Stop a job and wait until its checkpoint is saved, 45 s at most. Stopping it again changes nothing."""
    view, step = finetuning.stop_job(job_id, services)
    record_action(services, caller.username, "job.stopped", f"job/{job_id}")
    return JobStopped(job=view, checkpoint_step=step)


@router.get(
    "/finetuning/jobs/{job_id}/checkpoints",
    dependencies=[permit(ResourceKind.JOB, "read", by="job_id")],
    responses=problem_responses(404),
)
def list_checkpoints(services: ServicesParameter, job_id: int) -> list[SavedCheckpoint]:
    """The checkpoints that a job can go on from, by step."""
    with services.unit_of_work() as uow:
        uow.jobs.get(job_id)
        return uow.jobs.checkpoints(job_id)


@router.post(
    "/finetuning/jobs/{job_id}/resume",
    dependencies=[permit(ResourceKind.JOB, "resume", by="job_id")],
    responses=problem_responses(404, 409),
)
def resume_job(
    services: ServicesParameter,
    caller: Caller,
    once: OnceParameter,
    job_id: int,
    request: ResumeRequest | None = None,
) -> ResumedJob:
    """Start the job's next attempt from its last checkpoint, or from the chosen one; later ones are set aside."""
    folder = _job_folder(services, job_id)
    owner = "" if once.mark is None else f"api/{once.mark}"

    def resume() -> ResumedJob:
        chosen = None if request is None else _chosen_checkpoint(services, job_id, request)
        resumed = resume_ended_job(folder, chosen, services.settings, owner=owner)
        record_action(services, caller.username, "job.resumed", f"job/{job_id}")
        return resumed

    return once(ResumedJob, resume)


@router.post(
    "/finetuning/jobs",
    status_code=201,
    dependencies=[permit(ResourceKind.JOB, "create")],
    responses={
        **problem_responses(404, 409, 507),
        200: {"model": JobPlan, "description": "With dry_run: what the job would need; nothing was started"},
        202: {
            "model": CreatedJob,
            "description": "The job is kept; Airflow is away, and the same call again starts it",
        },
    },
)
def create_job(
    services: ServicesParameter,
    caller: Caller,
    things: ThingsParameter,
    once: OnceParameter,
    request: FinetuneJobRequest,
    response: Response,
    dry_run: bool = False,
) -> CreatedJob | JobPlan:
    """Check the job, write it down and have Airflow start it. The same name and request again is the same job."""
    things.require(ResourceKind.DATASET, "read", request.dataset_id)
    if dry_run:
        response.status_code = 200
        return planned_elsewhere(request, services)
    created = once(
        CreatedJob, lambda: finetuning.create_job(request, services, caller), is_final=lambda job: job.is_started
    )
    response.status_code = 201 if created.is_started else 202
    return created


@router.get(
    "/finetuning/jobs/{job_id}/logs",
    dependencies=[permit(ResourceKind.JOB, "read", by="job_id")],
    responses=problem_responses(404),
)
def get_log(services: ServicesParameter, job_id: int, lines: Annotated[int, Query(ge=1, le=10_000)] = 100) -> JobLog:
    """The last lines of the training's log, as they are now."""
    return log_of(job_id, services, lines)


@router.get(
    "/finetuning/jobs/{job_id}/metrics",
    dependencies=[permit(ResourceKind.JOB, "read", by="job_id")],
    responses=problem_responses(404),
)
def get_metrics(
    services: ServicesParameter, job_id: int, points: Annotated[int, Query(ge=2, le=10_000)] = 500
) -> JobMetrics:
    """The series of the training's metrics, for plots."""
    return metrics_of(job_id, services, points)


@router.get(
    "/finetuning/jobs/{job_id}/logs/events",
    dependencies=[permit(ResourceKind.JOB, "read", by="job_id")],
    responses={**problem_responses(404), **EVENTS},
    response_class=EventStream,
)
async def stream_log(
    services: ServicesParameter,
    request: Request,
    job_id: int,
    lines: Annotated[int, Query(ge=0, le=10_000)] = 100,
    last_event_id: LastEventId = None,
) -> Response:
    """The log as it is written, as server-sent events: `log` (whole lines) and `end`. It begins with the last lines."""
    stream = LogStream(job_id, services, after=last_event_id, lines=lines)
    return await stream_events(stream, last_event_id is not None, lambda: _admit(request, job_id))


@router.get(
    "/finetuning/jobs/{job_id}/metrics/events",
    dependencies=[permit(ResourceKind.JOB, "read", by="job_id")],
    responses={**problem_responses(404), **EVENTS},
    response_class=EventStream,
)
async def stream_metrics(
    services: ServicesParameter, request: Request, job_id: int, last_event_id: LastEventId = None
) -> Response:
    """The metrics as they are logged, as server-sent events: `metrics` (a list of steps), `reset` and `end`.

    `reset`: the training has gone back to a checkpoint; what came before is not valid, and all of it follows anew.
    """
    stream = MetricsStream(job_id, services, after=last_event_id)
    return await stream_events(stream, last_event_id is not None, lambda: _admit(request, job_id))


@router.post("/finetuning/plan", dependencies=[permit(ResourceKind.JOB, "plan")])
def plan_job(services: ServicesParameter, request: PlanRequest) -> FitPlan:
    """Memory and disk that a training will need, the verdict, and the nearest setting that fits. Starts nothing."""
    return plan_training(
        request.recipe,
        services,
        base_model=request.base_model,
        method=request.method,
        hyperparameters=request.hyperparameters,
        num_gpus=request.num_gpus,
        num_nodes=request.num_nodes,
    )


def _chosen_checkpoint(services: Services, job_id: int, request: ResumeRequest) -> str | None:
    if request.checkpoint_id is None:
        return request.checkpoint
    if request.checkpoint is not None:
        raise InvalidRequestError(
            "A checkpoint is chosen by its id or by its name",
            value=f"checkpoint_id {request.checkpoint_id} and checkpoint {request.checkpoint}",
            next_step="leave one of the two out",
        )
    with services.unit_of_work() as uow:
        names = {saved.checkpoint_id: saved.name for saved in uow.jobs.checkpoints(job_id)}
    if request.checkpoint_id not in names:
        raise InvalidRequestError(
            "The job has no such checkpoint",
            value=f"checkpoint_id {request.checkpoint_id}",
            allowed=", ".join(f"{number} ({name})" for number, name in names.items()) or "none: none was saved yet",
            next_step=f"list them: GET /finetuning/jobs/{job_id}/checkpoints",
        )
    return names[request.checkpoint_id]


async def _admit(request: Request, job_id: int) -> None:
    await require(request, await principal_again(request), ResourceKind.JOB, "read", job_id)


def _job_folder(services: Services, job_id: int) -> JobFolder:
    with services.unit_of_work() as uow:
        uow.jobs.get(job_id)
    return find_job(str(job_id), services.settings)
