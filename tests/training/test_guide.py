"""The developer guide's method, added exactly as the page says, trains."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from contracts.training import TrainingReport
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.conftest import REPOSITORY_ROOT
from tests.training.test_finetuning import RUN, losses
from tests.training.tiny_model import make_base_model, make_dataset
from training.recipe import load_recipe

GUIDE = REPOSITORY_ROOT / "docs" / "guides" / "add_a_method.md"
PACKAGES = ("contracts", "settings", "storage", "training")
PLAN = (
    "import sys; from pathlib import Path; from training.plan import TrainingPlan; from training.recipe import load_recipe;"
    "from storage.files import read_json, write_json_atomically; path = Path(sys.argv[1]); plan = read_json(path);"
    "plan['recipe'] = {**load_recipe('demo-ia3').model_dump(mode='json'), **plan['recipe']};"
    "write_json_atomically(path, TrainingPlan.model_validate(plan).model_dump(mode='json'))"
)


@pytest.mark.slow
def test_the_guides_method_is_one_file_and_one_line_and_trains(tmp_path):
    page = GUIDE.read_text(encoding="utf-8")
    method, line, recipe = re.findall(r"```(?:python|yaml)\n(.*?)```", page, flags=re.DOTALL)
    copy = tmp_path / "repository"
    for package in PACKAGES:
        shutil.copytree(REPOSITORY_ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "training" / "methods" / "ia3.py").write_text(method, encoding="utf-8")
    enums = copy / "contracts" / "enums.py"
    before = '    FULL = "full"\n'
    text = enums.read_text(encoding="utf-8")
    assert text.count(before) == 1
    enums.write_text(text.replace(before, before + line), encoding="utf-8")
    (copy / "training" / "recipes" / "demo-ia3.yaml").write_text(recipe, encoding="utf-8")

    folder = JobFolder(tmp_path / "job")
    folder.root.mkdir()
    write_json_atomically(
        folder.plan,
        {
            "job_id": 1,
            "job_name": "guide",
            "dataset_id": 1,
            "dataset_path": str(make_dataset(tmp_path / "dataset")),
            "base_model": "tiny",
            "base_model_path": str(make_base_model(tmp_path / "tiny")),
            "recipe_name": "demo-ia3",
            "recipe": {"num_epochs": 2, "batch_size": 16, "logging_steps": 1, "save_steps": 8, "eval_steps": 8},
            "num_gpus": 1,
            "seed": 0,
            "keep_checkpoints": 1,
        },
    )
    environment = {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for code, argument in ((PLAN, folder.plan), (RUN, folder.root)):
        done = subprocess.run(
            [sys.executable, "-c", code, str(argument)],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
    record = json.loads(folder.result.read_text(encoding="utf-8"))
    assert record["method"] == "ia3"
    assert record["steps"] == 24
    curve = [loss for _, loss in losses(folder)]
    assert sum(curve[-6:]) < sum(curve[:6]) - 0.05  # three vectors in 24 steps: little, and the same every time
    assert (folder.output / "model.safetensors").exists()
    assert not (folder.output / "adapter_config.json").exists()
    assert set(TrainingReport.model_fields) == set(record)
    assert load_recipe("demo-lora").method == "lora"
