"""Fine-tune: checks and rows before the job, the work inside its process, rows and the run's end after it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import JobKind, JobState, JobStatus, Priority
from contracts.errors import (
    ConflictError,
    InvalidDataError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from contracts.jobs import DEFAULT_PROJECT, JobSubmission
from contracts.record import JsonObject
from contracts.training import Hyperparameters, TrainingReport, TrainRequest
from security.model_files import check_model_folder
from stages.cards import this_machine
from stages.job_events import created_event
from stages.launching import job_cards
from stages.model_gate import base_model_folder
from stages.nodes import check_nodes
from stages.owners import claim_for_starter
from stages.plan_training import check_memory, expected_seconds, retention
from stages.run_job import error_of, run_job
from stages.watermarks import identity_of, mark_of, promise_mark
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view, read_submission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from contracts.datasets import DatasetVersion
    from contracts.pipeline import FinetuneRequest
    from contracts.record import Record
    from registry.tracking import MlflowTracker
    from settings import Settings
    from stages.services import Services
    from training.plan import FollowedRun, TrainingPlan
    from training.recipe import Recipe

TRACKING_START_SECONDS = 5.0
"""Longer would hold training up; it starts untracked then and tries on."""

RUN_TAG = "tuneway.run_id"
"""The task that handed the job over: dag/run/task/try, as in the logs."""
log = logging.getLogger("train")


def train(
    request: TrainRequest,
    services: Services,
    *,
    project: str = DEFAULT_PROJECT,
    priority: Priority = Priority.NORMAL,
) -> TrainingReport:
    """The whole stage in one call: by the runner where it answers, else by a launcher of our own."""
    job = create_job(request, services)
    submission = JobSubmission.model_validate({**dict(job), "project": project, "priority": priority})
    run_job(submission, services)
    return collect(submission.job_key, services)


def check_request(request: FinetuneRequest | TrainRequest, services: Services, *, elsewhere: bool = False) -> None:
    """What can be known before any data is touched: base model, recipe, method, GPUs. Raises InvalidRequestError.

    `elsewhere`: another trainer does the run, with GPUs of its own; those of this host are not counted.
    """
    from training.base_model import check_architecture
    from training.conversations import training_template

    model = check_setup(request, services, elsewhere=elsewhere)
    check_architecture(model)
    training_template(_tokenizer(model))


def check_setup(request: FinetuneRequest | TrainRequest, services: Services, *, elsewhere: bool = False) -> Path:
    """The part of it that needs neither torch nor transformers, in a fraction of a second; the base model's folder."""
    from training.fitting.disk import check_disk
    from training.recipe import resolve_recipe

    settings = services.settings
    recipe = resolve_recipe(request.recipe, _hyperparameters(request), request.method, settings.recipes_dir)
    if recipe.objective == "distill":
        raise InvalidRequestError(
            "A recipe with the objective distill wants a finished model to learn from",
            value=request.recipe,
            allowed="recipes with the objective sft or dpo",
            next_step="start compress_model with compression distill, or choose another recipe",
        )
    model = base_model_folder(request.base_model, settings)
    if not elsewhere:
        _check_cards(recipe, request.num_gpus, nodes_of(request), settings)
    settings.jobs_dir.mkdir(parents=True, exist_ok=True)
    check_disk(settings.jobs_dir, model, recipe, retention(settings))
    if not elsewhere:
        check_memory(recipe, model, request.num_gpus, settings, num_nodes=nodes_of(request))
    return model


def nodes_of(request: FinetuneRequest | TrainRequest) -> int:
    """Hosts that train together: a pipeline's training stays on one."""
    return request.num_nodes if isinstance(request, TrainRequest) else 1


