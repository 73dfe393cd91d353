"""Which attempt a try of the task stands for, and what it leaves before it waits."""

import sys
from types import ModuleType
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from contracts.enums import JobState, StageName, StageStatus
from contracts.evaluation import EvaluateRequest
from operators import requests
from operators.runner_job_operator import REMEMBERED, CollectOperator, RunnerJobOperator
from tests.operators.conftest import FakeStore, submission

JOB = "evaluate-7"


@pytest.fixture
def stage(monkeypatch):
    """Stage evaluate, reduced to naming a job."""
    module: Any = ModuleType("stages.evaluate")
    module.create_job = lambda request, services: submission(JOB, request=request.model_dump(mode="json"))
    monkeypatch.setitem(sys.modules, "stages.evaluate", module)
    return module


@pytest.fixture
def operator(stage, runner, pipeline_run):
    return RunnerJobOperator(
        task_id="evaluate", stage=StageName.EVALUATE, request=lambda run: EvaluateRequest(job_id=7), num_gpus=1
    )


def deferral(operator, context):
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    return deferred.value


def clear(context):
    context["dag_run"].clear_number += 1


def test_its_slots_are_its_gpus():
    operator = RunnerJobOperator(task_id="train", stage=StageName.TRAIN, request=requests.train, num_gpus=2)
    assert (operator.pool, operator.pool_slots) == ("gpu", 2)


def test_it_hands_the_job_over_and_waits_without_a_worker(operator, context, runner, services):
    deferred = deferral(operator, context)
    assert deferred.trigger.serialize()[1]["job_key"] == JOB
    assert deferred.trigger.attempt == 1
    assert runner.state(JOB) == (1, JobState.QUEUED)
    with services.unit_of_work() as uow:
        (row,) = uow.pipeline_runs.get("run-1").stages
    assert (row.stage, row.status) == (StageName.EVALUATE, StageStatus.RUNNING)


def test_what_later_tasks_read_is_there_before_it_waits(operator, context, task_instance):
    deferral(operator, context)
    assert task_instance.pushed["return_value"]["job_key"] == JOB
    assert task_instance.pushed["job_key"] == JOB
    assert task_instance.pushed["_link_MlflowLink"].startswith("http")
    assert context["task_state_store"][REMEMBERED] == {"job_key": JOB, "attempt": 1, "clears": 0}


def test_a_worker_that_dies_between_remembering_and_handing_over_loses_nothing(operator, context):
    context["task_state_store"][REMEMBERED] = {"job_key": JOB, "attempt": 1, "clears": 0}
    assert deferral(operator, context).trigger.attempt == 1


def test_a_retry_goes_on_with_the_job_that_works(operator, context, runner):
    deferral(operator, context)
    runner.start(JOB)
    assert deferral(operator, context).trigger.attempt == 1
    assert not runner.stop_was_asked(JOB)


def test_a_retry_after_the_jobs_end_needs_no_second_wait(operator, context, runner, task_instance):
    deferral(operator, context)
    runner.start(JOB)
    runner.end(JOB, "succeeded")
    task_instance.pushed.clear()
    assert operator.execute(context) is None
    assert task_instance.pushed["return_value"]["attempt"] == 1


@pytest.mark.parametrize("state", ["lost", "failed"])
def test_a_retry_after_a_crash_is_the_next_attempt(operator, context, runner, state):
    deferral(operator, context)
    runner.start(JOB)
    runner.end(JOB, state)
    assert deferral(operator, context).trigger.attempt == 2
    assert runner.state(JOB) == (2, JobState.QUEUED)


def test_a_retry_that_cannot_help_is_not_made(operator, context, runner, services):
    deferral(operator, context)
    runner.start(JOB)
    wrong = {"code": "invalid_data", "what": "The file is empty", "value": None, "allowed": "", "next_step": ""}
    runner.end(JOB, "failed", error=wrong)
    with pytest.raises(AirflowFailException, match="The file is empty"):
        operator.execute(context)
    assert runner.state(JOB) == (1, JobState.FAILED)
    with services.unit_of_work() as uow:
        assert uow.pipeline_runs.get("run-1").stages[0].error["what"] == "The file is empty"


def test_a_job_that_somebody_stopped_is_not_begun_again_by_a_retry_but_by_a_clear(operator, context, runner):
    deferral(operator, context)
    runner.start(JOB)
    runner.end(JOB, "stopped")
    with pytest.raises(AirflowFailException, match="stopped"):
        operator.execute(context)
    assert runner.state(JOB) == (1, JobState.STOPPED)
    clear(context)
    assert deferral(operator, context).trigger.attempt == 2


