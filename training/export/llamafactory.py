"""A recipe as LLaMA-Factory's YAML, and the dataset list that it wants beside it."""

from typing import Any

from contracts.enums import Method, Split
from training.export.run import ExportedRun
from training.recipe import Recipe

FILE = "llamafactory.yaml"
COMMAND = "llamafactory-cli train {folder}/llamafactory.yaml"
DATASETS_FILE = "dataset_info.json"
PRECISIONS: dict[str, dict[str, Any]] = {
    "auto": {"bf16": True},
    "float32": {"fp16": False, "bf16": False},
    "bfloat16": {"bf16": True, "pure_bf16": True},
    "mixed": {"bf16": True},
}


def llamafactory_config(recipe: Recipe, run: ExportedRun) -> dict[str, Any]:
    """The configuration. LLaMA-Factory has chat templates of its own: `qwen3_nothink` is the one of our Qwen3 runs."""
    config: dict[str, Any] = {
        "model_name_or_path": run.base_model_path,
        "trust_remote_code": False,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full" if recipe.method is Method.FULL else "lora",
        "dataset_dir": str(run.folder),
        "dataset": "tuneway_train",
        "template": "qwen3_nothink",
        "cutoff_len": recipe.max_seq_length,
        "packing": recipe.packing,
        "neat_packing": recipe.packing,  # without it packed samples see one another
        "train_on_prompt": False,
        "output_dir": str(run.output),
        "per_device_train_batch_size": recipe.batch_size,
        "per_device_eval_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "num_train_epochs": recipe.num_epochs,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.scheduler,
        "warmup_steps": recipe.warmup_steps,
        "optim": recipe.optimizer,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "disable_gradient_checkpointing": not recipe.gradient_checkpointing,
        "logging_steps": recipe.logging_steps,
        "save_steps": recipe.save_steps,
        "seed": run.seed,
        "data_seed": run.seed,
        "report_to": "none",
        **PRECISIONS[recipe.precision],
    }
    if run.validates:
        config |= {"eval_dataset": "tuneway_validation", "eval_strategy": "steps", "eval_steps": recipe.eval_steps}
        if recipe.final_weights == "best":
            config |= {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    if recipe.method is not Method.FULL:
        config |= {
            "lora_rank": recipe.lora_rank,
            "lora_alpha": recipe.lora_alpha,
            "lora_dropout": recipe.lora_dropout,
            "lora_target": "all",
            "use_dora": recipe.use_dora,
            "use_rslora": recipe.use_rslora,
        }
    if recipe.method is Method.QLORA:
        config |= {"quantization_bit": 4, "quantization_method": "bnb", "double_quantization": True}
    return config


def dataset_list(run: ExportedRun) -> dict[str, Any]:
    """What stands in dataset_info.json."""
    splits = [Split.TRAIN, *([Split.VALIDATION] if run.validates else [])]
    return {
        f"tuneway_{split}": {
            "file_name": run.conversations(split).name,
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
            },
        }
        for split in splits
    }