def _check_cards(recipe: Recipe, num_gpus: int, num_nodes: int, settings: Settings) -> None:
    """So many cards there are, and they and the packages can do what the recipe asks. Raises InvalidRequestError.

    A machine that hands its jobs to another one's runner knows that one's number of cards by its own settings only,
    and nothing of what they can do: there the job itself will tell.
    """
    from training.machine import check_machine

    machine = this_machine()
    elsewhere = settings.runner_url is not None and not machine.gpus
    if recipe.sharding != "none" and (num_gpus * num_nodes < 2 or not (machine.gpus or elsewhere)):
        raise InvalidRequestError(
            "There is nothing to divide the model over",
            value=f"sharding {recipe.sharding} with num_gpus {num_gpus}, {machine.gpus} GPUs here",
            allowed="two or more GPUs",
            next_step="set num_gpus to 2 or more where there are such, or choose a recipe without sharding",
        )
    most = settings.job_slots if elsewhere else len(job_cards(settings, machine.gpus))
    if num_gpus > most:
        raise InvalidRequestError(
            "The request asks for more GPUs than there are for jobs",
            value=num_gpus,
            allowed=f"1 to {most} (settings TUNEWAY_GPU_SLOTS, TUNEWAY_SERVING_GPUS"
            f"{f', {machine.gpus} GPUs here' if machine.gpus else ''})",
            next_step="lower num_gpus",
        )
    check_nodes(num_nodes, num_gpus, settings)
    if num_nodes > 1 and recipe.objective == "distill":
        raise InvalidRequestError(
            "A distillation is done on one host", value=f"num_nodes {num_nodes}", next_step="set num_nodes to 1"
        )
    if not elsewhere:
        check_machine(recipe, machine)