def test_a_clear_tries_again_what_a_retry_would_not(operator, context, runner):
    deferral(operator, context)
    runner.start(JOB)
    runner.end(JOB, "failed", error={"code": "invalid_data", "what": "The file is empty"})
    clear(context)
    assert deferral(operator, context).trigger.attempt == 2


def test_a_clear_of_a_finished_job_is_a_new_attempt(operator, context, runner):
    deferral(operator, context)
    runner.start(JOB)
    runner.end(JOB, "succeeded")
    clear(context)
    assert deferral(operator, context).trigger.attempt == 2


def test_a_clear_while_the_job_works_stops_that_attempt_first(operator, context, runner, monkeypatch):
    deferral(operator, context)
    runner.start(JOB)
    clear(context)

    def launcher_obeys(_seconds):
        assert runner.stop_was_asked(JOB)
        runner.end(JOB, "stopped")

    monkeypatch.setattr("operators.runner_job_operator.time.sleep", launcher_obeys)
    assert deferral(operator, context).trigger.attempt == 2


def test_another_run_with_the_same_work_takes_part_in_it(operator, context, runner):
    deferral(operator, context)
    runner.start(JOB)
    other = {**context, "task_state_store": FakeStore()}
    assert deferral(operator, other).trigger.attempt == 1


def test_a_runner_that_is_away_is_worth_a_retry(operator, context, runner):
    runner.close()
    with pytest.raises(AirflowException, match="The runner does not answer") as raised:
        operator.execute(context)
    assert not isinstance(raised.value, AirflowFailException)


def test_killed_before_it_waits_it_ends_what_it_has_begun(operator, context, runner, monkeypatch):
    from stages.runner_client import RunnerClient

    submit = RunnerClient.submit

    def submit_then_die(self, job):
        submit(self, job)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunnerClient, "submit", submit_then_die)
    with pytest.raises(KeyboardInterrupt):
        operator.execute(context)
    operator.on_kill()
    assert runner.state(JOB) == (1, JobState.STOPPED)


def test_killed_after_it_found_a_job_at_work_it_leaves_it_alone(operator, context, runner):
    deferral(operator, context)
    runner.start(JOB)
    deferral(operator, context)
    operator.on_kill()
    assert not runner.stop_was_asked(JOB)


def test_a_state_store_that_is_absent_is_no_error(operator, context):
    del context["task_state_store"]
    assert deferral(operator, context).trigger.attempt == 1


def test_the_end_event_of_dag_test_is_understood(operator):
    operator.execute_complete({}, "success")
    with pytest.raises(AirflowException, match="failed"):
        operator.execute_complete({}, "failed")


def test_collecting_takes_the_job_of_whichever_task_ran(stage, services, pipeline_run, context, task_instance):
    from contracts.models import DeployRequest

    collected = []

    def collect(job_key, services):
        collected.append(job_key)
        return DeployRequest(model_id=3)

    stage.collect = collect
    task_instance.left = {"two_gpus": submission(JOB).model_dump(mode="json")}
    operator = CollectOperator(task_id="collect", stage=StageName.EVALUATE, job_tasks=["one_gpu", "two_gpus"])
    record = DeployRequest(model_id=3).model_dump(mode="json")
    assert operator.execute(context) == record
    assert collected == [JOB]
    with services.unit_of_work() as uow:
        (row,) = uow.pipeline_runs.get("run-1").stages
    assert (row.status, row.record) == (StageStatus.SUCCEEDED, record)


def test_collecting_without_a_job_says_what_to_clear(services, pipeline_run, context):
    operator = CollectOperator(task_id="collect", stage=StageName.EVALUATE, job_tasks=["evaluate"])
    with pytest.raises(AirflowFailException, match="clear the task of the job"):
        operator.execute(context)


def test_the_button_leads_to_the_runs_own_page_once_it_is_known(services):
    from operators.links import MlflowLink

    operator = CollectOperator(task_id="collect", stage=StageName.TRAIN, job_tasks=["train"])
    assert MlflowLink().get_link(operator, ti_key=None).endswith("/#/experiments")
    operator.mlflow_run_id = "abc"
    assert MlflowLink().get_link(operator, ti_key=None).endswith("/#/runs/abc")
