"""Make a finished job's model smaller: a job of its own, whose "base model" is the model it was made of.

So the stages after it need nothing new: `evaluate` asks parent and compressed model the same questions, `gate` decides,
`register` writes into the model card what the compression costs.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.compression import DISTILL_NUMBERS, CompressRequest
from contracts.enums import CompressionMethod, JobKind, JobState, JobStatus, Method, ServerBackend
from contracts.errors import (
    CapacityError,
    ConflictError,
    InvalidRequestError,
    JobFailedError,
    NotFoundError,
    UnavailableError,
)
from contracts.evaluation import EvaluateRequest
from contracts.jobs import JobSubmission
from contracts.record import Record
from contracts.training import CompressionFacts, Hyperparameters, TrainingReport, TrainRequest
from deployment.backends import choose_server, gpu_count, require_exact_int8
from security.model_files import check_model_folder
from stages.compression_report import require_parents_suite
from stages.evaluate import gpu_ids, suites_of
from stages.model_gate import base_model_folder
from stages.owners import claim_for_starter
from stages.plan_training import BYTES_PER_GB, capacity_of, retention
from stages.run_job import error_of, run_job
from stages.train import tracker_of
from stages.watermarks import identity_of, mark_of, promise_mark
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view, read_submission
from training.plan import TrainingPlan

if TYPE_CHECKING:
    from contracts.compression import CompressModelRequest
    from contracts.datasets import DatasetVersion
    from contracts.record import JsonObject
    from stages.services import Services
    from training.recipe import Recipe

PARENT_FOLDER = "parent"
"""In the job's folder: the parent's adapter merged into its base model."""
STUDENT_FOLDER = "student"
"""In the job's folder: the parent's own layers that a student begins with."""

QUESTIONS = 64
"""Of the training rows, that parent and compressed model are asked when their speed is measured."""

log = logging.getLogger("compression")


class _Plan(Record):
    """What the job's process has to know beside the request."""

    job_id: int
    job_name: str
    parent: TrainingReport
    parent_path: str
    dataset_path: str
    student: TrainingPlan | None = None
    """With distill: how the student is trained."""


def compress_model(request: CompressRequest, services: Services) -> TrainingReport:
    """The whole stage in one call: by the runner where it answers, else by a launcher of our own."""
    submission = create_job(request, services)
    run_job(submission, services)
    return collect(submission.job_key, services)


def check_request(request: CompressRequest, services: Services) -> None:
    """What can be known to be wrong before a job is made. Raises InvalidRequestError, ConflictError or NotFoundError."""
    _checked(request, services)


def check_suites(request: CompressModelRequest, services: Services) -> None:
    """The parent's own suite is among those that will be asked. Raises ConflictError, before a GPU is taken.

    A parent that was never evaluated passes: its accuracy is then measured with the compressed model's.
    """
    with services.unit_of_work() as uow:
        job = uow.jobs.get(request.parent_job_id)
    asked = EvaluateRequest(job_id=job.job_id, test_suite=request.test_suite, extra_suites=request.extra_suites)
    suites = suites_of(asked, job.dataset_id, services)
    require_parents_suite(job.job_id, {suite.sha256: suite.name for suite in suites}, services)


