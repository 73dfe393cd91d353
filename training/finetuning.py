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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from contracts.enums import Method
from contracts.errors import InvalidDataError, InvalidRequestError
from contracts.record import utc_now
from contracts.training import TrainingReport
from storage.files import folder_written_whole, write_json_atomically
from training.checkpoints import (
    PREFIX,
    STAGING,
    CheckpointManifest,
    checkpoint_records,
    commit_checkpoint,
    finite,
    newest_whole_checkpoint,
    remove_old_checkpoints,
)
from training.conversations import check_assistant_mask, read_conversations, tokenize_rows, training_template
from training.metrics import BYTES_PER_MB, MetricsFile, ProgressWriter, loss_curve, perplexity, resident_mb
from training.safetensors_files import sha256_of_weights
from training.tracking import RunFollower, Tracker

if TYPE_CHECKING:
    from storage.job_folder import JobFolder
    from training.plan import TrainingPlan
    from training.recipe import Recipe

EXIT_CODE_STOPPED = 143
MASK_SAMPLES = 20
"""Conversations whose loss mask is checked word by word before training."""

log = logging.getLogger("training")


@dataclass
class _RunState:
    """What a run carries from checkpoint to checkpoint beside the trainer's own state."""

    train_seconds: float = 0.0
    best_eval_loss: float | None = None
    best_step: int | None = None
    evaluations_without_gain: int = 0
    ended: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    stop_requested: bool = False

    @classmethod
    def of(cls, manifest: CheckpointManifest | None) -> _RunState:
        """As the checkpoint left it."""
        if manifest is None:
            return cls()
        return cls(
            manifest.train_seconds,
            manifest.best_eval_loss,
            manifest.best_step,
            manifest.evaluations_without_gain,
            manifest.ended,
            dict(manifest.metrics),
        )


def finetune(plan: TrainingPlan, folder: JobFolder, tracker: Tracker | None) -> TrainingReport:
    """Train as planned; checkpoints, metrics, progress and output go to the job folder.

    On SIGTERM it saves a checkpoint and raises SystemExit(143). With torchrun every process calls it; the one of rank
    0 writes.
    """
    is_first = int(os.environ.get("RANK", "0")) == 0
    if not is_first:
        return _finetune(plan, folder, None, None)
    with ProgressWriter(folder, "starting") as progress:
        return _finetune(plan, folder, tracker, progress)


def _finetune(
    plan: TrainingPlan, folder: JobFolder, tracker: Tracker | None, progress: ProgressWriter | None
) -> TrainingReport:
    began = time.monotonic()
    _make_deterministic(plan.seed)
    import torch
    from transformers import AutoTokenizer, set_seed
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    recipe = plan.recipe
    is_first = progress is not None
    tokenizer = AutoTokenizer.from_pretrained(plan.base_model_path, local_files_only=True)
    train_rows, validation_rows = _rows(plan, tokenizer)
    model = _load_model(plan)
    set_seed(plan.seed)  # as the trainer does: the adapter's first weights come from it

    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    staging = folder.checkpoints / STAGING
    if is_first:
        for leftover in (staging, *folder.root.glob(f".{folder.output.name}.*.tmp")):
            shutil.rmtree(leftover, ignore_errors=True)
    whole = newest_whole_checkpoint(folder.checkpoints)
    resume_path, manifest = whole or (None, None)
    state = _RunState.of(manifest)
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
    trainer = _trainer(
        plan, folder, model, tokenizer, train_rows, validation_rows, state=state, progress=progress, metrics=metrics
    )
    follower = RunFollower(tracker if is_first else None, folder, _params(plan))
    follower.start()

    before = signal.signal(signal.SIGTERM, lambda *_: setattr(state, "stop_requested", True))
    try:
        if not state.ended:
            trainer.train(resume_from_checkpoint=None if resume_path is None else str(resume_path))
        elif resume_path is not None:
            trainer._load_from_checkpoint(str(resume_path))
            trainer.state.global_step = manifest.step if manifest is not None else 0
            trainer.state.epoch = manifest.epoch if manifest is not None else 0.0
            trainer.state.num_input_tokens_seen = _tokens_seen(resume_path)
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
    if recipe.final_weights == "best" and state.best_step not in (None, trainer.state.global_step):
        trainer._load_from_checkpoint(str(folder.checkpoints / f"{PREFIX}{state.best_step}"))
    if is_first:
        _save_output(trainer, tokenizer, plan, folder.output)
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
        perplexity=perplexity(eval_loss),
        tokens_per_second=trainer.state.num_input_tokens_seen / max(state.train_seconds, 1e-9),
        peak_memory_mb=peak_mb,
        duration_seconds=time.monotonic() - began + (manifest.train_seconds if manifest is not None else 0.0),
        resumed_from_step=resumed_from,
        loss_curve=curve,
        checkpoints=checkpoint_records(folder.checkpoints) if is_first else [],
        hyperparameters=recipe.model_dump(mode="json"),
    )
    if is_first:
        follower.finish("FINISHED", _artifacts(plan, folder, report))
    _leave_process_group()
    return report