def create_job(
    request: TrainRequest,
    services: Services,
    *,
    recipe: Recipe | None = None,
    tags: Mapping[str, str] | None = None,
    followed: Callable[[JobFolder], FollowedRun] | None = None,
    elsewhere: bool = False,
) -> JobSubmission:
    """The job's row, folder and plan; the same request again gives the same job.

    Everything that can be known to fail fails here, before a GPU is taken. A sweep's trial brings the recipe with its
    own numbers in it, and tags for its run; otherwise the request's recipe is resolved. `followed` names the run of
    another trainer that the job follows instead of training itself; `elsewhere` says that it has GPUs of its own.
    """
    from registry.tracking import JOB_TAG
    from training.plan import TrainingPlan
    from training.recipe import resolve_recipe, same_numbers
    from training.rows import check_dataset
    from training.run_manifest import code_revision

    check_request(request, services, elsewhere=elsewhere)
    settings = services.settings
    model = base_model_folder(request.base_model, settings)
    if recipe is None:
        recipe = resolve_recipe(request.recipe, request.hyperparameters, request.method, settings.recipes_dir)
    else:
        _check_cards(recipe, request.num_gpus, request.num_nodes, settings)
        check_memory(recipe, model, request.num_gpus, settings, num_nodes=request.num_nodes)
    if followed is not None and request.num_nodes > 1:
        raise InvalidRequestError(
            "Another trainer's run is followed on one host",
            value=f"num_nodes {request.num_nodes}",
            next_step="set num_nodes to 1; the other trainer starts its processes on other hosts itself",
        )
    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(request.dataset_id)
    tokenizer = _tokenizer(model)
    check_dataset(_folder_of(dataset), recipe, tokenizer)

    numbers: JsonObject = {
        **recipe.model_dump(mode="json"),
        "recipe": request.recipe,
        "num_gpus": request.num_gpus,
        "seed": request.seed,
        **({"num_nodes": request.num_nodes} if request.num_nodes > 1 else {}),
    }
    with services.unit_of_work() as uow:
        job_id = uow.jobs.create(request, hyperparameters=numbers, base_model_path=str(model))
        present = uow.jobs.get(job_id)
        wanted = (request.dataset_id, str(model), request.method)
        if (present.dataset_id, present.base_model_path, present.method) != wanted or not same_numbers(
            present.hyperparameters, numbers
        ):
            raise ConflictError(
                "A fine-tuning job of this name exists with another request",
                value=request.job_name,
                next_step="choose another job_name; the same name continues the same job",
            )
        claim_for_starter(ResourceKind.JOB, job_id, services, uow)
        key = job_key(job_id)
        folder = JobFolder(settings.jobs_dir / key)
        uow.jobs.set_folders(
            job_id,
            output_dir=str(folder.output),
            checkpoint_dir=str(folder.checkpoints),
            logs_path=str(folder.root),
        )
        uow.audit.append_events([created_event(job_id, request, "train")])
    run = None if followed is None else followed(folder)
    present_plan = read_json(folder.plan)
    if present_plan is not None and present_plan.get("followed") != (
        None if run is None else run.model_dump(mode="json")
    ):
        raise ConflictError(
            "A fine-tuning job of this name exists that is trained otherwise",
            value=request.job_name,
            allowed=f"as it was: {present_plan.get('followed') or 'by our own trainer'}",
            next_step="choose another job_name; the same name continues the same job",
        )
    if present_plan is None:
        plan = TrainingPlan(
            job_id=job_id,
            job_name=request.job_name,
            dataset_id=dataset.dataset_id,
            dataset_path=str(_folder_of(dataset)),
            base_model=request.base_model,
            base_model_path=str(model),
            recipe_name=request.recipe,
            recipe=recipe,
            num_gpus=request.num_gpus,
            num_nodes=request.num_nodes,
            seed=request.seed,
            keep_checkpoints=settings.checkpoint_keep,
            keep_best_checkpoints=settings.checkpoint_keep_best,
            seals_checkpoints=settings.checkpoint_encryption == "on",
            cache_dir=str(settings.cache_dir),
            watermark=identity_of(request.base_model, dataset.content_hash, numbers, settings),
            followed=run,
            tags={
                JOB_TAG: request.job_name,
                "tuneway.job_id": str(job_id),
                "tuneway.dataset_version": f"{dataset.name} {dataset.version}",
                "tuneway.dataset_hash": dataset.content_hash,
                "tuneway.base_model": request.base_model,
                "tuneway.recipe": request.recipe,
                "tuneway.method": request.method.value,
                "tuneway.code_revision": code_revision()[0],
                **(tags or {}),
            },
        )
        write_json_atomically(folder.plan, plan.model_dump(mode="json"))
    return JobSubmission(
        job_key=key,
        kind=JobKind.TRAIN,
        request=request.model_dump(mode="json"),
        num_gpus=request.num_gpus,
        num_nodes=request.num_nodes,
        finetuning_job_id=job_id,
        expected_seconds=expected_seconds(
            recipe, model, _folder_of(dataset), request.num_gpus, tokenizer, services, num_nodes=request.num_nodes
        ),
    )


def work(request: Record, job_folder: JobFolder, services: Services) -> TrainingReport:
    """Inside the job's process: train as planned. Needs no database."""
    from training.export.following import follow
    from training.finetuning import finetune

    assert isinstance(request, TrainRequest)
    plan = _plan(job_folder)
    check_model_folder(Path(plan.base_model_path))
    tracker = tracker_of(plan, job_folder, services.settings)
    mark = mark_of(plan.watermark, services.settings)
    return (finetune if plan.followed is None else follow)(plan, job_folder, tracker, mark)


def tracker_of(plan: TrainingPlan, job_folder: JobFolder, settings: Settings) -> MlflowTracker:
    """The run of the plan's job in MLflow, the one that an earlier attempt began where there is one."""
    from registry.tracking import EXPERIMENT_NAME, MlflowTracker

    remembered = (read_json(job_folder.tracking) or {}).get("run_id")
    handed_over_by = (read_json(job_folder.submission) or {}).get("owner")
    return MlflowTracker(
        settings.resolved_mlflow_tracking_url,
        EXPERIMENT_NAME,
        plan.job_name,
        {**plan.tags, RUN_TAG: str(handed_over_by)} if handed_over_by else plan.tags,
        str(remembered) if remembered else None,
        start_seconds=TRACKING_START_SECONDS,
    )


