"""The base model as a method trains it: on this process's device, in its precision, quantised or not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from training.methods import training_method

if TYPE_CHECKING:
    from training.plan import TrainingPlan
    from training.recipe import Recipe


def load_model(plan: TrainingPlan) -> Any:
    """The base model on this process's device, quantised as its method wants it."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = dtype_of(plan.recipe)
    options: dict[str, Any] = {}
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        options["device_map"] = {"": torch.cuda.current_device()}
    quantization = training_method(plan.recipe.method).quantization(dtype)
    if quantization is not None:
        options["quantization_config"] = quantization
    return AutoModelForCausalLM.from_pretrained(
        plan.base_model_path,
        dtype=dtype,
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        **options,
    )


def dtype_of(recipe: Recipe) -> Any:
    """The type of the weights."""
    import torch

    if recipe.precision == "auto":
        return torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return torch.bfloat16 if recipe.precision == "bfloat16" else torch.float32


def make_deterministic(seed: int) -> None:
    """Same input, same numbers. Before anything else of torch is used."""
    import torch

    if torch.cuda.is_available():
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)


def describe_devices() -> str:
    """What this process trains on, for the log."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"CPU, {torch.get_num_threads()} thread(s)"