def _make_deterministic(seed: int) -> None:
    """Same input, same numbers. Before anything else of torch is used."""
    import torch

    if torch.cuda.is_available():
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)


def _rows(plan: TrainingPlan, tokenizer: Any) -> tuple[Any, Any]:
    """Training and validation rows as tokens and labels; no validation rows where the dataset version has none."""
    from datasets import Dataset

    template = training_template(tokenizer)
    found = []
    for split in ("train", "validation"):
        conversations = read_conversations(Path(plan.dataset_path) / f"{split}.parquet")
        for messages in conversations[:MASK_SAMPLES]:
            check_assistant_mask(tokenizer, template, messages)
        rows = tokenize_rows(tokenizer, template, conversations, plan.recipe.max_seq_length)
        if rows.cut:
            log.warning(
                "%s: %d of %d rows are longer than max_seq_length %d and were cut, %d of them had nothing left to learn",
                split,
                rows.cut,
                len(conversations),
                plan.recipe.max_seq_length,
                rows.dropped,
            )
        if conversations and not rows.input_ids:
            raise InvalidRequestError(
                f"Nothing is left to learn in the {split} split after cutting",
                value=f"max_seq_length {plan.recipe.max_seq_length}",
                next_step="choose a larger max_seq_length",
            )
        found.append(rows)
    train, validation = found
    if not train.input_ids:
        raise InvalidDataError("The dataset version has no training rows", value=plan.dataset_path)
    made = [
        Dataset.from_dict({"input_ids": rows.input_ids, "labels": rows.labels}) if rows.input_ids else None
        for rows in (train, validation)
    ]
    return made[0], made[1]


