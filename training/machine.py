"""What a recipe needs of the machine that it is to run on: told before a job waits for a card, not by its process."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from contracts.errors import InvalidRequestError
from training.methods import training_method

if TYPE_CHECKING:
    from training.recipe import Recipe

OPTIONAL_PACKAGES = ("bitsandbytes", "deepspeed", "flash_attn", "liger_kernel")
"""Those that a recipe may ask for and a machine may lack."""
BFLOAT16_SINCE = (8, 0)
"""Compute capability of the first cards with bfloat16 (A100); on older ones torch imitates it, far slower."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides about a recipe's options, beside memory."""

    gpus: int
    capability: tuple[int, int] | None = None
    """The least compute capability of its cards; None without cards, and where the driver does not tell."""
    packages: frozenset[str] = frozenset()
    """Optional ones that are installed."""


def installed_packages() -> frozenset[str]:
    """Of OPTIONAL_PACKAGES, those that are there. They are looked for, not imported: Liger's changes the models."""
    return frozenset(name for name in OPTIONAL_PACKAGES if find_spec(name) is not None)


def check_machine(recipe: Recipe, machine: Machine) -> None:
    """Raise InvalidRequestError where the recipe asks for what the machine lacks, naming what it could ask for."""
    on_gpu = machine.gpus > 0
    if recipe.attention == "flash_attention_2":
        _check(
            on_gpu and "flash_attn" in machine.packages and recipe.precision != "float32",
            "FlashAttention cannot run here",
            "attention: flash_attention_2",
            "a GPU, the package flash_attn, and a precision other than float32",
            "set attention to auto, which takes torch's SDPA here",
        )
    if recipe.liger and on_gpu:
        _check(
            "liger_kernel" in machine.packages,
            "Liger's kernels are not installed",
            "liger: true",
            "the package liger-kernel, on a machine with a GPU only: where it is, training on a CPU fails",
            "install it, or set liger to false",
        )
    if training_method(recipe.method).quantizes:
        _check(
            "bitsandbytes" in machine.packages,
            "The base model cannot be read in 4 bits here",
            f"method {recipe.method}",
            "the package bitsandbytes",
            "install it, or take method lora",
        )
    if recipe.optimizer == "paged_adamw_8bit" and on_gpu:
        _check(
            "bitsandbytes" in machine.packages,
            "The optimizer's moments cannot be kept in 8 bits here",
            "optimizer: paged_adamw_8bit",
            "the package bitsandbytes",
            "install it, or set optimizer to adamw_torch_fused",
        )
    if recipe.sharding in {"zero2", "zero3"}:
        _check(
            "deepspeed" in machine.packages,
            "DeepSpeed is not installed",
            f"sharding: {recipe.sharding}",
            "the package deepspeed",
            "install it, or set sharding to fsdp2",
        )
    if on_gpu and recipe.precision != "float32" and machine.capability is not None:
        _check(
            machine.capability >= BFLOAT16_SINCE,
            "The GPU does not compute in bfloat16",
            f"precision: {recipe.precision}, compute capability {machine.capability[0]}.{machine.capability[1]}",
            "precision float32, or a GPU of compute capability 8.0 (A100) or newer",
            "set precision to float32",
        )


def _check(possible: bool, what: str, value: str, allowed: str, next_step: str) -> None:
    if not possible:
        raise InvalidRequestError(what, value=value, allowed=allowed, next_step=next_step)