def create_job(request: CompressRequest, services: Services) -> JobSubmission:
    """The job's row, folder and plan; the same request again gives the same job."""
    checked = _checked(request, services)
    parent, dataset = checked.parent, checked.dataset
    numbers = _numbers(request)
    row = TrainRequest(
        job_name=request.job_name,
        dataset_id=parent.dataset_id,
        base_model=parent.job_name,
        method=Method.FULL,
        recipe=str(numbers["recipe"]),
        seed=request.seed,
    )
    with services.unit_of_work() as uow:
        job_id = uow.jobs.create(row, hyperparameters=numbers, base_model_path=parent.output_path)
        present = {**_defaults(), **uow.jobs.get(job_id).hyperparameters}
        if present != numbers:
            raise ConflictError(
                "A job of this name exists with another request",
                value=request.job_name,
                next_step="choose another job_name; the same name continues the same job",
            )
        claim_for_starter(ResourceKind.JOB, job_id, services, uow, job_id=parent.job_id)
        folder = JobFolder(services.settings.jobs_dir / job_key(job_id))
        uow.jobs.set_folders(
            job_id,
            output_dir=str(folder.output),
            checkpoint_dir=str(folder.checkpoints),
            logs_path=str(folder.root),
        )
    if not folder.plan.exists():
        parent_path = parent.output_path if checked.parent_is_whole else str(folder.root / PARENT_FOLDER)
        plan = _Plan(
            job_id=job_id,
            job_name=request.job_name,
            parent=parent,
            parent_path=parent_path,
            dataset_path=dataset.file_path,
            student=None
            if checked.recipe is None
            else _student_plan(request, job_id, folder, checked, parent_path, services),
        )
        write_json_atomically(folder.plan, plan.model_dump(mode="json"))
    return JobSubmission(
        job_key=job_key(job_id),
        kind=JobKind.COMPRESS,
        request=request.model_dump(mode="json"),
        finetuning_job_id=job_id,
    )


def work(request: Record, job_folder: JobFolder, services: Services) -> TrainingReport:
    """Inside the job's process: merge, compress, measure. Needs no database.

    Killed, it begins anew; a student goes on from its last checkpoint.
    """
    from training.loading import make_deterministic
    from training.metrics import ProgressWriter

    assert isinstance(request, CompressRequest)
    plan = _plan(job_folder)
    parent = Path(plan.parent_path)
    make_deterministic(request.seed)
    if str(parent) != plan.parent.output_path:
        from training.compression.compressing import merge_adapter

        with ProgressWriter(job_folder, "starting") as progress:
            progress.update(message="merging the adapter")
            merge_adapter(Path(plan.parent.base_model_path), Path(plan.parent.output_path), parent)
    if plan.student is None:
        report = _compressed(request, plan, job_folder)
    else:
        report = _distilled(request, plan, plan.student, job_folder, services)
    report = _with_speed(report, request, plan, job_folder, services)
    facts = report.compression
    assert facts is not None, "both ways measure it"
    log.info(
        "%s: %.0f MB became %.0f MB, loss %s before and %s after",
        request.compression.value,
        facts.parent_bytes / 1e6,
        facts.compressed_bytes / 1e6,
        facts.parent_loss,
        facts.compressed_loss,
    )
    return report


def _compressed(request: CompressRequest, plan: _Plan, job_folder: JobFolder) -> TrainingReport:
    """The parent's own weights, made fewer or shorter."""
    from transformers import AutoTokenizer

    from training.compression.compressing import calibration_rows, compress
    from training.metrics import ProgressWriter, perplexity, resident_mb
    from training.safetensors_files import sha256_of_weights

    began = time.monotonic()
    parent = Path(plan.parent_path)
    with ProgressWriter(job_folder, "starting") as progress:
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
        watermark=plan.parent.watermark,  # its own: rounding and pruning leave it where it is
    )


def _distilled(
    request: CompressRequest, plan: _Plan, student: TrainingPlan, job_folder: JobFolder, services: Services
) -> TrainingReport:
    """A student, trained like any other model, and how near it came to its parent."""
    from transformers import AutoTokenizer

    from training.compression.compressing import calibration_rows
    from training.compression.distilling import distillation_facts
    from training.compression.layers import keep_layers
    from training.finetuning import finetune
    from training.metrics import ProgressWriter, perplexity

    parent, beginning = Path(plan.parent_path), Path(student.base_model_path)
    if request.student_layers is not None:
        keep_layers(parent, beginning, request.student_layers)
    settings = services.settings
    report = finetune(
        student, job_folder, tracker_of(student, job_folder, settings), mark_of(student.watermark, settings)
    )
    with ProgressWriter(job_folder, "comparing") as progress:
        progress.update(message="comparing the student with its parent")
        rows = calibration_rows(
            Path(plan.dataset_path), AutoTokenizer.from_pretrained(parent, local_files_only=True), request
        )
        facts = distillation_facts(parent, beginning, job_folder.output, rows, request, student.base_model)
    # to the stages after it the parent is the base, as with every compression: it is what the student is judged against
    return report.model_copy(
        update={
            "base_model": plan.parent.job_name,
            "base_model_path": str(parent),
            "perplexity": perplexity(facts.compressed_loss),
            "compression": facts,
        }
    )