def _load_model(plan: TrainingPlan) -> Any:
    """The base model on this process's device, quantised for qlora."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = _dtype(plan.recipe)
    options: dict[str, Any] = {}
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        options["device_map"] = {"": torch.cuda.current_device()}
    if plan.recipe.method is Method.QLORA:
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return AutoModelForCausalLM.from_pretrained(
        plan.base_model_path,
        dtype=dtype,
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        **options,
    )


def _dtype(recipe: Recipe) -> Any:
    import torch

    wanted = recipe.precision
    if wanted == "auto":
        wanted = "bfloat16" if torch.cuda.is_available() else "float32"
    return getattr(torch, wanted)


def _trainer(
    plan: TrainingPlan,
    folder: JobFolder,
    model: Any,
    tokenizer: Any,
    train_rows: Any,
    validation_rows: Any,
    *,
    state: _RunState,
    progress: ProgressWriter | None,
    metrics: MetricsFile | None,
) -> Any:
    """TRL's trainer with checkpoints that are whole or absent, and our callback."""
    import torch
    from peft import LoraConfig
    from transformers import Trainer
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    recipe = plan.recipe
    on_gpu = torch.cuda.is_available()
    staging = folder.checkpoints / STAGING
    validates = validation_rows is not None
    arguments = SFTConfig(
        output_dir=str(staging),
        use_cpu=not on_gpu,
        ddp_backend=("nccl" if on_gpu else "gloo") if "WORLD_SIZE" in os.environ else None,
        ddp_find_unused_parameters=False,
        bf16=on_gpu and _dtype(recipe) == torch.bfloat16,
        fp16=False,
        seed=plan.seed,
        data_seed=plan.seed,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.scheduler,
        warmup_steps=recipe.warmup_steps,
        num_train_epochs=recipe.num_epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        optim=recipe.optimizer if on_gpu else "adamw_torch",
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        activation_checkpointing=recipe.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if recipe.gradient_checkpointing else None,
        logging_strategy="steps",
        logging_steps=recipe.logging_steps,
        logging_first_step=True,
        eval_strategy="steps" if validates else "no",
        eval_steps=recipe.eval_steps,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        include_num_input_tokens_seen="non_padding",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        dataloader_num_workers=0,
        dataloader_pin_memory=on_gpu,
        report_to="none",
        disable_tqdm=True,
        log_level="warning",
    )

    class WholeCheckpointTrainer(SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # TRL computes the same loss in tiles, which saves a GPU memory where the vocabulary is large. On a CPU the
            # tiles took half of each step: 0.77 s against 0.40 s for 32 samples of the demo.
            parent = SFTTrainer if on_gpu else Trainer
            return parent.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            # Past SFTTrainer's own method: it would write a model card for the hub beside each checkpoint.
            Trainer._save_checkpoint(self, model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.process_index == 0:
                step = self.state.global_step
                if metrics is not None:
                    metrics.flush_to_disk()
                commit_checkpoint(
                    staging / f"{PREFIX}{step}",
                    folder.checkpoints / f"{PREFIX}{step}",
                    CheckpointManifest(
                        step=step,
                        epoch=float(self.state.epoch or 0.0),
                        metrics=state.metrics,
                        train_seconds=state.train_seconds,
                        best_eval_loss=state.best_eval_loss,
                        best_step=state.best_step,
                        evaluations_without_gain=state.evaluations_without_gain,
                        ended=state.ended,
                        files={},
                    ),
                )
                remove_old_checkpoints(folder.checkpoints, plan.keep_checkpoints, state.best_step)
            self.accelerator.wait_for_everyone()

    trainer = WholeCheckpointTrainer(
        model=model,
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=validation_rows,
        processing_class=tokenizer,
        peft_config=None
        if recipe.method is Method.FULL
        else LoraConfig(
            r=recipe.lora_rank,
            lora_alpha=recipe.lora_alpha,
            lora_dropout=recipe.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        callbacks=[_callback(plan, state, progress, metrics, validates=validates)],
    )
    trainer.remove_callback(PrinterCallback)
    if recipe.method is Method.QLORA:
        # TRL keeps the adapter of a quantised model in bfloat16, where small steps of Adam round to nothing.
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    return trainer


def _callback(
    plan: TrainingPlan,
    state: _RunState,
    progress: ProgressWriter | None,
    metrics: MetricsFile | None,
    *,
    validates: bool,
) -> Any:
    """Metrics, progress, early stopping, and the end on request."""
    import torch
    from transformers import TrainerCallback

    recipe = plan.recipe

    class RunCallback(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self._step_began = 0.0
            self._logged_seconds = state.train_seconds
            self._logged_tokens = 0

        def on_train_begin(self, _args: Any, trainer_state: Any, _control: Any, **_: Any) -> None:
            self._logged_tokens = trainer_state.num_input_tokens_seen
            if progress is not None:
                progress.begin_steps(trainer_state.global_step, trainer_state.max_steps)

        def on_step_begin(self, _args: Any, _trainer_state: Any, _control: Any, **_: Any) -> None:
            self._step_began = time.monotonic()

        def on_step_end(self, _args: Any, trainer_state: Any, control: Any, **_: Any) -> None:
            state.train_seconds += time.monotonic() - self._step_began
            step = trainer_state.global_step
            state.metrics.pop("eval_loss", None)
            if progress is not None:
                progress.update(step=step, epoch=trainer_state.epoch)
            if step >= trainer_state.max_steps:
                state.ended = True
                control.should_evaluate = validates
                control.should_log = True
            if _any_process_asked(state.stop_requested) and not state.ended:
                control.should_save = True
                control.should_training_stop = True

        def on_log(self, _args: Any, trainer_state: Any, _control: Any, logs: dict[str, Any], **_: Any) -> None:
            line: dict[str, float | None] = {}
            if "loss" in logs:
                seconds = state.train_seconds - self._logged_seconds
                tokens = trainer_state.num_input_tokens_seen - self._logged_tokens
                self._logged_seconds = state.train_seconds
                self._logged_tokens = trainer_state.num_input_tokens_seen
                line = {
                    "loss": float(logs["loss"]),
                    "grad_norm": float(logs["grad_norm"]) if "grad_norm" in logs else None,
                    "learning_rate": float(logs["learning_rate"]) if "learning_rate" in logs else None,
                    "tokens_per_second": tokens / seconds if seconds > 0 else None,
                    "memory_mb": _memory_mb(),
                }
                state.metrics["loss"] = float(logs["loss"])
            elif "eval_loss" in logs:
                line = {"eval_loss": float(logs["eval_loss"]), "perplexity": perplexity(float(logs["eval_loss"]))}
            if not line:
                return
            present = finite(line)
            if metrics is not None:
                metrics.append(
                    {
                        "step": trainer_state.global_step,
                        "epoch": float(trainer_state.epoch or 0.0),
                        "timestamp": utc_now().isoformat(),
                        **present,
                    }
                )
            if progress is not None:
                progress.update(**{name: value for name, value in present.items() if name in PROGRESS_METRICS})
                shown = "  ".join(f"{name} {value:.4g}" for name, value in present.items())
                log.info("step %d/%d  %s", trainer_state.global_step, trainer_state.max_steps, shown)

        def on_evaluate(
            self, _args: Any, trainer_state: Any, control: Any, metrics: dict[str, float], **_: Any
        ) -> None:
            loss = float(metrics["eval_loss"])
            state.metrics.update(eval_loss=loss)
            best = state.best_eval_loss
            if best is None or loss < best - recipe.early_stopping_min_delta:
                state.best_eval_loss, state.best_step = loss, trainer_state.global_step
                state.evaluations_without_gain = 0
            else:
                state.evaluations_without_gain += 1
            patience = recipe.early_stopping_patience
            if patience is not None and state.evaluations_without_gain >= patience and not state.ended:
                log.info("validation loss has not fallen for %d evaluations: training ends", patience)
                state.ended = True
                control.should_save = True
                control.should_training_stop = True

    def _memory_mb() -> float:
        return torch.cuda.memory_allocated() / BYTES_PER_MB if torch.cuda.is_available() else resident_mb()

    return RunCallback()


PROGRESS_METRICS = ("loss", "eval_loss", "learning_rate", "tokens_per_second")


def _any_process_asked(asked: bool) -> bool:
    """Every process of the run must stop at the same step."""
    import torch
    import torch.distributed as distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return asked
    device = "cuda" if torch.cuda.is_available() else "cpu"
    flag = torch.tensor(int(asked), device=device)
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag.item())


def _leave_process_group() -> None:
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _save_output(trainer: Any, tokenizer: Any, plan: TrainingPlan, output: Path) -> None:
    """Adapter or model with tokenizer and chat template, whole or absent."""
    if output.exists():  # an attempt that was killed after this point
        shutil.rmtree(output)
    model = trainer.accelerator.unwrap_model(trainer.model)
    with folder_written_whole(output) as folder:
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        tokenizer.save_pretrained(folder)
        write_json_atomically(
            folder / "training.json",
            {"job_id": plan.job_id, "base_model": plan.base_model, "recipe": plan.recipe_name, "seed": plan.seed},
        )


def _tokens_seen(checkpoint: Path) -> int:
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return int(state.get("num_input_tokens_seen", 0))


def _peak_resident_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / BYTES_PER_MB


def _params(plan: TrainingPlan) -> dict[str, Any]:
    recipe = plan.recipe.model_dump(mode="json", exclude={"description"})
    return {
        **recipe,
        "recipe": plan.recipe_name,
        "base_model": plan.base_model,
        "dataset_id": plan.dataset_id,
        "num_gpus": plan.num_gpus,
        "seed": plan.seed,
    }


def _artifacts(plan: TrainingPlan, folder: JobFolder, report: TrainingReport) -> dict[Path, str | None]:
    """Files that go to the tracked run: loss curve, recipe, report."""
    made = folder.root / "artifacts"
    made.mkdir(exist_ok=True)
    recipe, curve, record = made / f"{plan.recipe_name}.yaml", made / "loss_curve.png", made / "report.json"
    recipe.write_text(yaml.safe_dump(plan.recipe.model_dump(mode="json"), allow_unicode=True), encoding="utf-8")
    record.write_text(report.model_dump_json(indent=1), encoding="utf-8")
    draw_loss_curve(folder.metrics, curve, title=plan.job_name)
    return {recipe: "recipe", record: "report", curve: "plots"}


def draw_loss_curve(metrics_path: Path, target: Path, title: str) -> None:
    """Training and validation loss over steps as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from training.metrics import read_metrics

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    lines = read_metrics(metrics_path)
    for name, label, style in (("loss", "training loss", "-"), ("eval_loss", "validation loss", "o-")):
        steps = [int(str(line["step"])) for line in lines if name in line]
        losses = [float(str(line[name])) for line in lines if name in line]
        if steps:
            axes.plot(steps, losses, style, label=label, markersize=3)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(target)


def describe_devices() -> str:
    """What this process trains on, for the log."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"CPU, {torch.get_num_threads()} thread(s)"
