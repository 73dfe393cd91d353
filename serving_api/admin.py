"""The admin API: what the platform has, and the A/B tests. Every call carries an access token or a key."""

from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from contracts.access import ResourceKind, Visibility
from contracts.datasets import DatasetVersion
from contracts.enums import Arm, DatasetStatus, JobStatus, ModelStatus
from contracts.errors import InvalidRequestError, NotFoundError
from contracts.experiment_decisions import ConcludeABTestRequest, ExperimentDecision
from contracts.experiment_results import ExperimentResults
from contracts.experiments import ABExperiment, StartABTestRequest
from contracts.fitting import FitPlan, PlanRequest
from contracts.jobs import FinetuningJob, JobView, ResumedJob, SavedCheckpoint
from contracts.models import ArmEndpoint, ModelVersion
from contracts.pipeline import PipelineRun
from contracts.promotions import REASON_LENGTH
from contracts.traffic import RampStep, TrafficPlan
from database.unit_of_work import UnitOfWork
from serving_api.authentication import Caller, ServicesParameter, principal_of
from serving_api.permissions import ListPermission, permit
from serving_api.problems import problem_responses
from stages.ab_tests import tester_key
from stages.audit import record_action
from stages.conclude_ab_test import conclude_ab_test, results_of, stop_ab_test
from stages.jobs import find_job
from stages.jobs import resume_job as resume_ended_job
from stages.jobs import stop_job as stop_running_job
from stages.plan_training import plan_training
from stages.services import Services
from stages.start_ab_test import start_ab_test
from storage.job_folder import JobFolder

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A part of a list, newest first."""

    items: list[T]
    skip: int
    limit: int


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


class Conclusion(BaseModel):
    """How a person ends an A/B test."""

    winner: Arm | None
    """Null: nobody wins, the present model stays."""
    reason: str = Field(default="concluded through the admin API", min_length=1, max_length=REASON_LENGTH)
    override: bool = False
    """Promote b also where the gate has not let it pass; audited as an override."""


class TrafficChange(BaseModel):
    """A TrafficPlan without its testers, who are set one by one."""

    model_config = ConfigDict(extra="forbid")

    holdout: float = Field(default=0, ge=0, lt=1)
    ramp: list[RampStep] = []
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


class ModelDetails(BaseModel):
    """A model version and where it answers."""

    model: ModelVersion
    deployment: ArmEndpoint | None


Skip = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=500)]


router = APIRouter(
    prefix="/api/v1/admin",
    tags=["admin"],
    dependencies=[Depends(principal_of)],
    responses=problem_responses(401, 403, 422, 429, 503),
)


@router.get("/training/datasets")
def list_datasets(
    services: ServicesParameter,
    visible: Annotated[Visibility, Depends(ListPermission(ResourceKind.DATASET))],
    status: DatasetStatus | None = None,
    skip: Skip = 0,
    limit: Limit = 20,
) -> Page[DatasetVersion]:
    """Dataset versions."""
    with services.unit_of_work() as uow:
        return Page(items=uow.datasets.newest(status, limit, skip, visible), skip=skip, limit=limit)


@router.get(
    "/training/datasets/{dataset_id}",
    dependencies=[permit(ResourceKind.DATASET, "read", by="dataset_id")],
    responses=problem_responses(404),
)
def get_dataset(services: ServicesParameter, dataset_id: int) -> DatasetVersion:
    """One dataset version."""
    with services.unit_of_work() as uow:
        return uow.datasets.get(dataset_id)


@router.get("/finetuning/jobs")
def list_jobs(
    services: ServicesParameter,
    visible: Annotated[Visibility, Depends(ListPermission(ResourceKind.JOB))],
    status: JobStatus | None = None,
    skip: Skip = 0,
    limit: Limit = 20,
) -> Page[FinetuningJob]:
    """Fine-tuning jobs."""
    with services.unit_of_work() as uow:
        return Page(items=uow.jobs.newest(status, limit, skip, visible), skip=skip, limit=limit)


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


@router.get("/models")
def list_models(
    services: ServicesParameter,
    visible: Annotated[Visibility, Depends(ListPermission(ResourceKind.MODEL))],
    status: ModelStatus | None = None,
    skip: Skip = 0,
    limit: Limit = 20,
) -> Page[ModelVersion]:
    """Registered model versions."""
    with services.unit_of_work() as uow:
        return Page(items=uow.models.newest(status, limit, skip, visible), skip=skip, limit=limit)


@router.get(
    "/models/{model_id}",
    dependencies=[permit(ResourceKind.MODEL, "read", by="model_id")],
    responses=problem_responses(404),
)
def get_model(services: ServicesParameter, model_id: int) -> ModelDetails:
    """One model version and where it answers."""
    with services.unit_of_work() as uow:
        return ModelDetails(model=uow.models.get(model_id), deployment=uow.models.deployment(model_id))


@router.get("/ab-tests", dependencies=[permit(ResourceKind.AB_TEST, "read")])
def list_experiments(services: ServicesParameter, skip: Skip = 0, limit: Limit = 20) -> Page[ABExperiment]:
    """A/B tests."""
    with services.unit_of_work() as uow:
        return Page(items=uow.experiments.newest(limit, skip), skip=skip, limit=limit)


@router.post("/ab-tests", dependencies=[permit(ResourceKind.AB_TEST, "create")], responses=problem_responses(404, 409))
def create_experiment(services: ServicesParameter, caller: Caller, request: StartABTestRequest) -> ABExperiment:
    """Start an A/B test. 409 where the target is too small for the effect, unless `accept_underpowered` is true."""
    if request.make_room:
        raise InvalidRequestError(
            "The call would stop other tests",
            value="make_room",
            allowed="a test on users that are free",
            next_step="stop those tests first, each by its own call: who may create one may not stop every other",
        )
    started = start_ab_test(request, services)
    with services.unit_of_work() as uow:
        uow.ownership.claim(ResourceKind.AB_TEST, started.experiment_id, caller.user_id)
    return started


@router.get(
    "/ab-tests/{experiment_id}",
    dependencies=[permit(ResourceKind.AB_TEST, "read", by="experiment_id")],
    responses=problem_responses(404),
)
def get_experiment(services: ServicesParameter, experiment_id: int) -> ABExperiment:
    """One A/B test."""
    with services.unit_of_work() as uow:
        return uow.experiments.get(experiment_id)


@router.get(
    "/ab-tests/{experiment_id}/results",
    dependencies=[permit(ResourceKind.AB_TEST, "read", by="experiment_id")],
    responses=problem_responses(404),
)
def get_results(services: ServicesParameter, experiment_id: int) -> ExperimentResults:
    """What the A/B test shows so far: a verdict over users that may be read at any time, and the classical test."""
    with services.unit_of_work() as uow:
        return results_of(uow.experiments.get(experiment_id), uow)


@router.put(
    "/ab-tests/{experiment_id}/traffic",
    dependencies=[permit(ResourceKind.AB_TEST, "update", by="experiment_id")],
    responses=problem_responses(404),
)
def plan_traffic(
    services: ServicesParameter, caller: Caller, experiment_id: int, change: TrafficChange
) -> ABExperiment:
    """Who takes part and when, from the next second on. Who takes part already stays in their arm."""
    with services.unit_of_work() as uow:
        testers = uow.experiments.get(experiment_id).traffic.testers
        traffic = _validated_traffic({**change.model_dump(), "testers": testers})
        uow.experiments.set_traffic(experiment_id, traffic)
        uow.audit.append(
            caller.username,
            "experiment.traffic_planned",
            f"experiment/{experiment_id}",
            traffic.model_dump(mode="json"),
        )
        return uow.experiments.get(experiment_id)


@router.put(
    "/ab-tests/{experiment_id}/testers/{user}",
    dependencies=[permit(ResourceKind.AB_TEST, "update", by="experiment_id")],
    responses=problem_responses(404),
)
def set_tester(
    services: ServicesParameter, caller: Caller, experiment_id: int, user: str, arm: Arm | None = None
) -> ABExperiment:
    """Give a tester an arm, without it let the hash decide again. Testers count in no comparison."""
    key = tester_key(user, services)
    with services.unit_of_work() as uow:
        traffic = uow.experiments.get(experiment_id).traffic
        testers = {other: their for other, their in traffic.testers.items() if other != key}
        if arm is not None:
            testers[key] = arm
        uow.experiments.set_traffic(experiment_id, traffic.model_copy(update={"testers": testers}))
        uow.audit.append(
            caller.username, "experiment.tester_set", f"experiment/{experiment_id}", {"user_key": key, "arm": arm}
        )
        return uow.experiments.get(experiment_id)


@router.post(
    "/ab-tests/{experiment_id}/stop",
    dependencies=[permit(ResourceKind.AB_TEST, "stop", by="experiment_id")],
    responses=problem_responses(404, 409),
)
def stop_experiment(services: ServicesParameter, caller: Caller, experiment_id: int) -> ABExperiment:
    """End the A/B test; its answers and ratings stay. Stopping it again changes nothing."""
    return stop_ab_test(experiment_id, caller.username, services)


@router.post(
    "/ab-tests/{experiment_id}/conclude",
    dependencies=[permit(ResourceKind.AB_TEST, "conclude", by="experiment_id")],
    responses=problem_responses(404, 409),
)
def conclude_experiment(
    services: ServicesParameter, caller: Caller, experiment_id: int, request: Conclusion
) -> ExperimentDecision:
    """End the A/B test with a winner, or answer its decision; b goes into production. The same again changes nothing."""
    return conclude_ab_test(
        ConcludeABTestRequest(
            experiment_id=experiment_id,
            winner=request.winner,
            actor=caller.username,
            reason=request.reason,
            override=request.override,
        ),
        services,
    )


@router.get("/pipeline-runs", dependencies=[permit(ResourceKind.PIPELINE_RUN, "read")])
def list_runs(services: ServicesParameter, limit: Limit = 20) -> Page[PipelineRun]:
    """Pipeline runs."""
    with services.unit_of_work() as uow:
        return Page(items=uow.pipeline_runs.newest(limit), skip=0, limit=limit)


@router.get(
    "/pipeline-runs/latest", dependencies=[permit(ResourceKind.PIPELINE_RUN, "read")], responses=problem_responses(404)
)
def get_latest_run(services: ServicesParameter) -> PipelineRun:
    """The newest pipeline run."""
    with services.unit_of_work() as uow:
        return _found(uow)


@router.get(
    "/pipeline-runs/{run_id:path}",
    dependencies=[permit(ResourceKind.PIPELINE_RUN, "read")],
    responses=problem_responses(404),
)
def get_run(services: ServicesParameter, run_id: str) -> PipelineRun:
    """One pipeline run with its stages."""
    with services.unit_of_work() as uow:
        return uow.pipeline_runs.get(run_id)


def _validated_traffic(fields: dict[str, Any]) -> TrafficPlan:
    try:
        return TrafficPlan.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequestError(
            "The traffic of the A/B test cannot be planned so",
            value=error.errors()[0]["msg"],
            allowed="a ramp that rises, and an end after the start",
            next_step="correct it and send it again",
        ) from error


def _found(uow: UnitOfWork) -> PipelineRun:
    run = uow.pipeline_runs.latest()
    if run is None:
        raise NotFoundError(
            "There has been no pipeline run yet", next_step="start one: `tuneway pipeline trigger finetune_pipeline`"
        )
    return run
