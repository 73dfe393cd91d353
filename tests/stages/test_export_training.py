"""A request becomes a folder that another trainer runs."""

import json
from pathlib import Path

import pytest
import yaml

from contracts.errors import ConflictError, InvalidRequestError
from stages.export_training import export_training
from tests.training.tiny_model import make_base_model, tiny_request

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def request_here(services, tmp_path):
    return tiny_request(services, make_base_model(tmp_path / "base"), "exported", recipe="demo-lora")


@pytest.mark.parametrize("trainer", ["axolotl", "llamafactory"])
def test_the_folder_holds_all_that_the_trainer_reads(services, request_here, tmp_path, trainer):
    exported = export_training(request_here, trainer, tmp_path / "out", services)

    config = yaml.safe_load(Path(exported.config).read_text(encoding="utf-8"))
    assert exported.config in exported.command
    model = Path(config["base_model" if trainer == "axolotl" else "model_name_or_path"])
    assert (model / "config.json").is_file()
    if trainer == "axolotl":
        files = [Path(entry["path"]) for entry in (*config["datasets"], *config["test_datasets"])]
    else:
        listed = json.loads((Path(config["dataset_dir"]) / "dataset_info.json").read_text())
        files = [Path(config["dataset_dir"]) / listed[config[key]]["file_name"] for key in ("dataset", "eval_dataset")]
    counts = [len(file.read_text(encoding="utf-8").splitlines()) for file in files]
    assert counts == [192, 32]
    first = json.loads(files[0].read_text(encoding="utf-8").splitlines()[0])
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]


def test_nothing_is_written_over_and_only_known_trainers_are_served(services, request_here, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ConflictError, match="The folder exists"):
        export_training(request_here, "axolotl", tmp_path / "there", services)
    with pytest.raises(InvalidRequestError, match="axolotl, llamafactory"):
        export_training(request_here, "unsloth", tmp_path / "new", services)
    assert not (tmp_path / "new").exists()
