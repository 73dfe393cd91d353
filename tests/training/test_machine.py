"""A recipe that asks for what the machine lacks is refused with what it could ask for."""

import os
import subprocess
import sys

import pytest

from contracts.errors import InvalidRequestError
from tests.conftest import REPOSITORY_ROOT
from training.machine import OPTIONAL_PACKAGES, Machine, check_machine
from training.recipe import Recipe, load_recipe, recipe_names

ALL = frozenset(OPTIONAL_PACKAGES)
CPU = Machine(0, None, ALL)
H100 = Machine(2, (9, 0), ALL)


def without(package: str, machine: Machine = H100) -> Machine:
    return Machine(machine.gpus, machine.capability, machine.packages - {package})


def recipe_of(method: str = "lora", **options) -> Recipe:
    return Recipe.model_validate({**load_recipe(f"demo-{method}").model_dump(), "precision": "auto", **options})


FLASH = {"attention": "flash_attention_2"}
EIGHT_BITS = {"optimizer": "paged_adamw_8bit"}


@pytest.mark.parametrize(
    ("recipe", "machine", "allowed", "next_step"),
    [
        (recipe_of(**FLASH), CPU, "a GPU, the package flash_attn", "set attention to auto"),
        (recipe_of(**FLASH), without("flash_attn"), "the package flash_attn", "set attention to auto"),
        (recipe_of(**FLASH, precision="float32"), H100, "a precision other than float32", "set attention to auto"),
        (recipe_of(liger=True), without("liger_kernel"), "the package liger-kernel", "set liger to false"),
        (recipe_of("qlora"), without("bitsandbytes"), "the package bitsandbytes", "take method lora"),
        (recipe_of("qlora"), without("bitsandbytes", CPU), "the package bitsandbytes", "take method lora"),
        (recipe_of(**EIGHT_BITS), without("bitsandbytes"), "the package bitsandbytes", "adamw_torch_fused"),
        (recipe_of("full", sharding="zero2"), without("deepspeed"), "the package deepspeed", "sharding to fsdp2"),
        (recipe_of(), Machine(1, (7, 5), ALL), "compute capability 8.0", "set precision to float32"),
        (recipe_of("full", precision="mixed"), Machine(1, (7, 0), ALL), "compute capability 8.0", "float32"),
    ],
)
def test_what_is_missing_is_named_with_what_is_allowed(recipe, machine, allowed, next_step):
    with pytest.raises(InvalidRequestError) as refused:
        check_machine(recipe, machine)
    assert allowed in refused.value.allowed
    assert next_step in refused.value.next_step
    assert refused.value.value


@pytest.mark.parametrize(
    ("recipe", "machine"),
    [
        (recipe_of(), CPU),
        (recipe_of(), Machine(0, None)),
        (recipe_of(liger=True), Machine(0, None)),  # a CPU does without
        (recipe_of(**EIGHT_BITS), Machine(0, None)),  # a CPU takes torch's AdamW
        (recipe_of(precision="bfloat16"), CPU),
        (recipe_of(precision="float32"), Machine(1, (7, 5))),
        (recipe_of(**FLASH), H100),
        (recipe_of("qlora"), H100),
        (recipe_of(), Machine(1, None)),  # a driver that does not tell
    ],
)
def test_what_can_run_is_let_through(recipe, machine):
    check_machine(recipe, machine)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_ours_runs_on_the_customers_cards(name):
    check_machine(load_recipe(name), H100)


CHOOSES = (
    "import sys, torch; from training import loading; from training.recipe import load_recipe;"
    "torch.cuda.is_available = lambda: sys.argv[1] == 'gpu';"
    "loading.installed_packages = lambda: frozenset(sys.argv[2:]);"
    "print(*(loading.attention_of(load_recipe('demo-lora').model_copy(update={'precision': precision}))"
    " for precision in ('auto', 'float32')))"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("machine", "chosen"),
    [
        (["cpu", "flash_attn"], "sdpa sdpa"),
        (["gpu"], "sdpa sdpa"),
        (["gpu", "flash_attn"], "flash_attention_2 sdpa"),
    ],
)
def test_auto_chooses_sdpa_where_flash_attention_cannot_run(machine, chosen):
    assert in_a_process(CHOOSES, *machine) == chosen


REPEATS = (
    "import os, sys, torch; from training.loading import make_deterministic;"
    "torch.cuda.is_available = lambda: sys.argv[1] == 'gpu';"
    "make_deterministic(7, on_gpu=sys.argv[2] == 'True');"
    "print(torch.are_deterministic_algorithms_enabled(), os.environ.get('CUBLAS_WORKSPACE_CONFIG'),"
    " os.environ.get('FLASH_ATTENTION_DETERMINISTIC'))"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("machine", "asked", "found"),
    [
        ("cpu", False, "True None None"),
        ("gpu", False, "False None None"),
        ("gpu", True, "True :4096:8 1"),
    ],
)
def test_bits_repeat_on_a_cpu_and_on_a_gpu_that_was_told_to(machine, asked, found):
    assert in_a_process(REPEATS, machine, str(asked)) == found


def in_a_process(program: str, *arguments: str) -> str:
    """What it prints; torch's settings of this process stay as they are."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CUBLAS", "FLASH"))}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=REPOSITORY_ROOT, env={**environment, "PYTHONPATH": str(REPOSITORY_ROOT)},
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout.strip()
