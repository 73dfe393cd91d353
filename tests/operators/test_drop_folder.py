"""Files that are dropped: each starts a run, at least once, and none twice while its run is known."""

import os
import time
from types import SimpleNamespace

import pytest

from contracts.errors import InvalidRequestError
from operators.drop_folder import INPUT_FILES, DropFolderTrigger, asked_values, request_of, waiting_files

pytestmark = pytest.mark.slow


@pytest.fixture
def drop(services):
    """Put a file into the drop folder, settled or fresh."""
    folder = services.settings.drop_dir
    folder.mkdir(parents=True)

    def put(name: str, *, seconds_ago: float = 0.0):
        path = folder / name
        path.write_text("질문,답변\n언제 엽니까?,아홉 시에 엽니다.\n", encoding="utf-8")
        if seconds_ago:
            os.utime(path, (time.time() - seconds_ago,) * 2)
        return path

    return put


def event(**extra):
    return SimpleNamespace(extra=extra)


async def test_a_settled_file_is_taken_and_asks_for_the_dataset_of_its_name(services, drop):
    path = drop("tolls__2026-11.csv")

    fired = await anext(DropFolderTrigger(poll_seconds=0.1, settled_seconds=0).run())

    (taken,) = fired.payload["input_files"]
    assert fired.payload["dataset_name"] == "tolls"
    assert not path.exists()
    assert "/auto/taken/" in taken


def test_a_file_that_is_still_written_is_left_alone(services, drop):
    path = drop("tolls.csv")

    assert waiting_files(settled_seconds=60) == []
    assert path.exists()


def test_a_taken_file_waits_until_a_run_is_asked_to_import_it(services, drop):
    drop("tolls.csv")
    (taken,) = waiting_files(settled_seconds=0)
    assert waiting_files(settled_seconds=0) == [taken]

    with services.unit_of_work() as uow:
        uow.pipeline_runs.start("prepare_dataset/1", "prepare_dataset", {"input_files": [str(taken)]})
        uow.pipeline_runs.start("deploy_model/1", "deploy_model", {"model_id": 3})

    assert waiting_files(settled_seconds=0) == []


def test_a_name_without_a_dataset_is_told(tmp_path):
    with pytest.raises(InvalidRequestError, match="does not tell which dataset"):
        request_of(tmp_path / "요금.csv")


def test_a_run_by_hand_is_asked_by_its_parameters():
    context = {"params": {"dataset_name": "hand"}, "triggering_asset_events": {}}

    assert asked_values(context) == {"dataset_name": "hand"}


def test_files_of_one_dataset_that_came_together_are_one_request():
    events = [
        event(from_trigger=True, payload={"dataset_name": "tolls", "input_files": ["/in/a.csv"]}),
        event(from_trigger=True, payload={"dataset_name": "tolls", "input_files": ["/in/b.csv"]}),
        event(dataset_name="roads", input_files=["/in/c.csv"]),
    ]
    context = {"params": {"dataset_name": "demo"}, "triggering_asset_events": {INPUT_FILES: events}}

    assert asked_values(context) == {"dataset_name": "tolls", "input_files": ["/in/a.csv", "/in/b.csv"]}


def test_an_event_of_a_program_is_the_request():
    events = [event(dataset_name="roads", input_files=["/in/c.csv"], seed=3)]

    asked = asked_values({"params": {}, "triggering_asset_events": {INPUT_FILES: events}})

    assert asked == {"dataset_name": "roads", "input_files": ["/in/c.csv"], "seed": 3}


def test_the_trigger_is_made_again_from_its_description():
    path, values = DropFolderTrigger(poll_seconds=3, settled_seconds=7).serialize()

    assert path == "operators.drop_folder.DropFolderTrigger"
    assert DropFolderTrigger(**values).serialize() == (path, values)
