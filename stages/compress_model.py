"""Make a finished job's model smaller: a job of its own, whose "base model" is the model it was made of.

So the stages after it need nothing new: `evaluate` asks parent and compressed model the same questions, `gate` decides,
`register` writes into the model card what the compression costs.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.compression import CompressRequest
from contracts.enums import JobKind, JobState, JobStatus, Method
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from contracts.jobs import JobSubmission
from contracts.record import Record
from contracts.training import TrainingReport, TrainRequest
from stages.run_job import error_of, run_job
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view, read_submission

if TYPE_CHECKING:
    from stages.services import Services

PARENT_FOLDER = "parent"
"""In the job's folder: the parent's adapter merged into its base model."""

log = logging.getLogger("compression")


class _Plan(Record):
    """What the job's process has to know beside the request."""

    job_id: int
    job_name: str
    parent: TrainingReport
    parent_path: str
    dataset_path: str


def compress_model(request: CompressRequest, services: Services) -> TrainingReport:
    """The whole stage in one call: by the runner where it answers, else by a launcher of our own."""
    submission = create_job(request, services)
    run_job(submission, services)
    return collect(submission.job_key, services)


def check_request(request: CompressRequest, services: Services) -> None:
    """What can be known to be wrong before a job is made. Raises InvalidRequestError, ConflictError or NotFoundError."""
    _checked(request, services)


def create_job(request: CompressRequest, services: Services) -> JobSubmission:
    """The job's row, folder and plan; the same request again gives the same job."""
    parent, dataset_path = _checked(request, services)
    numbers = {**request.model_dump(mode="json"), "recipe": request.compression.value}
    row = TrainRequest(
        job_name=request.job_name,
        dataset_id=parent.dataset_id,
        base_model=parent.job_name,
        method=Method.FULL,
        recipe=request.compression.value,
        seed=request.seed,
    )
    with services.unit_of_work() as uow:
        job_id = uow.jobs.create(row, hyperparameters=numbers, base_model_path=parent.output_path)
        if uow.jobs.get(job_id).hyperparameters != numbers:
            raise ConflictError(
                "A job of this name exists with another request",
                value=request.job_name,
                next_step="choose another job_name; the same name continues the same job",
            )
        folder = JobFolder(services.settings.jobs_dir / job_key(job_id))
        uow.jobs.set_folders(
            job_id,
            output_dir=str(folder.output),
            checkpoint_dir=str(folder.checkpoints),
            logs_path=str(folder.root),
        )
    is_model = (Path(parent.output_path) / "config.json").exists()
    plan = _Plan(
        job_id=job_id,
        job_name=request.job_name,
        parent=parent,
        parent_path=parent.output_path if is_model else str(folder.root / PARENT_FOLDER),
        dataset_path=dataset_path,
    )
    write_json_atomically(folder.plan, plan.model_dump(mode="json"))
    return JobSubmission(
        job_key=job_key(job_id),
        kind=JobKind.COMPRESS,
        request=request.model_dump(mode="json"),
        finetuning_job_id=job_id,
    )


def work(request: Record, job_folder: JobFolder, services: Services) -> TrainingReport:
    """Inside the job's process: merge, compress, measure. Needs no database; killed, it begins anew."""
    from transformers import AutoTokenizer

    from training.compression.compressing import calibration_rows, compress, merge_adapter
    from training.loading import make_deterministic
    from training.metrics import ProgressWriter, perplexity, resident_mb
    from training.safetensors_files import sha256_of_weights

    del services
    assert isinstance(request, CompressRequest)
    began = time.monotonic()
    plan = _plan(job_folder)
    parent = Path(plan.parent_path)
    make_deterministic(request.seed)
    with ProgressWriter(job_folder, "starting") as progress:
        if str(parent) != plan.parent.output_path:
            progress.update(message="merging the adapter")
            merge_adapter(Path(plan.parent.base_model_path), Path(plan.parent.output_path), parent)
        rows = calibration_rows(
            Path(plan.dataset_path), AutoTokenizer.from_pretrained(parent, local_files_only=True), request
        )
        facts = compress(
            parent,
            job_folder.output,
            rows,
            request,
            lambda stage, step, total: progress.update(stage=stage, step=step, total_steps=total, beats=step),
        )
        progress.update(stage="saving")
    log.info(
        "%s: %.0f MB became %.0f MB, relative error %.4f, loss %s before and %s after",
        request.compression.value,
        facts.parent_bytes / 1e6,
        facts.compressed_bytes / 1e6,
        facts.relative_error,
        facts.parent_loss,
        facts.compressed_loss,
    )
    return TrainingReport(
        job_id=plan.job_id,
        job_name=plan.job_name,
        dataset_id=plan.parent.dataset_id,
        base_model=plan.parent.job_name,
        base_model_path=str(parent),
        method=Method.FULL,
        recipe=request.compression.value,
        mlflow_run_id=None,
        output_path=str(job_folder.output),
        weights_sha256=sha256_of_weights(job_folder.output),
        steps=0,
        epochs=0.0,
        train_loss=plan.parent.train_loss,
        eval_loss=facts.compressed_loss,
        perplexity=perplexity(facts.compressed_loss),
        tokens_per_second=0.0,
        peak_memory_mb=resident_mb(),
        duration_seconds=time.monotonic() - began,
        resumed_from_step=None,
        loss_curve=[],
        checkpoints=[],
        hyperparameters=request.model_dump(mode="json"),
        compression=facts,
    )


