"""Fine-tuning jobs that other programs ask for: checked and written down at once, started by Airflow, ended in order."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import DatasetStatus, JobStatus
from contracts.errors import (
    CapacityError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    TunewayError,
    UnavailableError,
)
from contracts.fitting import FitVerdict
from contracts.job_requests import CreatedJob, JobPlan, QueuedTraining
from contracts.training import TrainRequest
from stages.airflow_runs import start_run
from stages.job_events import created_event
from stages.jobs import folder_of
from stages.jobs import stop_job as stop_begun_job

if TYPE_CHECKING:
    from contracts.enums import Method
    from contracts.fitting import FitPlan, RowLengths
    from contracts.identity import Principal
    from contracts.job_requests import FinetuneJobRequest
    from contracts.jobs import JobSubmission, JobView
    from contracts.record import JsonObject
    from settings import Settings
    from stages.services import Services

DAG_ID = "finetune_job"
SECONDS_PER_HOUR = 3600


def create_job(request: FinetuneJobRequest, services: Services, caller: Principal) -> CreatedJob:
    """The job's row, owned by the caller, and its run in Airflow, which is told the job's number and nothing else.

    The same name with the same request again is the same job: it is started where Airflow was away before. Raises
    InvalidRequestError, NotFoundError or CapacityError for what cannot be trained, ConflictError where the name stands
    for another job.
    """
    from stages.train import check_setup
    from training.recipe import resolve_recipe

    training = train_request(request, services.settings)
    _check_cards(request, services.settings)
    _check_dataset(request.dataset_id, services)
    model = check_setup(training, services)
    recipe = resolve_recipe(training.recipe, training.hyperparameters, training.method, services.settings.recipes_dir)
    queued = QueuedTraining(training=training, project=request.project, priority=request.priority)
    numbers: JsonObject = {
        **recipe.model_dump(mode="json"),
        "recipe": training.recipe,
        "num_gpus": training.num_gpus,
        "seed": training.seed,
    }
    with services.unit_of_work() as uow:
        present = uow.jobs.find(request.job_name)
        if present is None:
            job_id = uow.jobs.create(training, hyperparameters=numbers, base_model_path=str(model))
            uow.jobs.queue(job_id, queued)
            uow.ownership.claim(ResourceKind.JOB, job_id, caller.user_id)
        else:
            job_id = present.job_id
        owner = uow.ownership.of(ResourceKind.JOB, job_id).owner
        if owner != caller.username or uow.jobs.queued(job_id) != queued:
            raise ConflictError(
                "A fine-tuning job of this name exists with another request",
                value=request.job_name,
                next_step="choose another job_name; the same name and request is the same job",
            )
        uow.audit.append_events([created_event(job_id, training, caller.username)])
    return start_job(job_id, services)


def start_job(job_id: int, services: Services) -> CreatedJob:
    """Have Airflow start the job; again changes nothing. Where Airflow is away, the job is kept and the answer says so.

    Raises ConflictError for a job that was stopped while it waited.
    """
    with services.unit_of_work() as uow:
        job, run_name = uow.jobs.get(job_id), uow.jobs.dag_run_name(job_id)
    if job.dag_run_id is not None:
        return CreatedJob(job=job, is_started=True)
    if job.status is not JobStatus.PENDING:
        raise _stopped(job_id)
    try:
        started = start_run(DAG_ID, run_name, {"job_id": job_id}, services)
    except UnavailableError as error:
        return CreatedJob(job=job, is_started=False, waiting_for=error.sentence())
    with services.unit_of_work() as uow:
        uow.jobs.set_dag_run(job_id, started)
        return CreatedJob(job=uow.jobs.get(job_id), is_started=True)


def plan_job(request: FinetuneJobRequest, services: Services) -> JobPlan:
    """The job as it would be started, every check done, and what it would need. Writes nothing. Loads transformers."""
    from stages.plan_training import plan_request
    from stages.train import check_request

    training = train_request(request, services.settings)
    _check_cards(request, services.settings)
    _check_dataset(request.dataset_id, services)
    # the plan says what does not fit, and what would
    with suppress(CapacityError):
        check_request(training, services)
    return _planned(training, plan_request(training, services))


def plan_measured_job(request: FinetuneJobRequest, services: Services, rows: RowLengths | None) -> JobPlan:
    """As `plan_job`, in a fraction of a second: the rows were measured before, and without them the plan has no time.

    What `stages.measuring` looks at (tokenizer, template, architecture) is not looked at again. Raises CapacityError
    for a job that its short rows would let fit, and that is refused all the same for the length its recipe allows.
    """
    from stages.plan_training import plan_training
    from stages.train import check_setup

    training = train_request(request, services.settings)
    _check_cards(request, services.settings)
    _check_dataset(request.dataset_id, services)
    refusal = None
    try:
        check_setup(training, services)
    except CapacityError as error:
        refusal = error
    fit = plan_training(
        training.recipe,
        services,
        base_model=training.base_model,
        method=training.method,
        hyperparameters=training.hyperparameters,
        num_gpus=training.num_gpus,
        rows=rows,
    )
    if refusal is not None and fit.verdict is not FitVerdict.TOO_LARGE and (fit.disk is None or fit.disk.fits):
        raise refusal
    return _planned(training, fit)


def _planned(training: TrainRequest, fit: FitPlan) -> JobPlan:
    hours = None if fit.time is None else training.num_gpus * training.num_nodes * fit.time.seconds / SECONDS_PER_HOUR
    high = None if fit.time is None else training.num_gpus * fit.time.high_seconds / SECONDS_PER_HOUR
    return JobPlan(training=training, fit=fit, card_hours=hours, card_hours_high=high)


def check_startable(job_id: int, services: Services) -> None:
    """The job waits for its start, and all that it needs is there. Raises ConflictError where it was stopped or began."""
    from stages.train import check_request

    check_request(_waiting(job_id, services).training, services)


def submission_of(job_id: int, services: Services) -> JobSubmission:
    """What the runner is handed for the job. Raises ConflictError where somebody has stopped it meanwhile."""
    from stages.train import create_job as create_training

    queued = _waiting(job_id, services)
    job = create_training(queued.training, services)
    # reading the dataset took its time
    _waiting(job_id, services)
    return job.model_copy(update={"project": queued.project, "priority": queued.priority})


def queued_training(job_id: int, services: Services) -> TrainRequest:
    """What the job is to train. Raises NotFoundError."""
    return _queued(job_id, services).training


def _queued(job_id: int, services: Services) -> QueuedTraining:
    with services.unit_of_work() as uow:
        queued = uow.jobs.queued(job_id)
    if queued is None:
        raise NotFoundError(
            "The job was not created through the admin API",
            value=job_id,
            next_step="start it where it was made: its DAG, its sweep or `tuneway train`",
        )
    return queued


def stop_job(job_id: int, services: Services) -> tuple[JobView | None, int | None]:
    """As `stages.jobs.stop_job`; a job that no runner has taken yet ends at once, and has no view."""
    with services.unit_of_work() as uow:
        uow.jobs.get(job_id)
    stopped = TunewayError("The job was stopped before it began", value=f"job {job_id}")
    folder = folder_of(job_id, services.settings)
    if folder is None:
        end_unbegun_job(job_id, JobStatus.STOPPED, stopped, services)
        # its run may have handed it over in between
        folder = folder_of(job_id, services.settings)
    return (None, None) if folder is None else stop_begun_job(folder, services.settings)


def end_unbegun_job(job_id: int, status: JobStatus, error: TunewayError, services: Services) -> bool:
    """A job that no runner has taken ends with the error; whether it was such a one."""
    with services.unit_of_work() as uow:
        return uow.jobs.end_pending(job_id, status, error.as_record())


def train_request(request: FinetuneJobRequest, settings: Settings) -> TrainRequest:
    """The request with its recipe. Raises InvalidRequestError where none suits the base model."""
    return TrainRequest(
        job_name=request.job_name,
        dataset_id=request.dataset_id,
        base_model=request.base_model,
        method=request.method,
        recipe=request.recipe or recipe_for(request.base_model, request.method, len(request.cards), settings),
        hyperparameters=request.hyperparameters,
        num_gpus=len(request.cards),
        seed=request.seed,
    )


def recipe_for(base_model: str, method: Method, cards: int, settings: Settings) -> str:
    """Recipes are named for their model, method and number of cards: qwen3-8b-lora, qwen3-8b-lora-2gpu.

    Raises InvalidRequestError where none is.
    """
    from training.recipe import recipe_names

    known = recipe_names(settings.recipes_dir)
    model = base_model.rstrip("/").rpartition("/")[2].lower()
    for name in (model, model.removesuffix("-base")):
        plain = f"{name}-{method.value}"
        for candidate in ([f"{plain}-2gpu"] if cards > 1 else []) + [plain]:
            if candidate in known:
                return candidate
    raise InvalidRequestError(
        "No recipe is named for this base model and method",
        value=f"{base_model}, {method.value}",
        allowed=", ".join(known),
        next_step="name one as recipe; hyperparameters that are given replace its own",
    )


def cards_for_jobs(settings: Settings) -> list[int]:
    """Numbers of the cards, or of the CPU's workers, that a job can ask for."""
    from stages.cards import real_gpus
    from stages.launching import job_cards

    gpus = real_gpus()
    if settings.runner_url is not None and not gpus:
        return list(range(settings.job_slots))
    return job_cards(settings, gpus)


