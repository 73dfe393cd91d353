"""What a request names must exist: found out in seconds, not after an hour of GPU time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import ExperimentStatus, JobStatus
from contracts.errors import ConflictError, TunewayError
from operators.access.runs import require_of_starter

if TYPE_CHECKING:
    from contracts.compression import CompressModelRequest
    from contracts.experiment_decisions import AskABTestRequest
    from contracts.experiment_replays import AskReplayRequest
    from contracts.pipeline import (
        DeployModelRequest,
        EvaluateModelRequest,
        FinetuneJobRun,
        FinetuneRequest,
        GenerateSamplesRequest,
        ResumeTrainingRequest,
    )
    from contracts.sweeps import SweepRequest
    from stages.services import Services


def inputs_exist(request: FinetuneRequest, services: Services) -> None:
    """Every input file is there, in an allowed folder, of a known format and not empty."""
    from data_prep.imports.input_files import open_input_files

    if request.dataset_id is None:
        settings = services.settings
        open_input_files(
            request.input_files, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
        )


def documents_exist(request: GenerateSamplesRequest, services: Services) -> None:
    """Every document or folder is there, in an allowed folder; a collection names a place."""
    from data_prep.generation.passages import resolve_documents

    settings = services.settings
    if request.documents:
        resolve_documents(
            request.documents, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
        )


def suites_exist(request: FinetuneRequest | EvaluateModelRequest | CompressModelRequest, services: Services) -> None:
    """Every managed suite and every file of test cases is there."""
    from stages.suites import require_suite

    for suite in (request.test_suite, *request.extra_suites):
        if suite is not None:
            require_suite(suite, services)


def dataset_exists(request: FinetuneRequest, services: Services) -> None:
    """The dataset version, where one is given, is in the database."""
    if request.dataset_id is not None:
        with services.unit_of_work() as uow:
            uow.datasets.get(request.dataset_id)


def training_is_known(request: FinetuneRequest, services: Services) -> None:
    """The base model is a model's folder, the recipe exists, and the request's values fit it."""
    from stages.train import check_request

    check_request(request, services)


def job_can_go_on(request: ResumeTrainingRequest, services: Services) -> None:
    """The job has ended without its result, and the checkpoint, where one is chosen, is there and whole."""
    from stages.jobs import find_job, next_attempt

    with services.unit_of_work() as uow:
        uow.jobs.get(request.job_id)
    next_attempt(find_job(f"train-{request.job_id}", services.settings), request.checkpoint)


def job_can_start(request: FinetuneJobRun, services: Services) -> None:
    """The job waits for its start, and its base model, recipe and values fit; where they do not, the job has failed."""
    from stages.finetuning import check_startable, end_unbegun_job

    try:
        check_startable(request.job_id, services)
    except TunewayError as error:
        if not error.retryable:
            end_unbegun_job(request.job_id, JobStatus.FAILED, error, services)
        raise


def sweep_is_possible(request: SweepRequest, services: Services) -> None:
    """The dataset version, base model and recipe exist, and the recipe takes every value of the search space."""
    from stages.tune_hyperparameters import check_request

    check_request(request, services)


def compression_is_possible(request: CompressModelRequest, services: Services) -> None:
    """The parent has its model, and the method suits it."""
    from stages.compress_model import check_request

    check_request(request, services)


def parents_suite_is_asked(request: CompressModelRequest, services: Services) -> None:
    """The suites hold the one by which the parent was judged: only on it is the loss one that can be registered."""
    from stages.compress_model import check_suites

    check_suites(request, services)


def job_is_complete(request: EvaluateModelRequest, services: Services) -> None:
    """The job to be judged has its weights."""
    with services.unit_of_work() as uow:
        job = uow.jobs.get(request.job_id)
    if job.status is not JobStatus.COMPLETED:
        raise ConflictError(
            "The fine-tuning job has no weights to judge",
            value=f"job {job.job_id} is {job.status}",
            allowed=f"a job that is {JobStatus.COMPLETED}",
            next_step="choose a finished job in the dashboard, or wait for this one",
        )


def experiment_runs(request: AskABTestRequest, services: Services) -> None:
    """The A/B test is there and has not ended."""
    with services.unit_of_work() as uow:
        experiment = uow.experiments.get(request.experiment_id)
    if experiment.status is not ExperimentStatus.RUNNING:
        raise ConflictError(
            "The A/B test has ended",
            value=f"{experiment.experiment_name} is {experiment.status}",
            allowed="a running A/B test",
            next_step="read its results with `tuneway ab results`",
        )


def replay_is_possible(request: AskReplayRequest, services: Services) -> None:
    """Both models answer, there are questions enough, and no other replay is there."""
    from contracts.experiment_replays import ReplayABTestRequest
    from stages.replay_ab_test import preview

    preview(ReplayABTestRequest(**request.model_dump()), services)


def model_exists(request: DeployModelRequest, services: Services) -> None:
    """The model version is registered."""
    with services.unit_of_work() as uow:
        uow.models.get(request.model_id)


def may_read_dataset(request: FinetuneRequest, services: Services) -> None:
    """Whoever started the run may read the dataset version that it was given."""
    if request.dataset_id is not None:
        require_of_starter(ResourceKind.DATASET, "read", request.dataset_id, services)


def may_resume_job(request: ResumeTrainingRequest, services: Services) -> None:
    """Whoever started the run may resume the job."""
    require_of_starter(ResourceKind.JOB, "resume", request.job_id, services)


def may_read_job(request: EvaluateModelRequest, services: Services) -> None:
    """Whoever started the run may read the job whose model it is about."""
    require_of_starter(ResourceKind.JOB, "read", request.job_id, services)


def may_deploy(request: DeployModelRequest, services: Services) -> None:
    """Whoever started the run may deploy the model; where it is to be approved, that is asked of the one who approves."""
    if not request.approval_needed:
        require_of_starter(ResourceKind.MODEL, "deploy", request.model_id, services)