def _with_speed(
    report: TrainingReport, request: CompressRequest, plan: _Plan, job_folder: JobFolder, services: Services
) -> TrainingReport:
    """The report with tokens a second before and after. A server that does not come up loses the figures, not the model."""
    import gc

    import torch

    from deployment.generation_speed import compare_speed
    from deployment.specification import ServerSpec
    from training.conversations import read_conversations
    from training.metrics import ProgressWriter

    gc.collect()
    torch.cuda.empty_cache()  # the servers want the card's memory that this process has done with
    facts = report.compression
    assert facts is not None, "both ways measure it"
    if not request.speed_seconds:
        return report.model_copy(update={"compression": facts.model_copy(update={"speed_missing": "not asked for"})})
    rows = read_conversations(Path(plan.dataset_path) / "train.parquet")[:QUESTIONS]
    questions = [next(turn["content"] for turn in row if turn["role"] == "user") for row in rows]
    cards = gpu_ids(1)
    parent, small = (
        ServerSpec(model_path=path, served_model_name=name, gpu_ids=cards)
        for name, path in (("parent", plan.parent_path), ("compressed", report.output_path))
    )
    with ProgressWriter(job_folder, "measuring") as progress:
        progress.update(message="asking parent and compressed model in turns")
        try:
            speed = compare_speed(
                parent,
                small,
                questions,
                services.settings,
                job_folder.root,
                seconds=request.speed_seconds,
                on_progress=lambda done, total: progress.update(step=done, total_steps=total, beats=done),
            )
            found: dict[str, object] = {"speed": speed, "speed_missing": ""}
        except (JobFailedError, UnavailableError) as error:
            log.warning("no tokens a second: %s", error)
            found = {"speed_missing": error.sentence()}
    return report.model_copy(update={"compression": facts.model_copy(update=found)})


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
    report = _tracked(TrainingReport.model_validate(record), folder, services)
    with services.unit_of_work() as uow:
        for checkpoint in report.checkpoints:
            uow.jobs.record_checkpoint(job_id, checkpoint)
        promise_mark(report, uow)
        uow.jobs.complete(job_id, report)
    return report


def job_key(job_id: int) -> str:
    """Name of the job's folder and key at the runner."""
    return f"compress-{job_id}"


@dataclass(frozen=True, slots=True)
class _Checked:
    """What a request that can be carried out is about."""

    parent: TrainingReport
    dataset: DatasetVersion
    parent_is_whole: bool
    """Not an adapter."""
    recipe: Recipe | None
    """With distill, resolved."""
    student: Path | None
    """With distill, where the student is a base model."""


def _checked(request: CompressRequest, services: Services) -> _Checked:
    """Raises InvalidRequestError, ConflictError, NotFoundError or CapacityError."""
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
    if request.compression.quantizes and choose_server(services.settings).backend is not ServerBackend.VLLM:
        raise InvalidRequestError(
            "Only vLLM serves a model in fewer bits, and another server is installed or chosen: it could not be judged",
            value=request.compression.value,
            allowed="wanda, magnitude, neurons or distill without vLLM",
            next_step="install it with `make setup` and leave TUNEWAY_MODEL_SERVER_BACKEND at auto, or choose another "
            "compression",
        )
    if request.compression is CompressionMethod.INT8 and not gpu_count():
        require_exact_int8(request.job_name, services.settings)
    output = Path(job.report.output_path)
    is_whole = (output / "config.json").exists()
    model = output if is_whole else Path(job.report.base_model_path)
    for folder in (output, model):
        if not folder.is_dir():
            raise NotFoundError("A folder of the parent is gone", value=folder, next_step="restore it, or train again")
        check_model_folder(folder)
    check_model(model, request)
    found = _Checked(parent=job.report, dataset=dataset, parent_is_whole=is_whole, recipe=None, student=None)
    return (
        found
        if request.compression is not CompressionMethod.DISTILL
        else _with_student(request, found, model, services)
    )


