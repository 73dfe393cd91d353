"""A recipe as Axolotl's YAML."""

from typing import Any

from contracts.enums import Method, Split
from training.export.run import ExportedRun
from training.recipe import Recipe

FILE = "axolotl.yaml"
COMMAND = "axolotl train {folder}/axolotl.yaml"
PRECISIONS: dict[str, dict[str, Any]] = {
    "auto": {"bf16": "auto"},
    "float32": {"bf16": False, "fp16": False, "float32": True},
    "bfloat16": {"bf16": True},
    "mixed": {"bf16": True},
}


def axolotl_config(recipe: Recipe, run: ExportedRun) -> dict[str, Any]:
    """The configuration; loss on the assistant's turns and their end only, as here."""
    config: dict[str, Any] = {
        "base_model": run.base_model_path,
        "output_dir": str(run.output),
        "datasets": [_conversations(run, Split.TRAIN)],
        "dataset_prepared_path": str(run.folder / "prepared"),
        "sequence_len": recipe.max_seq_length,
        "sample_packing": recipe.packing,
        "eval_sample_packing": False,
        "pad_to_sequence_len": recipe.packing,
        "micro_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "num_epochs": recipe.num_epochs,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler": recipe.scheduler,
        "warmup_steps": recipe.warmup_steps,
        "optimizer": recipe.optimizer,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "logging_steps": recipe.logging_steps,
        "save_steps": recipe.save_steps,
        "auto_resume_from_checkpoints": True,
        "seed": run.seed,
        "trust_remote_code": False,
        **PRECISIONS[recipe.precision],
    }
    if run.validates:
        config |= {"test_datasets": [_conversations(run, Split.VALIDATION)], "eval_steps": recipe.eval_steps}
        if recipe.final_weights == "best":
            config |= {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
        if recipe.early_stopping_patience is not None:
            config["early_stopping_patience"] = recipe.early_stopping_patience
    if recipe.method is not Method.FULL:
        config |= {
            "adapter": recipe.method.value,
            "lora_r": recipe.lora_rank,
            "lora_alpha": recipe.lora_alpha,
            "lora_dropout": recipe.lora_dropout,
            "lora_target_linear": True,
            "peft_use_dora": recipe.use_dora,
            "peft_use_rslora": recipe.use_rslora,
        }
    if recipe.method is Method.QLORA:
        config |= {"load_in_4bit": True}
    return config


def _conversations(run: ExportedRun, split: Split) -> dict[str, Any]:
    return {
        "path": str(run.conversations(split)),
        "ds_type": "json",
        "split": "train",  # of the file: a JSON file has this one only
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
