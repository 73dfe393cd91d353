"""The base model as a method trains it: on this process's device, in its precision, quantised or not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from training.machine import Machine, check_machine, installed_packages
from training.methods import training_method
from training.sample_attention import BY_SAMPLE, register_attention, takes_samples_apart

if TYPE_CHECKING:
    from training.plan import TrainingPlan
    from training.recipe import Recipe

SHARED_WEIGHTS = ("fsdp2", "zero3")
"""Divided weights are read into main memory: no single card need hold them all."""


def load_model(plan: TrainingPlan) -> Any:
    """The base model on this process's device, quantised as its method wants it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    recipe, dtype = plan.recipe, dtype_of(plan.recipe)
    config = AutoConfig.from_pretrained(plan.base_model_path, local_files_only=True)
    attention = attention_of(recipe)
    if not torch.cuda.is_available() and takes_samples_apart(config, recipe):
        register_attention()
        attention = BY_SAMPLE
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": attention}
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if torch.cuda.is_available() and recipe.sharding not in SHARED_WEIGHTS:
        options["device_map"] = {"": torch.cuda.current_device()}
    quantization = training_method(recipe.method).quantization(dtype)
    if quantization is not None:
        options["quantization_config"] = quantization
    return AutoModelForCausalLM.from_pretrained(
        plan.base_model_path, use_safetensors=True, local_files_only=True, **options
    )


def attention_of(recipe: Recipe) -> str:
    """The implementation of attention; FlashAttention unasked where it can run."""
    import torch

    if recipe.attention != "auto":
        return recipe.attention
    possible = torch.cuda.is_available() and "flash_attn" in installed_packages() and recipe.precision != "float32"
    return "flash_attention_2" if possible else "sdpa"


def check_options(recipe: Recipe) -> None:
    """The machine that the job has come to can do what its recipe asks. Raises InvalidRequestError.

    Its stage has looked before, unless the job was handed over to another machine.
    """
    import torch

    capabilities = [torch.cuda.get_device_capability(card) for card in range(torch.cuda.device_count())]
    check_machine(recipe, Machine(len(capabilities), min(capabilities, default=None), installed_packages()))


def dtype_of(recipe: Recipe) -> Any:
    """The type of the weights."""
    import torch

    if recipe.precision == "auto":
        return torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return torch.bfloat16 if recipe.precision == "bfloat16" else torch.float32


def make_deterministic(seed: int, *, on_gpu: bool = False) -> None:
    """Same input, same numbers: always on a CPU, on a GPU where the recipe asks for it. Before torch is used."""
    import torch

    if torch.cuda.is_available():
        if not on_gpu:
            return
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS takes it with its first product
        os.environ["FLASH_ATTENTION_DETERMINISTIC"] = "1"  # read by transformers
        torch.backends.cudnn.benchmark = False
    else:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing reads it, and filling took 3 % of a step
    torch.manual_seed(seed)


def describe_devices() -> str:
    """What this process trains on, for the log."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"CPU, {torch.get_num_threads()} thread(s)"
