"""TRL's trainer as a plan wants it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from training.checkpoints import STAGING
from training.distillation import distillation_arguments, distilling_trainer
from training.guard import GuardedSteps
from training.loading import dtype_of
from training.longest_batch import LongestBatchFirst
from training.methods import training_method
from training.packing import make_collator
from training.sample_attention import BY_SAMPLE, learnt_positions_only
from training.saving import WholeCheckpoints
from training.sharding import sharding_arguments, sharding_callback

if TYPE_CHECKING:
    from storage.job_folder import JobFolder
    from training.metrics import MetricsFile
    from training.plan import TrainingPlan
    from training.run_state import RunState


def make_trainer(
    plan: TrainingPlan,
    folder: JobFolder,
    arguments: Any,
    model: Any,
    tokenizer: Any,
    train_rows: Any,
    validation_rows: Any,
    *,
    state: RunState,
    metrics: MetricsFile | None,
    callbacks: list[Any],
) -> Any:
    """TRL's trainer for the plan's objective, with checkpoints that are whole or absent."""
    from transformers.trainer_callback import PrinterCallback

    recipe = plan.recipe
    method = training_method(recipe.method)
    trainer = _maker(plan)(
        args=arguments,
        model=model,
        train_dataset=train_rows,
        eval_dataset=validation_rows,
        processing_class=tokenizer,
        peft_config=method.adapter(recipe),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    if recipe.sharding != "none":
        trainer.add_callback(sharding_callback(trainer, recipe))
    trainer.save_to(plan, folder, state, metrics)
    trainer.guard_with(plan, folder, state)
    method.prepare(trainer.model)
    return trainer


def make_arguments(plan: TrainingPlan, folder: JobFolder, *, validates: bool) -> Any:
    """TRL's configuration for the plan. To be made before the model is read: sharding shapes how that is done."""
    from trl import DPOConfig, SFTConfig

    recipe = plan.recipe
    common = _arguments(plan, folder, validates=validates)
    if recipe.objective == "dpo":
        return DPOConfig(**common, beta=recipe.dpo_beta, max_length=recipe.max_seq_length)
    if recipe.objective == "distill":
        return distillation_arguments(recipe, common)
    return SFTConfig(**common, dataset_kwargs={"skip_prepare_dataset": True}, max_length=None)


def _arguments(plan: TrainingPlan, folder: JobFolder, *, validates: bool) -> dict[str, Any]:
    """What every objective's trainer is told."""
    import torch

    recipe = plan.recipe
    on_gpu = torch.cuda.is_available()
    # FSDP has checkpointing of its own; both together would compute activations three times
    checkpointing = recipe.gradient_checkpointing and recipe.sharding != "fsdp2"
    return {
        **sharding_arguments(recipe),
        "use_liger_kernel": recipe.liger and on_gpu,
        "output_dir": str(folder.checkpoints / STAGING),
        "use_cpu": not on_gpu and recipe.sharding == "none",
        "ddp_backend": ("nccl" if on_gpu else "gloo") if "WORLD_SIZE" in os.environ else None,
        "ddp_find_unused_parameters": False,
        "bf16": on_gpu and (recipe.precision == "mixed" or dtype_of(recipe) == torch.bfloat16),
        "fp16": False,
        "seed": plan.seed,
        "data_seed": plan.seed,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.scheduler,
        "warmup_steps": recipe.warmup_steps,
        "num_train_epochs": recipe.num_epochs,
        "per_device_train_batch_size": recipe.batch_size,
        "per_device_eval_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "optim": recipe.optimizer if on_gpu else "adamw_torch",
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "activation_checkpointing": checkpointing,
        "activation_checkpointing_kwargs": {"use_reentrant": False} if checkpointing else None,
        "logging_strategy": "steps",
        "logging_steps": recipe.logging_steps,
        "logging_first_step": True,
        "eval_strategy": "steps" if validates else "no",
        "eval_steps": recipe.eval_steps,
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "include_num_input_tokens_seen": "non_padding",
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": on_gpu,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "warning",
        "logging_nan_inf_filter": False,  # the guard stops the run; the filter would look at every micro-batch
    }


def _maker(plan: TrainingPlan) -> Any:
    """What makes the trainer of the plan's objective."""
    match plan.recipe.objective:
        case "dpo":
            return _preference_trainer
        case "distill":
            return partial(distilling_trainer, plan)
        case _:
            return _supervised_trainer


def _supervised_trainer(**given: Any) -> Any:
    """Learns the labelled tokens of rows that are tokenised already."""
    import torch
    from transformers import Trainer
    from trl import SFTTrainer

    on_gpu = torch.cuda.is_available()
    by_sample = given["model"].config._attn_implementation == BY_SAMPLE

    class SupervisedTrainer(WholeCheckpoints, GuardedSteps, LongestBatchFirst, SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # With a cache in its way the model would not see that a row holds several samples, and let them mix.
            inputs["use_cache"] = False
            if by_sample:
                inputs = learnt_positions_only(inputs)
            # TRL computes the same loss in tiles, which saves a GPU memory where the vocabulary is large. On a CPU the
            # tiles took half of each step: 0.77 s against 0.40 s for 32 samples of the demo.
            parent = SFTTrainer if on_gpu else Trainer
            return parent.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    collator = make_collator(given["processing_class"].pad_token_id, in_one_row=by_sample)
    return SupervisedTrainer(data_collator=collator, **given)


def _preference_trainer(**given: Any) -> Any:
    """Direct preference optimisation on pairs of conversations. Without an adapter a second model is the reference."""
    from trl import DPOTrainer

    class PreferenceTrainer(WholeCheckpoints, GuardedSteps, LongestBatchFirst, DPOTrainer):  # type: ignore[misc]
        pass

    return PreferenceTrainer(**given)
