"""A run's manifest tells inputs from environment, and its digests follow the numbers."""

import os

import pytest

from contracts.errors import InvalidDataError
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from training.plan import TrainingPlan
from training.run_manifest import (
    ENVIRONMENT,
    INPUTS,
    base_model_sha256,
    differences,
    keep_manifest,
    make_manifest,
    read_manifest,
    rows_sha256,
)


def rows(ids, labels=None):
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": ids, "labels": labels or ids})


@pytest.fixture
def manifest(planned, tmp_path):
    plan = TrainingPlan.model_validate_json(planned("manifest", base=tmp_path).plan.read_text())
    return make_manifest(plan, rows([[1, 2], [3]]), None)


def test_the_digest_of_rows_follows_numbers_lengths_and_order_not_the_types_width():
    import pyarrow as pa
    from datasets import Dataset

    first = rows_sha256(rows([[1, 2], [3]]), None)
    assert first == rows_sha256(rows([[1, 2], [3]]), None)
    narrow = pa.array([[1, 2], [3]], pa.list_(pa.int32()))
    assert first == rows_sha256(Dataset(pa.table({"input_ids": narrow, "labels": narrow})), None)
    others = [rows([[1], [2, 3]]), rows([[3], [1, 2]]), rows([[1, 2], [4]]), rows([[1, 2], [3]], [[1, -100], [3]])]
    assert len({first, *(rows_sha256(other, None) for other in others)}) == 5
    assert rows_sha256(rows([[1]]), None) != rows_sha256(rows([[1]]), rows([[1]]))


def test_every_field_is_an_input_an_environment_or_a_name(manifest):
    names = {"job_id", "job_name", "dataset_version", "dataset_hash", "base_model", "recipe_name", "started_at"}
    assert set(INPUTS) | set(ENVIRONMENT) | names == set(type(manifest).model_fields)


def test_a_changed_input_ends_the_job_and_a_changed_library_is_only_told(manifest, tmp_path, caplog):
    folder = JobFolder(tmp_path)
    assert keep_manifest(manifest, folder) == manifest
    newer = manifest.model_copy(update={"libraries": {**manifest.libraries, "torch": "9.9"}})
    assert keep_manifest(newer, folder) == manifest == read_manifest(folder)
    assert "another libraries.torch" in caplog.text
    other = manifest.model_copy(update={"dataset_files": {"train": "0" * 64}})
    with pytest.raises(InvalidDataError, match=r"dataset_files\.train"):
        keep_manifest(other, folder)


def test_differences_are_told_entry_by_entry(manifest):
    other = manifest.model_copy(update={"seed": 1, "recipe": {**manifest.recipe, "learning_rate": 0.5}})
    found = {part.name: (part.before, part.after) for part in differences(manifest, other, INPUTS)}
    assert found == {"seed": ("0", "1"), "recipe.learning_rate": ("0.005", "0.5")}


def test_a_base_model_is_known_by_its_bytes_and_remembered_by_its_files(tmp_path):
    model, cache = tmp_path / "model", tmp_path / "cache"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "notes.md").write_text("not part of it")
    first = base_model_sha256(model, cache)
    assert base_model_sha256(model, None) == first
    (remembered,) = (cache / "base_models").iterdir()
    remembered.write_text('{"sha256": "from the cache"}')
    assert base_model_sha256(model, cache) == "from the cache"
    (model / "model.safetensors").write_bytes(b"weightz")
    os.utime(model / "model.safetensors", ns=(1, 1))
    assert base_model_sha256(model, cache) not in {first, "from the cache"}


def test_a_job_that_began_before_recipes_had_an_option_goes_on(manifest, tmp_path):
    folder = JobFolder(tmp_path)
    keep_manifest(manifest, folder)
    before = manifest.model_dump(mode="json")
    del before["recipe"]["deterministic"]
    write_json_atomically(folder.manifest, before)
    assert keep_manifest(manifest, folder) == manifest
    asked = manifest.model_copy(update={"recipe": {**manifest.recipe, "deterministic": True}})
    with pytest.raises(InvalidDataError, match=r"recipe\.deterministic: False before, True now"):
        keep_manifest(asked, folder)


def test_a_manifest_says_whether_the_run_was_told_to_repeat_its_bits(manifest):
    assert manifest.recipe["deterministic"] is False
    assert manifest.hardware["deterministic"] in (True, False)