def _with_student(request: CompressRequest, found: _Checked, parent: Path, services: Services) -> _Checked:
    """What a distillation needs beside the parent; it reads as its parent does, and both fit."""
    from training.base_model import check_architecture
    from training.compression.distilling import check_layers, check_student
    from training.fitting.disk import check_disk
    from training.recipe import resolve_recipe

    settings = services.settings
    overrides = Hyperparameters(
        **{name: getattr(request, name) for name in DISTILL_NUMBERS if name in Hyperparameters.model_fields}
    )
    recipe = resolve_recipe(request.recipe, overrides, Method.FULL, settings.recipes_dir)
    if recipe.objective != "distill":
        raise InvalidRequestError(
            "The recipe does not distill",
            value=f"{request.recipe} has the objective {recipe.objective}",
            allowed="a recipe with the objective distill, for example demo-distill or qwen3-0.6b-distill",
            next_step="choose one, or write your own: `extends: demo-distill`",
        )
    own = {"distill_temperature": request.temperature, "distill_teacher_weight": request.teacher_weight}
    recipe = recipe.model_copy(update={name: value for name, value in own.items() if value is not None})
    student = None
    if request.student_layers is not None:
        check_layers(parent, request.student_layers)
    else:
        assert request.student is not None, "the request's own check"
        student = base_model_folder(request.student, settings)
        check_architecture(student)
        check_student(parent, student, Path(found.dataset.file_path))
    settings.jobs_dir.mkdir(parents=True, exist_ok=True)
    check_disk(settings.jobs_dir, student or parent, recipe, retention(settings))
    _check_memory(recipe, parent, student or parent, services)
    return replace(found, recipe=recipe, student=student)


def _check_memory(recipe: Recipe, parent: Path, student: Path, services: Services) -> None:
    """Student and teacher fit on one device; a model that cannot be estimated passes. Raises CapacityError."""
    from training.fitting.architecture import read_architecture
    from training.fitting.memory import BFLOAT16, FLOAT32, estimate_memory
    from training.fitting.setup import setup_of

    small, large, capacity = read_architecture(student), read_architecture(parent), capacity_of(services.settings, 1)
    if small is None or large is None or capacity.size_bytes is None:
        return
    needed = estimate_memory(small, setup_of(recipe, num_gpus=1, on_gpu=capacity.on_gpu)).total_bytes
    teacher = large.parameters * (BFLOAT16 if capacity.on_gpu else FLOAT32)
    if needed + teacher > capacity.size_bytes:
        raise CapacityError(
            "Student and teacher do not fit into memory together",
            value=f"about {needed / BYTES_PER_GB:.1f} GB to train the student beside {teacher / BYTES_PER_GB:.1f} GB",
            allowed=f"{capacity.size_bytes / BYTES_PER_GB:.1f} GB ({capacity.source})",
            next_step="choose a smaller student, a smaller batch_size, or a recipe with a shorter max_seq_length",
        )


def _numbers(request: CompressRequest) -> JsonObject:
    """What the job's row holds of its request."""
    recipe = request.recipe if request.compression is CompressionMethod.DISTILL else request.compression.value
    return {**request.model_dump(mode="json"), "recipe": recipe}