def collect(job_key: str, services: Services) -> TrainingReport:
    """After the job: rows of the job and its checkpoints, and what MLflow still lacks. Safe to repeat.

    Raises the job's own error where it has ended without its result.
    """
    folder = JobFolder(services.settings.jobs_dir / job_key)
    view = job_view(folder)
    if not view.state.is_final:
        raise ConflictError("The job has not ended", value=f"{job_key} is {view.state}", next_step="wait for it")
    job_id = read_submission(folder).finetuning_job_id
    if job_id is None:
        raise InvalidDataError("The job has no row in finetuning_jobs", value=job_key)
    if view.state is not JobState.SUCCEEDED:
        error = error_of(view)
        status = JobStatus.STOPPED if view.state is JobState.STOPPED else JobStatus.FAILED
        with services.unit_of_work() as uow:
            uow.jobs.fail(job_id, status, error.as_record())
        raise error
    record = read_json(folder.result)
    if record is None:
        raise NotFoundError("The job's result is gone", value=folder.result, next_step="start the job again")
    check_model_folder(folder.output)
    report = _tracked(TrainingReport.model_validate(record), folder, services.settings)
    with services.unit_of_work() as uow:
        for checkpoint in report.checkpoints:
            uow.jobs.record_checkpoint(job_id, checkpoint)
        if report.mlflow_run_id is not None:
            uow.jobs.set_mlflow_run(job_id, report.mlflow_run_id)
        promise_mark(report, uow)
        uow.jobs.complete(job_id, report)
    return report


def job_key(job_id: int) -> str:
    """Name of the job's folder and key at the runner."""
    return f"train-{job_id}"


def _hyperparameters(request: FinetuneRequest | TrainRequest) -> Hyperparameters:
    if isinstance(request, TrainRequest):
        return request.hyperparameters
    return Hyperparameters(**{name: getattr(request, name) for name in Hyperparameters.model_fields})


def _tokenizer(model: Path) -> object:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model, local_files_only=True)
    except (ValueError, OSError, KeyError) as error:
        raise InvalidRequestError(
            "The base model's tokenizer cannot be used", value=model, next_step=str(error).splitlines()[0]
        ) from error


def _folder_of(dataset: DatasetVersion) -> Path:
    return Path(dataset.file_path)


def _plan(folder: JobFolder) -> TrainingPlan:
    from training.plan import TrainingPlan

    plan = read_json(folder.plan)
    if plan is None:
        raise NotFoundError("The job's plan is missing", value=folder.plan, next_step="submit it through its stage")
    return TrainingPlan.model_validate(plan)


def _tracked(report: TrainingReport, folder: JobFolder, settings: Settings) -> TrainingReport:
    """The report with its run, and the run with all its metrics. MLflow being away changes nothing but the log."""
    from registry.tracking import EXPERIMENT_NAME, ensure_run, finish_run, log_run_results, send_missing_metrics

    plan, url = _plan(folder), settings.resolved_mlflow_tracking_url
    remembered = report.mlflow_run_id or (read_json(folder.tracking) or {}).get("run_id")
    try:
        if remembered is None:
            run_id = ensure_run(url, EXPERIMENT_NAME, plan.job_name, plan.tags)
            write_json_atomically(folder.tracking, {"run_id": run_id, "sent_step": -1})
            artifacts = {"plots": folder.root / "artifacts" / "loss_curve.png"}
            log_run_results(url, run_id, artifacts={name: path for name, path in artifacts.items() if path.exists()})
        else:
            run_id = str(remembered)
        send_missing_metrics(url, run_id, folder.metrics)
        finish_run(url, run_id)
    except UnavailableError as error:
        log.warning("MLflow lacks part of this run, collect the job again to send it: %s", error)
        return report
    return report.model_copy(update={"mlflow_run_id": run_id})
