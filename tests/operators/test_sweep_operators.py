"""A trial as a task: asked for once, followed, stopped when it falls behind, given up only after the last try."""

import json
from types import SimpleNamespace

import pytest

from contracts.enums import TrialState
from contracts.sweeps import SweepRequest
from operators.sweep_operators import FinishSweepOperator, StartSweepOperator, TrialOperator, TrialTrigger
from stages.runner_client import AsyncRunnerClient
from stages.services import open_services
from stages.tune_hyperparameters import show_sweep
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.ports import free_port
from tests.stages.test_tune_hyperparameters import report_of
from tests.training.tiny_model import make_base_model, tiny_request

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def sweep(runner, services, base_model, context, task_instance, monkeypatch):
    """A sweep that was begun, as its tasks see it."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    tiny_request(services, base_model)
    request = SweepRequest.model_validate(
        {
            "sweep_name": "rates",
            "dataset_id": 1,
            "base_model": "tiny",
            "search_space": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
            "trials": 3,
            "evaluations_per_trial": 4,
        }
    )
    task_instance.dag_id = "tune_hyperparameters"
    task_instance.max_tries = 2
    task_instance.left["validate_request"] = request.model_dump(mode="json")
    with services.unit_of_work() as uow:
        uow.pipeline_runs.start("tune_hyperparameters/run-1", "tune_hyperparameters", {})
    slots = StartSweepOperator(task_id="start_sweep").execute(context)
    assert slots == [0, 1, 2]
    return SimpleNamespace(context=context, task_instance=task_instance, runner=runner, services=open_services())


def begin(sweep, slot):
    """The trigger of a task that has handed its trial over; None where there was nothing to hand over."""
    from airflow.sdk.exceptions import TaskDeferred

    sweep.context["task_state_store"].clear()
    operator = TrialOperator(task_id="run_trial", num_gpus=1, slot=slot)
    try:
        operator.execute(sweep.context)
    except TaskDeferred as deferred:
        path, values = deferred.trigger.serialize()
        assert path.endswith("sweep_operators.TrialTrigger")
        return TrialTrigger(**{**values, "poll_seconds": 0.05})
    return None


def measure(sweep, job_key, losses):
    """The job writes its losses."""
    lines = [json.dumps({"step": 10 * number, "eval_loss": loss}) for number, loss in enumerate(losses, start=1)]
    JobFolder(sweep.services.settings.jobs_dir / job_key).metrics.write_text("\n".join(lines) + "\n")


def succeed(sweep, trigger, loss):
    trial = SimpleNamespace(
        number=trigger.number,
        submission=SimpleNamespace(job_key=trigger.job_key, finetuning_job_id=int(trigger.job_key.split("-")[1])),
    )
    folder = JobFolder(sweep.services.settings.jobs_dir / trigger.job_key)
    write_json_atomically(folder.result, report_of(trial, sweep.services, loss))
    sweep.runner.end(trigger.job_key, "succeeded")


async def event_of(trigger):
    return [type(event).__name__ async for event in trigger.run()]


async def test_a_trial_that_falls_behind_is_stopped_and_its_task_is_green(sweep):
    first = begin(sweep, 0)
    measure(sweep, first.job_key, [1.0, 0.5])
    succeed(sweep, first, 0.5)
    assert await event_of(first) == ["TaskSuccessEvent"]

    second = begin(sweep, 1)
    assert (second.number, second.job_key) == (1, "train-2")
    sweep.runner.start(second.job_key)
    measure(sweep, second.job_key, [7.0])
    async with AsyncRunnerClient(sweep.services.settings) as client:
        await second._seen(client, await client.view(second.job_key))
    assert sweep.runner.stop_was_asked(second.job_key)
    sweep.runner.end(second.job_key, "stopped")
    assert await event_of(second) == ["TaskSuccessEvent"]
    states = [trial.state for trial in show_sweep("rates", sweep.services).trials]
    assert states == [TrialState.COMPLETED, TrialState.PRUNED]

    # tried again, the slot's trial is over
    assert begin(sweep, 1) is None


async def test_a_trial_whose_processes_vanish_is_tried_again_and_given_up_after_the_last_try(sweep):
    trigger = begin(sweep, 0)
    sweep.runner.end(trigger.job_key, "lost")
    assert await event_of(trigger) == ["TaskFailedEvent"]
    assert show_sweep("rates", sweep.services).trials[0].state is TrialState.RUNNING

    sweep.task_instance.try_number = 3
    last = begin(sweep, 0)
    assert (last.number, last.job_key, last.attempt, last.may_retry) == (0, trigger.job_key, 2, False)
    sweep.runner.end(last.job_key, "lost", attempt=2)
    assert await event_of(last) == ["TaskSuccessEvent"]
    (trial,) = show_sweep("rates", sweep.services).trials
    assert trial.state is TrialState.FAILED
    assert trial.reason


async def test_a_trial_that_cannot_do_better_is_given_up_at_once(sweep):
    trigger = begin(sweep, 0)
    sweep.runner.end(
        trigger.job_key, "failed", error={"code": "invalid_request", "what": "Nothing is left to learn after cutting"}
    )
    assert await event_of(trigger) == ["TaskSuccessEvent"]
    (trial,) = show_sweep("rates", sweep.services).trials
    assert (trial.state, "Nothing is left" in str(trial.reason)) == (TrialState.FAILED, True)


async def test_the_report_names_the_best_trial_and_its_recipe(sweep):
    for slot, loss in enumerate([0.9, 0.4]):
        trigger = begin(sweep, slot)
        succeed(sweep, trigger, loss)
        await event_of(trigger)
    answer = FinishSweepOperator(task_id="finish_sweep").execute(sweep.context)
    assert (answer["recipe"], answer["best_trials"]) == ("rates", [1])
    assert "완료 2" in str(answer["report"])
    with sweep.services.unit_of_work() as uow:
        (stage,) = uow.pipeline_runs.get("tune_hyperparameters/run-1").stages
    assert stage.record is not None
    assert stage.record["best"] == [1]