def collect(job_key: str, services: Services) -> TrainingReport:
    """After the job: its row and its run. Safe to repeat. Raises the job's own error where it has no result."""
    folder = JobFolder(services.settings.jobs_dir / job_key)
    view = job_view(folder)
    if not view.state.is_final:
        raise ConflictError("The job has not ended", value=f"{job_key} is {view.state}", next_step="wait for it")
    job_id = read_submission(folder).finetuning_job_id
    assert job_id is not None, "create_job gives it a row"
    record = read_json(folder.result)
    if view.state is not JobState.SUCCEEDED or record is None:
        error = error_of(view)
        with services.unit_of_work() as uow:
            uow.jobs.fail(
                job_id, JobStatus.STOPPED if view.state is JobState.STOPPED else JobStatus.FAILED, error.as_record()
            )
        raise error
    report = _tracked(TrainingReport.model_validate(record), services)
    with services.unit_of_work() as uow:
        uow.jobs.complete(job_id, report)
    return report


def job_key(job_id: int) -> str:
    """Name of the job's folder and key at the runner."""
    return f"compress-{job_id}"


def _checked(request: CompressRequest, services: Services) -> tuple[TrainingReport, str]:
    """The parent and the folder of its dataset version."""
    from training.compression.compressing import check_model

    with services.unit_of_work() as uow:
        job = uow.jobs.get(request.parent_job_id)
        dataset = uow.datasets.get(job.dataset_id)
    if job.status is not JobStatus.COMPLETED or job.report is None:
        raise ConflictError(
            "The job has no model to compress",
            value=f"job {job.job_id} is {job.status.value}",
            allowed="a completed fine-tuning job",
            next_step="wait for it, or choose another parent_job_id",
        )
    if job.report.compression is not None:
        raise InvalidRequestError(
            "The job's model is compressed already",
            value=f"job {job.job_id}: {job.report.compression.method.value}",
            next_step=f"compress its parent, job {job.report.compression.parent_job_id}, in another way",
        )
    if request.compression.quantizes and not services.settings.vllm_python.is_file():
        raise InvalidRequestError(
            "Only vLLM serves a model in fewer bits, and it is not installed: the model could not be judged",
            value=request.compression.value,
            allowed="wanda, magnitude or neurons without vLLM",
            next_step="install it with `make setup`, or choose another compression",
        )
    output = Path(job.report.output_path)
    model = output if (output / "config.json").exists() else Path(job.report.base_model_path)
    for folder in (output, model):
        if not folder.is_dir():
            raise NotFoundError("A folder of the parent is gone", value=folder, next_step="restore it, or train again")
    check_model(model, request)
    return job.report, dataset.file_path


def _plan(folder: JobFolder) -> _Plan:
    plan = read_json(folder.plan)
    if plan is None:
        raise NotFoundError("The job's plan is missing", value=folder.plan, next_step="submit it through its stage")
    return _Plan.model_validate(plan)


def _tracked(report: TrainingReport, services: Services) -> TrainingReport:
    """The report with its run in MLflow, which holds the compression's numbers. MLflow away changes nothing."""
    from registry.tracking import EXPERIMENT_NAME, JOB_TAG, ensure_run, finish_run, log_run_results

    facts = report.compression
    assert facts is not None, "work measures it"
    url = services.settings.resolved_mlflow_tracking_url
    numbers = facts.model_dump(exclude={"method", "parent_job_id"}, exclude_none=True)
    try:
        run_id = ensure_run(
            url,
            EXPERIMENT_NAME,
            report.job_name,
            {
                JOB_TAG: report.job_name,
                "tuneway.compression": facts.method.value,
                "tuneway.parent_job_id": str(facts.parent_job_id),
            },
        )
        log_run_results(url, run_id, metrics={f"compression.{name}": float(value) for name, value in numbers.items()})
        finish_run(url, run_id)
    except UnavailableError as error:
        log.warning("MLflow lacks this compression, collect the job again to send it: %s", error)
        return report
    return report.model_copy(update={"mlflow_run_id": run_id})