def _defaults() -> JsonObject:
    """What a row that was written before a field of the request existed meant by leaving it out."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in CompressRequest.model_fields.items()
        if not field.is_required() and not isinstance(field.default, StrEnum)
    }


def _student_plan(
    request: CompressRequest, job_id: int, folder: JobFolder, checked: _Checked, parent_path: str, services: Services
) -> TrainingPlan:
    """How the student is trained."""
    from registry.tracking import JOB_TAG
    from training.run_manifest import code_revision

    settings, dataset = services.settings, checked.dataset
    assert checked.recipe is not None, "a distillation has one"
    name = request.student or f"{checked.parent.job_name}, {request.student_layers} layers"
    return TrainingPlan(
        job_id=job_id,
        job_name=request.job_name,
        dataset_id=dataset.dataset_id,
        dataset_path=dataset.file_path,
        base_model=name,
        base_model_path=str(checked.student or folder.root / STUDENT_FOLDER),
        teacher_path=parent_path,
        recipe_name=request.recipe,
        recipe=checked.recipe,
        num_gpus=1,
        seed=request.seed,
        keep_checkpoints=settings.checkpoint_keep,
        keep_best_checkpoints=settings.checkpoint_keep_best,
        seals_checkpoints=settings.checkpoint_encryption == "on",
        cache_dir=str(settings.cache_dir),
        watermark=identity_of(name, dataset.content_hash, _numbers(request), settings),
        tags={
            JOB_TAG: request.job_name,
            "tuneway.job_id": str(job_id),
            "tuneway.dataset_version": f"{dataset.name} {dataset.version}",
            "tuneway.dataset_hash": dataset.content_hash,
            "tuneway.base_model": name,
            "tuneway.recipe": request.recipe,
            "tuneway.code_revision": code_revision()[0],
            **_tags(request.compression, request.parent_job_id),
        },
    )


def _tags(method: CompressionMethod, parent_job_id: int) -> dict[str, str]:
    return {"tuneway.compression": method.value, "tuneway.parent_job_id": str(parent_job_id)}


def _plan(folder: JobFolder) -> _Plan:
    plan = read_json(folder.plan)
    if plan is None:
        raise NotFoundError("The job's plan is missing", value=folder.plan, next_step="submit it through its stage")
    return _Plan.model_validate(plan)


def _tracked(report: TrainingReport, folder: JobFolder, services: Services) -> TrainingReport:
    """The report with its run in MLflow, which holds the compression's numbers. MLflow away changes nothing."""
    from registry.tracking import (
        EXPERIMENT_NAME,
        JOB_TAG,
        ensure_run,
        finish_run,
        log_run_results,
        send_missing_metrics,
    )

    facts = report.compression
    assert facts is not None, "work measures it"
    url = services.settings.resolved_mlflow_tracking_url
    remembered = report.mlflow_run_id or (read_json(folder.tracking) or {}).get("run_id")
    tags = {JOB_TAG: report.job_name, **_tags(facts.method, facts.parent_job_id)}
    try:
        run_id = ensure_run(
            url, EXPERIMENT_NAME, report.job_name, tags, run_id=None if remembered is None else str(remembered)
        )
        send_missing_metrics(url, run_id, folder.metrics)
        log_run_results(url, run_id, metrics=compression_metrics(facts))
        finish_run(url, run_id)
    except UnavailableError as error:
        log.warning("MLflow lacks this compression, collect the job again to send it: %s", error)
        return report
    return report.model_copy(update={"mlflow_run_id": run_id})


def compression_metrics(facts: CompressionFacts) -> dict[str, float]:
    """The facts' numbers under MLflow's metric names."""
    plain = facts.model_dump(exclude={"method", "parent_job_id", "student", "speed", "speed_missing"})
    found = {f"compression.{name}": float(value) for name, value in plain.items() if value is not None}
    if facts.speed is not None:
        for load in facts.speed.loads:
            numbers = load.model_dump(exclude={"concurrency"})
            found |= {f"compression.{name}.users_{load.concurrency}": value for name, value in numbers.items()}
    return found
