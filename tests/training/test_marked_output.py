"""What a run leaves is marked, whole, and the same to the last bit however often its end is repeated."""

import shutil

import pytest
from safetensors.numpy import load_file

from security.watermark.detecting import detect_mark
from security.watermark.marking import mark_folder
from storage.files import read_json
from training.finetuning import finetune
from training.plan import TrainingPlan
from training.safetensors_files import sha256_of_weights

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

KEY = b"the key of a test, 32 bytes long"


def mark(folder):
    return mark_folder(folder, KEY, "test")


@pytest.mark.deep
def test_a_run_killed_while_it_marked_ends_with_the_very_weights_and_checkpoints_stay_unmarked(planned):
    folder = planned("marked", seals=False, num_epochs=1)
    plan = TrainingPlan.model_validate(read_json(folder.plan))
    first = finetune(plan, folder, None, mark)
    assert first.watermark is not None
    assert first.watermark.tensors > 0
    assert first.weights_sha256 == sha256_of_weights(folder.output)
    assert detect_mark(folder.output, KEY).z == first.watermark.z > 3

    # as after a kill between the saving and the last rename: a part of a marked folder, under its temporary name
    left = folder.output.with_name(f".{folder.output.name}.0.tmp")
    shutil.copytree(folder.output, left)
    shutil.rmtree(folder.output)
    again = finetune(plan, folder, None, mark)
    assert (again.weights_sha256, again.watermark) == (first.weights_sha256, first.watermark)
    assert not left.exists()

    newest = sorted(folder.checkpoints.glob("checkpoint-*"))[-1]
    unmarked, marked = (load_file(path / "adapter_model.safetensors") for path in (newest, folder.output))
    assert unmarked.keys() == marked.keys()
    assert abs(detect_mark(newest, KEY).z) < 4
    assert detect_mark(newest, KEY).z < first.watermark.z - 1
