"""A stage as a task: its record, its row, its errors."""

import json
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from contracts.datasets import ImportRequest
from contracts.enums import StageName, StageStatus
from contracts.errors import UnavailableError
from operators.assets import DATASET_VERSIONS
from operators.stage_operator import StageOperator


@pytest.fixture
def inbox(services):
    folder = services.settings.data_dir / "inbox"
    folder.mkdir(parents=True)
    row = {"messages": [{"role": "user", "content": "통행료는?"}, {"role": "assistant", "content": "2,800원입니다."}]}
    (folder / "rows.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def operator(files, **changes):
    return StageOperator(
        task_id="import_dataset",
        stage=StageName.IMPORT_DATASET,
        request=lambda run: ImportRequest(dataset_name="tolls", input_files=files),
        **changes,
    )


def only_row(services):
    with services.unit_of_work() as uow:
        (row,) = uow.pipeline_runs.get("run-1").stages
    return row


def test_it_returns_the_stages_record_as_json_and_keeps_it_in_postgresql(inbox, services, pipeline_run, context):
    record = operator([str(inbox / "rows.jsonl")]).execute(context)
    assert record["total_rows"] == 1
    assert json.loads(json.dumps(record)) == record
    row = only_row(services)
    assert (row.stage, row.status) == (StageName.IMPORT_DATASET, StageStatus.SUCCEEDED)
    assert row.record == record


def test_running_it_again_gives_the_same_record(inbox, services, pipeline_run, context):
    task = operator([str(inbox / "rows.jsonl")])
    assert task.execute(context) == task.execute(context)


def test_a_users_mistake_fails_at_once_and_its_row_has_the_four_parts(inbox, services, pipeline_run, context):
    with pytest.raises(AirflowFailException, match="There is no such file") as raised:
        operator([str(inbox / "row.jsonl")]).execute(context)
    assert raised.value.__suppress_context__, "no traceback for a user's mistake"
    row = only_row(services)
    assert row.status is StageStatus.FAILED
    assert row.error is not None
    assert set(row.error) >= {"what", "value", "allowed", "next_step"}


def test_an_outage_is_tried_again(services, pipeline_run, context):
    def away(run):
        raise UnavailableError("PostgreSQL does not answer")

    task = StageOperator(task_id="t", stage=StageName.IMPORT_DATASET, request=away)
    with pytest.raises(AirflowException) as raised:
        task.execute(context)
    assert not isinstance(raised.value, AirflowFailException)


def test_a_bug_keeps_its_own_traceback_and_leaves_its_row(services, pipeline_run, context):
    def broken(run):
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError):
        StageOperator(task_id="t", stage=StageName.IMPORT_DATASET, request=broken).execute(context)
    row = only_row(services)
    assert row.error is not None
    assert row.error["what"] == "ZeroDivisionError: by zero"


def test_postgresql_being_away_does_not_hide_the_first_error(services, pipeline_run, context, monkeypatch):
    def break_the_door(run):
        monkeypatch.setattr(type(services), "unit_of_work", _away)
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError) as raised:
        StageOperator(task_id="t", stage=StageName.IMPORT_DATASET, request=break_the_door).execute(context)
    assert any("pipeline_stages could not be told" in note for note in raised.value.__notes__)


def _away(self):
    raise UnavailableError("PostgreSQL does not answer")


def test_a_stage_that_is_run_again_after_the_runs_end_opens_the_run_again(inbox, services, pipeline_run, context):
    with services.unit_of_work() as uow:
        uow.pipeline_runs.finish("run-1")
    operator([str(inbox / "rows.jsonl")]).execute(context)
    with services.unit_of_work() as uow:
        assert uow.pipeline_runs.get("run-1").finished_at is None


def test_an_asset_event_carries_the_immutable_ids(inbox, services, pipeline_run, context):
    event = SimpleNamespace(extra={})
    context["outlet_events"] = {DATASET_VERSIONS: event}
    from contracts.models import RegisterRequest
    from operators.stage_operator import tell_assets

    tell_assets(context, [DATASET_VERSIONS], RegisterRequest(job_id=4, evaluation_id=2, model_name="m"))
    assert event.extra == {"job_id": 4, "model_name": "m"}
