"""The base model as a method trains it: on this process's device, in its precision, quantised or not."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from contracts.errors import InvalidRequestError
from training.methods import training_method

if TYPE_CHECKING:
    from training.plan import TrainingPlan
    from training.recipe import Recipe

SHARED_WEIGHTS = ("fsdp2", "zero3")
"""Divided weights are read into main memory: no single card need hold them all."""


def load_model(plan: TrainingPlan) -> Any:
    """The base model on this process's device, quantised as its method wants it."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = dtype_of(plan.recipe)
    options: dict[str, Any] = {}
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if torch.cuda.is_available() and plan.recipe.sharding not in SHARED_WEIGHTS:
        options["device_map"] = {"": torch.cuda.current_device()}
    quantization = training_method(plan.recipe.method).quantization(dtype)
    if quantization is not None:
        options["quantization_config"] = quantization
    return AutoModelForCausalLM.from_pretrained(
        plan.base_model_path,
        dtype=dtype,
        attn_implementation=attention_of(plan.recipe),
        use_safetensors=True,
        local_files_only=True,
        **options,
    )


def attention_of(recipe: Recipe) -> str:
    """The implementation of attention. Raises InvalidRequestError where the one asked for cannot run here."""
    import torch
    from transformers.utils import is_flash_attn_2_available

    if recipe.attention == "sdpa":
        return "sdpa"
    possible = torch.cuda.is_available() and is_flash_attn_2_available() and recipe.precision != "float32"
    if recipe.attention == "flash_attention_2" and not possible:
        raise InvalidRequestError(
            "FlashAttention cannot run here",
            value="attention: flash_attention_2",
            allowed="a GPU, the package flash_attn, and a precision other than float32",
            next_step="set attention to auto",
        )
    return "flash_attention_2" if possible else "sdpa"


def check_liger() -> None:
    """Liger's package is there; it is not imported. Raises InvalidRequestError."""
    if find_spec("liger_kernel") is None:
        raise InvalidRequestError(
            "Liger's kernels are not installed",
            value="liger: true",
            allowed="the package liger-kernel, on a machine with a GPU only: where it is, training on a CPU fails",
            next_step="install it, or set liger to false",
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
