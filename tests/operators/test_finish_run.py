"""The last task: no row of a run that has ended says that something is still going on."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from contracts.enums import StageName, StageStatus
from operators.finish_run import FinishRunOperator, stages_of_tasks
from tests.collector import collecting

TASKS = [
    SimpleNamespace(task_id="validate_request"),
    SimpleNamespace(task_id="import_dataset", stage=StageName.IMPORT_DATASET),
    SimpleNamespace(task_id="train", stage=StageName.TRAIN),
    SimpleNamespace(task_id="train_two_gpus", stage=StageName.TRAIN),
    SimpleNamespace(task_id="register", stage=StageName.REGISTER),
]


@pytest.fixture
def finish(context, task_instance):
    context["dag"] = SimpleNamespace(tasks=TASKS)

    def execute(**states):
        task_instance.states = states
        FinishRunOperator(task_id="finish_run").execute(context)

    return execute


def rows(services):
    with services.unit_of_work() as uow:
        run = uow.pipeline_runs.get("run-1")
    return run, {state.stage: state for state in run.stages}


def test_a_stage_is_worked_on_by_every_task_that_carries_it():
    assert stages_of_tasks(TASKS)[StageName.TRAIN] == ["train", "train_two_gpus"]


def test_a_run_that_went_well_is_closed(finish, services, pipeline_run):
    finish(validate_request="success", import_dataset="success")
    assert rows(services)[0].finished_at is not None


def test_a_failed_task_makes_the_run_fail_and_is_named(finish, services, pipeline_run):
    with pytest.raises(AirflowFailException, match=r"failed at: train\."):
        finish(validate_request="success", train="failed", register="upstream_failed")
    assert rows(services)[0].finished_at is not None


def test_a_stage_that_a_person_has_ended_is_not_left_running(finish, services, pipeline_run):
    with services.unit_of_work() as uow:
        uow.pipeline_runs.stage_started("run-1", StageName.TRAIN)
    with pytest.raises(AirflowFailException):
        finish(train="failed", train_two_gpus="skipped")
    state = rows(services)[1][StageName.TRAIN]
    assert state.status is StageStatus.FAILED
    assert state.error is not None
    assert state.error["code"] == "interrupted"


def test_what_was_skipped_says_so(finish, services, pipeline_run):
    finish(import_dataset="skipped", train="success", train_two_gpus="skipped", register="skipped")
    states = rows(services)[1]
    assert states[StageName.IMPORT_DATASET].status is StageStatus.SKIPPED
    assert states[StageName.REGISTER].status is StageStatus.SKIPPED
    assert StageName.TRAIN not in states


def test_what_was_never_reached_because_of_a_failure_is_not_called_skipped(finish, services, pipeline_run):
    with pytest.raises(AirflowFailException):
        finish(import_dataset="failed", train="upstream_failed", train_two_gpus="upstream_failed")
    assert StageName.TRAIN not in rows(services)[1]


def test_a_run_whose_request_was_refused_has_no_row_to_close(finish, services):
    with pytest.raises(AirflowFailException, match="validate_request"):
        finish(validate_request="failed")


def test_where_a_site_collects_traces_the_run_is_told_once_its_rows_are_closed(
    finish, services, pipeline_run, monkeypatch
):
    with services.unit_of_work() as uow:
        uow.pipeline_runs.stage_started("run-1", StageName.TRAIN)
    with collecting() as collector:
        monkeypatch.setenv("TUNEWAY_TRACES_URL", collector.url)
        with pytest.raises(AirflowFailException):
            finish(train="failed")
        spans = collector.wait_for(2)
    assert spans["train"].parent_span_id == spans["finetune_pipeline"].span_id
    assert spans["finetune_pipeline"].status.message == "failed at train"
