"""A recipe that asks for what the machine lacks is refused with what it could ask for."""

import json
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


CHOOSES = """
import torch
from training import loading
from training.recipe import load_recipe
def answer(accelerator, *packages):
    torch.cuda.is_available = lambda: accelerator == "gpu"
    loading.installed_packages = lambda: frozenset(packages)
    recipe = load_recipe("demo-lora")
    return [loading.attention_of(recipe.model_copy(update={"precision": name})) for name in ("auto", "float32")]
"""


@pytest.mark.slow
def test_auto_chooses_sdpa_where_flash_attention_cannot_run():
    assert each_in_a_process(CHOOSES, ["cpu", "flash_attn"], ["gpu"], ["gpu", "flash_attn"]) == [
        ["sdpa", "sdpa"],
        ["sdpa", "sdpa"],
        ["flash_attention_2", "sdpa"],
    ]


REPEATS = """
import os
import torch
from training.loading import make_deterministic
def answer(accelerator, asked):
    torch.cuda.is_available = lambda: accelerator == "gpu"
    make_deterministic(7, on_gpu=asked)
    names = ("CUBLAS_WORKSPACE_CONFIG", "FLASH_ATTENTION_DETERMINISTIC")
    return [torch.are_deterministic_algorithms_enabled(), *map(os.environ.get, names)]
"""


@pytest.mark.slow
def test_bits_repeat_on_a_cpu_and_on_a_gpu_that_was_told_to():
    assert each_in_a_process(REPEATS, ["cpu", False], ["gpu", False], ["gpu", True]) == [
        [True, None, None],
        [False, None, None],
        [True, ":4096:8", "1"],
    ]


EACH = """
import json, os, sys
exec(sys.argv[1])
for arguments in json.loads(sys.argv[2]):
    if os.fork() == 0:
        print(json.dumps(answer(*arguments)), flush=True)
        os._exit(0)
    os.wait()
"""


def each_in_a_process(program: str, *calls: list[object]) -> list[object]:
    """The program's answer to each call, in a process of its own; torch's settings of this process stay as they are."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CUBLAS", "FLASH"))}
    done = subprocess.run(
        [sys.executable, "-c", EACH, program, json.dumps(calls)],
        cwd=REPOSITORY_ROOT, env={**environment, "PYTHONPATH": str(REPOSITORY_ROOT)},
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]
