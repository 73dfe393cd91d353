"""Disk: counted from the shapes in the model's files."""

import pytest

from contracts.errors import CapacityError
from tests.training.test_base_model import roots  # noqa: F401 - a fixture
from training.fitting.disk import Retention, check_disk, checkpoint_bytes, estimate_disk, trainable_parameters
from training.recipe import load_recipe


@pytest.fixture
def folder(roots):  # noqa: F811
    return roots[0] / "Qwen" / "Tiny"


def test_trained_numbers_are_counted_from_the_shapes_in_the_files(folder):
    lora = load_recipe("demo-lora").model_copy(update={"lora_rank": 2})
    full = load_recipe("demo-full")
    assert trainable_parameters(folder, lora) == 2 * (8 + 4)
    assert trainable_parameters(folder, full) == 40 + 32 + 4
    assert checkpoint_bytes(folder, full) == 76 * 12


def test_kept_checkpoints_the_best_one_being_written_and_the_output_are_counted(folder, tmp_path):
    disk = estimate_disk(tmp_path, folder, load_recipe("demo-full"), Retention(newest=3, best=2, min_free_gb=1))
    beside = sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".safetensors")
    assert disk.checkpoints == 3 + 2 + 1
    assert disk.needed_bytes == 6 * 76 * 12 + 76 * 4 + beside
    assert disk.merged_bytes == 0
    assert disk.reserve_bytes == 10**9
    lora = estimate_disk(tmp_path, folder, load_recipe("demo-lora"), Retention(3, 1, 1))
    assert lora.merged_bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_a_disk_that_is_too_small_is_refused_before_the_job(folder, tmp_path):
    with pytest.raises(CapacityError, match="too small"):
        check_disk(tmp_path, folder, load_recipe("demo-lora"), Retention(3, 1, min_free_gb=1e9))
