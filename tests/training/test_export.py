"""Recipes in the words of other trainers, held against those trainers' own schemas.

Where a trainer is installed (AXOLOTL_PACKAGES, LLAMAFACTORY_PACKAGES: a folder of packages to put before the
path, as `pip install --no-deps --target` makes it), its own schema judges the configuration; elsewhere the list of its
settings, which was taken from that schema.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY_ROOT
from training.export import axolotl, llamafactory
from training.export.run import ExportedRun
from training.recipe import load_recipe, recipe_names

NAMES = Path(__file__).parent / "other_trainers"
SUPERVISED = [name for name in recipe_names() if load_recipe(name).objective == "sft"]
AXOLOTL_SCHEMA = (
    "import sys, yaml; from axolotl.utils.schemas.config import AxolotlInputConfig as Schema\n"
    "for path in sys.argv[1:]: Schema.model_validate(yaml.safe_load(open(path)))"
)
LLAMAFACTORY_SCHEMA = (
    "import os, sys, yaml; os.environ['DISABLE_VERSION_CHECK'] = '1'\n"
    "from llamafactory.hparams.parser import _parse_train_args\n"
    "for path in sys.argv[1:]: _parse_train_args({**yaml.safe_load(open(path)), 'use_cpu': True})"
)


@pytest.fixture
def run(tmp_path):
    return ExportedRun(base_model_path="/models/tiny", folder=tmp_path, num_gpus=2, seed=3, validates=True)


def settings_of(trainer):
    lines = (NAMES / f"{trainer}.txt").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("name", SUPERVISED)
def test_every_recipe_is_told_in_settings_that_the_other_trainers_have(run, name):
    recipe = load_recipe(name)
    assert set(axolotl.axolotl_config(recipe, run)) <= settings_of("axolotl")
    assert set(llamafactory.llamafactory_config(recipe, run)) <= settings_of("llamafactory")


def test_the_numbers_of_the_recipe_arrive(run):
    recipe = load_recipe("demo-qlora").model_copy(update={"packing": True, "learning_rate": 3e-4})

    told = axolotl.axolotl_config(recipe, run)
    assert (told["adapter"], told["load_in_4bit"], told["lora_r"]) == ("qlora", True, recipe.lora_rank)
    assert (told["sample_packing"], told["learning_rate"], told["seed"]) == (True, 3e-4, 3)
    assert told["datasets"][0]["roles_to_train"] == ["assistant"]

    told = llamafactory.llamafactory_config(recipe, run)
    assert (told["finetuning_type"], told["quantization_bit"], told["lora_rank"]) == ("lora", 4, recipe.lora_rank)
    assert (told["neat_packing"], told["learning_rate"], told["seed"]) == (True, 3e-4, 3)
    files = {entry["file_name"] for entry in llamafactory.dataset_list(run).values()}
    assert files == {"train.jsonl", "validation.jsonl"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer", "write", "schema"),
    [
        ("axolotl", axolotl.axolotl_config, AXOLOTL_SCHEMA),
        ("llamafactory", llamafactory.llamafactory_config, LLAMAFACTORY_SCHEMA),
    ],
)
def test_the_other_trainer_takes_every_recipe(run, tmp_path, trainer, write, schema):
    packages = os.environ.get(f"{trainer.upper()}_PACKAGES")
    if packages is None and importlib.util.find_spec(trainer) is None:
        pytest.skip(f"{trainer} is not installed: set {trainer.upper()}_PACKAGES to a folder that holds it")
    paths = []
    for name in SUPERVISED:
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(yaml.safe_dump(write(load_recipe(name), run)))
    done = subprocess.run(
        [sys.executable, "-c", schema, *map(str, paths)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([packages or "", str(REPOSITORY_ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
