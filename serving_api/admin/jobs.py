"""Fine-tuning jobs over HTTP: their state, their end and how they go on."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel

from contracts.access import ResourceKind, Visibility
from contracts.enums import JobStatus, Method
from contracts.errors import InvalidRequestError
from contracts.fitting import FitPlan, PlanRequest
from contracts.jobs import FinetuningJob, JobView, ResumedJob, SavedCheckpoint
from contracts.lists import ListRequest, Page
from database.repositories.jobs import JobRepository
from serving_api.admin.lists import listed_by
from serving_api.admin.routers import admin_router
from serving_api.authentication import Caller, ServicesParameter
from serving_api.permissions import ListPermission, permit
from serving_api.problems import problem_responses
from stages.audit import record_action
from stages.jobs import find_job
from stages.jobs import resume_job as resume_ended_job
from stages.jobs import stop_job as stop_running_job
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
    """How a job ended, and the step from which it can go on; None where no checkpoint was saved."""

    job: JobView
    checkpoint_step: int | None


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
    folder = _job_folder(services, job_id)
    view, step = stop_running_job(folder, services.settings)
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
    services: ServicesParameter, caller: Caller, job_id: int, request: ResumeRequest | None = None
) -> ResumedJob:
    """Start the job's next attempt from its last checkpoint, or from the chosen one; later ones are set aside."""
    folder = _job_folder(services, job_id)
    chosen = None if request is None else _chosen_checkpoint(services, job_id, request)
    resumed = resume_ended_job(folder, chosen, services.settings)
    record_action(services, caller.username, "job.resumed", f"job/{job_id}")
    return resumed


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


def _job_folder(services: Services, job_id: int) -> JobFolder:
    with services.unit_of_work() as uow:
        uow.jobs.get(job_id)
    return find_job(str(job_id), services.settings)
