"""TRL's trainer as a plan wants it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from training.checkpoints import STAGING
from training.loading import dtype_of
from training.methods import training_method
from training.packing import make_collator
from training.saving import WholeCheckpoints

if TYPE_CHECKING:
    from storage.job_folder import JobFolder
    from training.metrics import MetricsFile
    from training.plan import TrainingPlan
    from training.run_state import RunState


def make_trainer(
    plan: TrainingPlan,
    folder: JobFolder,
    model: Any,
    tokenizer: Any,
    train_rows: Any,
    validation_rows: Any,
    *,
    state: RunState,
    metrics: MetricsFile | None,
    callbacks: list[Any],
) -> Any:
    """TRL's trainer with checkpoints that are whole or absent."""
    import torch
    from transformers import Trainer
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    recipe = plan.recipe
    method = training_method(recipe.method)
    on_gpu = torch.cuda.is_available()
    arguments = SFTConfig(
        output_dir=str(folder.checkpoints / STAGING),
        use_cpu=not on_gpu,
        ddp_backend=("nccl" if on_gpu else "gloo") if "WORLD_SIZE" in os.environ else None,
        ddp_find_unused_parameters=False,
        bf16=on_gpu and (recipe.precision == "mixed" or dtype_of(recipe) == torch.bfloat16),
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
        eval_strategy="steps" if validation_rows is not None else "no",
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

    class SupervisedTrainer(WholeCheckpoints, SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # With a cache in its way the model would not see that a row holds several samples, and let them mix.
            inputs["use_cache"] = False
            # TRL computes the same loss in tiles, which saves a GPU memory where the vocabulary is large. On a CPU the
            # tiles took half of each step: 0.77 s against 0.40 s for 32 samples of the demo.
            parent = SFTTrainer if on_gpu else Trainer
            return parent.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    trainer = SupervisedTrainer(
        model=model,
        args=arguments,
        data_collator=make_collator(tokenizer.pad_token_id),
        train_dataset=train_rows,
        eval_dataset=validation_rows,
        processing_class=tokenizer,
        peft_config=method.adapter(recipe),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.save_to(plan, folder, state, metrics)
    method.prepare(trainer.model)
    return trainer
