"""A base model, a dataset version, and job folders with plans over them."""

from pathlib import Path

import pytest

from settings.encryption import use_encryption
from settings.model import Settings
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.training.tiny_model import make_base_model, make_dataset
from training.plan import TrainingPlan
from training.recipe import Recipe, load_recipe


@pytest.fixture(scope="module")
def base_model(tmp_path_factory) -> Path:
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("dataset") / "tiny")


@pytest.fixture(scope="module")
def planned(request, dataset, tmp_path_factory):
    """Makes a job folder with its plan; over the tiny base model, which is made only where it is needed."""
    root = tmp_path_factory.mktemp("jobs")
    use_encryption(Settings(data_dir=root))

    def plan(
        name: str, recipe: str = "demo-lora", base: Path | None = None, data: Path = dataset, seals=True, **numbers
    ):
        folder = JobFolder(root / name)
        base = base or request.getfixturevalue("base_model")
        changes = {"batch_size": 16, "num_epochs": 2, "warmup_steps": 2, "logging_steps": 1, "save_steps": 4}
        changes = {**load_recipe(recipe).model_dump(), **changes, "eval_steps": 8, **numbers}
        made = TrainingPlan(
            job_id=1,
            job_name=name,
            dataset_id=1,
            dataset_path=str(data),
            base_model="tiny",
            base_model_path=str(base),
            recipe_name=recipe,
            recipe=Recipe.model_validate(changes),
            num_gpus=1,
            seed=0,
            keep_checkpoints=2,
            seals_checkpoints=seals,
        )
        write_json_atomically(folder.plan, made.model_dump(mode="json"))
        return folder

    return plan
