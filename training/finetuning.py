"""Fine-tune a base model: one plan in, an adapter or a model and a report out.

Killed at any moment and started again, it goes on from its newest whole checkpoint and, on a CPU, ends with the same
weights to the last bit.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

from contracts.errors import TrainingDivergedError
from contracts.training import TrainingReport
from storage.private_folders import remove_private_folders
from training.callbacks import run_callback
from training.checkpoints import PREFIX, STAGING, checkpoint_records, newest_whole_checkpoint
from training.loading import check_options, describe_devices, load_model, make_deterministic
from training.memory_fallback import Adjustment, adjusted, is_memory_shortage, read_adjustment, shortage_error
from training.metrics import BYTES_PER_MB, MetricsFile, ProgressWriter, loss_curve, perplexity
from training.opened_checkpoints import (
    BEST,
    RESUMED,
    WEIGHTS,
    by_first_process,
    closing_callback,
    is_first_of_host,
    opened,
)
from training.output import save_output, write_artifacts
from training.rows import training_rows
from training.run_manifest import keep_manifest, make_manifest
from training.run_state import RunState
from training.safetensors_files import sha256_of_weights
from training.tracking import RunFollower, Tracker
from training.trainer import make_arguments, make_trainer

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.training import RunManifest
    from storage.job_folder import JobFolder
    from training.output import Mark
    from training.plan import TrainingPlan

EXIT_CODE_STOPPED = 143

log = logging.getLogger("training")


def finetune(
    plan: TrainingPlan, folder: JobFolder, tracker: Tracker | None, mark: Mark | None = None
) -> TrainingReport:
    """Train as planned; checkpoints, metrics, progress and output go to the job folder. `mark` marks the output.

    On SIGTERM it saves a checkpoint and raises SystemExit(143). With torchrun every process calls it; the one of rank
    0 writes.
    """
    adjustment = read_adjustment(folder)
    is_first = int(os.environ.get("RANK", "0")) == 0
    if not is_first_of_host():
        return _finetune(plan, adjustment, folder, None, None, None)
    remove_private_folders(folder.root)  # of an attempt that was killed
    try:
        if not is_first:
            return _finetune(plan, adjustment, folder, None, None, None)
        with ProgressWriter(folder, "starting") as progress:
            if adjustment is not None:
                progress.update(message=adjustment.why)
            return _finetune(plan, adjustment, folder, tracker, progress, mark)
    finally:
        remove_private_folders(folder.root)


def _finetune(
    given: TrainingPlan,
    adjustment: Adjustment | None,
    folder: JobFolder,
    tracker: Tracker | None,
    progress: ProgressWriter | None,
    mark: Mark | None,
) -> TrainingReport:
    began = time.monotonic()
    plan = adjusted(given, adjustment)
    make_deterministic(plan.seed, on_gpu=plan.recipe.deterministic)
    check_options(plan.recipe)
    import torch
    from transformers import AutoTokenizer, set_seed
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    recipe = plan.recipe
    is_first = progress is not None
    tokenizer = AutoTokenizer.from_pretrained(plan.base_model_path, local_files_only=True)
    train_rows, validation_rows = training_rows(plan, tokenizer)
    kept = keep_manifest(make_manifest(given, train_rows, validation_rows), folder) if is_first else None
    arguments = make_arguments(plan, folder, validates=validation_rows is not None)
    model = load_model(plan)
    set_seed(plan.seed)  # as the trainer does: the adapter's first weights come from it

    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    staging = folder.checkpoints / STAGING
    if is_first:
        for leftover in (staging, *folder.root.glob(f".{folder.output.name}.*.tmp")):
            shutil.rmtree(leftover, ignore_errors=True)
    newest = by_first_process(lambda: newest_whole_checkpoint(folder.checkpoints))
    manifest = None if newest is None else newest[1]
    resume_path = None if newest is None else opened(newest[0], folder, RESUMED)
    state = RunState.of(manifest)
    resumed_from = manifest.step if manifest is not None else None
    if is_first:
        log.info(
            "%s; %d rows to learn, %d to validate; %s",
            describe_devices(),
            len(train_rows),
            len(validation_rows) if validation_rows is not None else 0,
            f"resuming from step {resumed_from}" if resumed_from is not None else "starting at step 0",
        )
    metrics = MetricsFile(folder.metrics, resumed_from or 0) if is_first else None
    trainer = make_trainer(
        plan,
        folder,
        arguments,
        model,
        tokenizer,
        train_rows,
        validation_rows,
        state=state,
        metrics=metrics,
        callbacks=[
            run_callback(plan, state, progress, metrics, validates=validation_rows is not None),
            *([closing_callback(folder)] if is_first_of_host() else []),
        ],
    )
    follower = RunFollower(tracker if is_first else None, folder, run_params(given), _tags(kept))
    follower.start()

    before = signal.signal(signal.SIGTERM, lambda *_: setattr(state, "stop_requested", True))
    try:
        if not state.ended:
            trainer.train(resume_from_checkpoint=None if resume_path is None else str(resume_path))
        elif resume_path is not None:
            if recipe.sharding == "none":
                trainer._load_from_checkpoint(str(resume_path))
            trainer.state.global_step = manifest.step if manifest is not None else 0
            trainer.state.epoch = manifest.epoch if manifest is not None else 0.0
            trainer.state.num_input_tokens_seen = _tokens_seen(resume_path)
    except TrainingDivergedError:
        if metrics is not None:
            metrics.close()
        follower.finish("FAILED", {})
        raise
    except Exception as error:
        if is_memory_shortage(error):
            raise shortage_error(plan, folder, error) from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    if not state.ended:
        log.info("stopped on request after step %d, checkpoint saved", trainer.state.global_step)
        if metrics is not None:
            metrics.close()
        follower.finish("KILLED", {})
        _leave_process_group()
        raise SystemExit(EXIT_CODE_STOPPED)

    if progress is not None:
        progress.update(stage="saving")
    last = trainer.state.global_step
    final_step = last if recipe.final_weights == "last" or state.best_step is None else state.best_step
    final = folder.checkpoints / f"{PREFIX}{final_step}"
    if final_step != last and recipe.sharding == "none":
        trainer._load_from_checkpoint(str(opened(final, folder, BEST, WEIGHTS)))
    watermark = save_output(trainer, tokenizer, plan, folder.output, final, mark) if is_first else None
    trainer.accelerator.wait_for_everyone()
    if metrics is not None:
        metrics.close()
    eval_loss = state.best_eval_loss if recipe.final_weights == "best" else state.metrics.get("eval_loss")
    curve = loss_curve(folder.metrics) if is_first else []
    peak_mb = torch.cuda.max_memory_allocated() / BYTES_PER_MB if torch.cuda.is_available() else _peak_resident_mb()
    report = TrainingReport(
        job_id=plan.job_id,
        job_name=plan.job_name,
        dataset_id=plan.dataset_id,
        base_model=plan.base_model,
        base_model_path=plan.base_model_path,
        method=recipe.method,
        recipe=plan.recipe_name,
        mlflow_run_id=follower.run_id,
        output_path=str(folder.output),
        weights_sha256=sha256_of_weights(folder.output) if is_first else "",
        steps=trainer.state.global_step,
        epochs=float(trainer.state.epoch or 0.0),
        train_loss=curve[-1][1] if curve else 0.0,
        eval_loss=eval_loss,
        perplexity=perplexity(eval_loss) if recipe.objective == "sft" else None,
        tokens_per_second=trainer.state.num_input_tokens_seen / max(state.train_seconds, 1e-9),
        peak_memory_mb=peak_mb,
        duration_seconds=time.monotonic() - began + (manifest.train_seconds if manifest is not None else 0.0),
        resumed_from_step=resumed_from,
        loss_curve=curve,
        checkpoints=checkpoint_records(folder.checkpoints) if is_first else [],
        hyperparameters=recipe.model_dump(mode="json"),
        manifest=kept,
        watermark=watermark,
        adjustments=[] if adjustment is None else [adjustment.why],
    )
    if is_first:
        follower.finish("FINISHED", write_artifacts(plan, folder, report))
    _leave_process_group()
    return report


def _leave_process_group() -> None:
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _tokens_seen(checkpoint: Path) -> int:
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return int(state.get("num_input_tokens_seen", 0))


def _peak_resident_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / BYTES_PER_MB


def run_params(plan: TrainingPlan) -> dict[str, Any]:
    """The tracked run's parameters."""
    recipe = plan.recipe.model_dump(mode="json", exclude={"description"})
    return {
        **recipe,
        "recipe": plan.recipe_name,
        "base_model": plan.base_model,
        "dataset_id": plan.dataset_id,
        "num_gpus": plan.num_gpus,
        "num_nodes": plan.num_nodes,
        "seed": plan.seed,
    }


def _tags(manifest: RunManifest | None) -> dict[str, str]:
    """What the tracked run is told of its manifest, beside the plan's tags."""
    if manifest is None:
        return {}
    return {
        "tuneway.tokenized_sha256": manifest.tokenized_sha256,
        "tuneway.base_model_sha256": manifest.base_model_sha256,
        "tuneway.code_revision": manifest.code_revision,
        "tuneway.code_changed": str(manifest.code_changed).lower(),
        "tuneway.code_sha256": manifest.code_sha256,
        "tuneway.torch": manifest.libraries.get("torch", ""),
    }