def _check_cards(request: FinetuneJobRequest, settings: Settings) -> None:
    allowed = cards_for_jobs(settings)
    wrong = [card for card in request.cards if card not in allowed]
    if wrong:
        raise InvalidRequestError(
            "There is no such card for jobs",
            value=request.gpu_ids,
            allowed=", ".join(str(card) for card in allowed) or "none: all serve models",
            next_step="correct gpu_ids; GET /api/v1/admin/gpus shows the cards",
        )


def _check_dataset(dataset_id: int, services: Services) -> None:
    with services.unit_of_work() as uow:
        status = uow.datasets.status(dataset_id)
    if status is not DatasetStatus.ACTIVE:
        raise ConflictError(
            "The dataset version is not used any more",
            value=f"dataset {dataset_id} is {status.value}",
            allowed=f"a version that is {DatasetStatus.ACTIVE.value}",
            next_step="choose another version of the dataset",
        )


def _waiting(job_id: int, services: Services) -> QueuedTraining:
    queued = _queued(job_id, services)
    with services.unit_of_work() as uow:
        job = uow.jobs.get(job_id)
    if job.status is JobStatus.STOPPED and job.start_time is None:
        raise _stopped(job_id)
    return queued


def _stopped(job_id: int) -> ConflictError:
    return ConflictError(
        "The job was stopped before it began",
        value=f"job {job_id}",
        next_step="create it again under another job_name",
    )
