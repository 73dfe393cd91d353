"""A sweep, trained for real: trials that fall behind are stopped, killed ones go on, the best becomes a recipe."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from contracts.enums import JobState, JobStatus, Method, Sampler, SweepMetric, TrialState
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.sweeps import SweepReport, SweepRequest
from contracts.training import Hyperparameters
from settings import SecretName, load_settings
from stages.services import open_services
from stages.tune_hyperparameters import (
    TrialWatch,
    begin_trial,
    check_request,
    end_trial,
    finish_sweep,
    give_up_trial,
    list_sweeps,
    show_sweep,
    start_sweep,
    tune_hyperparameters,
)
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from storage.processes import attempt_mark, kill_attempt, processes_of_attempt
from tests.ports import free_port
from tests.runner.conftest import TOKEN, RunnerProcess, wait_until
from tests.training.tiny_model import make_base_model, tiny_request
from training.recipe import resolve_recipe

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def sweep_services(services, base_model, monkeypatch):
    """An installation with a dataset version and a base model, without runner and MLflow."""
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    opened = open_services(load_settings())
    tiny_request(opened, base_model)
    return opened


@pytest.fixture
def running(sweep_services, mlflow_server, monkeypatch) -> Iterator[RunnerProcess]:
    """The same with a runner and MLflow."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    settings = load_settings()
    settings.secrets_dir.mkdir(parents=True)
    (settings.secrets_dir / SecretName.RUNNER_TOKEN.value).write_text(TOKEN)
    process = RunnerProcess(settings)
    process.start()
    yield process
    process.end(signal.SIGKILL)
    for folder in settings.jobs_dir.iterdir():
        for attempt in folder.glob("attempt-*"):
            kill_attempt(attempt_mark(folder, int(attempt.name.removeprefix("attempt-"))))


def sweep_request(**changes):
    values = {
        "sweep_name": "rates",
        "dataset_id": 1,
        "base_model": "tiny",
        "search_space": {
            "learning_rate": {"choices": [2e-3, 1e-6]},
            "batch_size": {"choices": [16]},
            "num_epochs": {"choices": [10]},
        },
        "sampler": Sampler.RANDOM,
        "trials": 2,
        "evaluations_per_trial": 6,
        "seed": GOOD_FIRST,
        **changes,
    }
    return SweepRequest.model_validate(values)


GOOD_FIRST = 4
"""A seed of which the first trial takes the learning rate that learns, and the second the one that does not."""


def begun_trial(services, slot):
    """The slot's trial, which the sweep's time still allows."""
    trial = begin_trial("rates", slot, services)
    assert trial is not None
    return trial


def play_trial(services, slot, losses, *, state="succeeded", error=None):
    """A trial whose job was trained by nobody: its files say what they would have said."""
    trial = begun_trial(services, slot)
    folder = JobFolder(services.settings.jobs_dir / trial.submission.job_key)
    write_json_atomically(folder.submission, trial.submission.model_dump(mode="json"))
    every = 20
    lines = [f'{{"step": {every * number}, "eval_loss": {loss}}}' for number, loss in enumerate(losses, start=1)]
    folder.metrics.write_text("\n".join(lines) + "\n")
    if state is not None:
        folder.attempt(1).root.mkdir(parents=True, exist_ok=True)
        write_json_atomically(
            folder.attempt(1).exit, {"state": state, "exit_code": 0, "finished_at": None, "error": error}
        )
    if state == "succeeded":
        write_json_atomically(folder.result, report_of(trial, services, losses[-1]))
    return trial


def report_of(trial, services, eval_loss):
    """What a trial has to tell, with weights in its output folder."""
    folder = JobFolder(services.settings.jobs_dir / trial.submission.job_key)
    folder.output.mkdir(exist_ok=True)
    save_file({"weight": np.zeros((2, 2), np.float32)}, folder.output / "adapter_model.safetensors")
    return {
        "job_id": trial.submission.finetuning_job_id, "job_name": f"rates-trial-{trial.number:03d}", "dataset_id": 1,
        "base_model": "tiny", "base_model_path": "/models/tiny", "method": "lora", "recipe": "demo-lora",
        "mlflow_run_id": None, "output_path": str(folder.output), "weights_sha256": "0" * 64, "steps": 120,
        "epochs": 10.0, "train_loss": eval_loss, "eval_loss": eval_loss, "perplexity": None,
        "tokens_per_second": 100.0, "peak_memory_mb": 700.0, "duration_seconds": 5.0, "resumed_from_step": None,
        "loss_curve": [], "checkpoints": [], "hyperparameters": {},
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.deep
def test_a_killed_trial_goes_on_and_one_that_falls_behind_is_stopped_and_the_best_becomes_a_recipe(running):
    from mlflow import MlflowClient

    services = open_services(running.settings)
    found: list[SweepReport] = []
    sweep = threading.Thread(target=lambda: found.append(tune_hyperparameters(sweep_request(), services)))
    sweep.start()
    first = running.folder("train-1")
    wait_until(lambda: list(first.checkpoints.glob("checkpoint-*")), "a checkpoint of the first trial", 180)
    for pid in processes_of_attempt(attempt_mark(first.root, 1)):
        with suppress(ProcessLookupError):  # the trainer dies with its launcher
            os.kill(pid, signal.SIGKILL)
    sweep.join(400)
    (report,) = found

    good, bad = report.trials
    assert (good.state, good.values["learning_rate"], report.best) == (TrialState.COMPLETED, 2e-3, [0])
    assert len(good.evaluations) == 6
    with services.unit_of_work() as uow:
        jobs = [uow.jobs.get(trial.job_id or 0) for trial in report.trials]
    assert first.attempt(2).root.exists()
    assert jobs[0].report is not None and jobs[0].report.resumed_from_step in {20, 40, 60, 80, 100}

    assert (bad.state, bad.values["learning_rate"]) == (TrialState.PRUNED, 1e-6)
    assert 1 <= len(bad.evaluations) < 6
    assert jobs[1].status is JobStatus.STOPPED
    assert running.client.view("train-2").state is JobState.STOPPED

    # a recipe that trains as the best trial did
    recipe = resolve_recipe("rates", Hyperparameters(), Method.LORA, services.settings.recipes_dir)
    assert (recipe.learning_rate, recipe.batch_size, recipe.num_epochs) == (2e-3, 16, 10)
    assert Path(str(report.picture_path)).read_bytes().startswith(b"\x89PNG")
    request = sweep_request()
    assert report.request == request

    client = MlflowClient(os.environ["TUNEWAY_MLFLOW_TRACKING_URL"])
    parent = client.get_run(report.mlflow_run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best_eval_loss"] == pytest.approx(good.results[SweepMetric.EVAL_LOSS])
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{report.mlflow_run_id}'")
    assert {run.info.run_name for run in children} == {"rates-trial-000", "rates-trial-001"}

    # again: nothing is trained twice
    assert tune_hyperparameters(request, services) == report
    assert show_sweep("rates", services) == report
    assert not first.attempt(3).root.exists()


class TestWithoutTraining:
    """The jobs' files are written by the test."""

    def test_a_trials_job_trains_its_numbers_and_is_evaluated_as_often_as_asked(self, sweep_services):
        assert start_sweep(sweep_request(), sweep_services) == [0, 1]
        trial = begun_trial(sweep_services, 0)
        plan = json.loads(JobFolder(sweep_services.settings.jobs_dir / trial.submission.job_key).plan.read_text())
        # 192 rows in batches of 16, ten times: 120 steps
        assert plan["recipe"]["learning_rate"] == 2e-3
        assert (plan["recipe"]["eval_steps"], plan["recipe"]["save_steps"]) == (20, 20)
        assert (plan["tags"]["tuneway.sweep"], plan["tags"]["tuneway.trial"]) == ("rates", "0")
        assert begin_trial("rates", 0, sweep_services) == trial

    def test_a_follower_that_died_after_the_decision_is_followed_by_one_that_decides_alike(self, sweep_services):
        start_sweep(sweep_request(), sweep_services)
        play_trial(sweep_services, 0, [1.0, 0.9])
        bad = play_trial(sweep_services, 1, [9.0], state=None)
        key = bad.submission.job_key
        assert TrialWatch("rates", bad.number, key, sweep_services).should_prune()
        JobFolder(sweep_services.settings.jobs_dir / key).metrics.write_text("")
        assert TrialWatch("rates", bad.number, key, sweep_services).should_prune()

    def test_a_trial_that_ended_while_nobody_looked_is_known_to_the_next_one(self, sweep_services):
        start_sweep(sweep_request(trials=3), sweep_services)
        play_trial(sweep_services, 0, [1.0, 0.5])
        begin_trial("rates", 1, sweep_services)
        first = show_sweep("rates", sweep_services).trials[0]
        assert (first.state, first.results) == (TrialState.COMPLETED, {SweepMetric.EVAL_LOSS: 0.5})
        with sweep_services.unit_of_work() as uow:
            assert uow.jobs.get(first.job_id).status is JobStatus.COMPLETED

    def test_a_trial_that_fails_does_not_end_the_sweep(self, sweep_services):
        start_sweep(sweep_request(), sweep_services)
        play_trial(sweep_services, 0, [1.0, 0.5])
        failed = play_trial(
            sweep_services, 1, [2.0], state="failed", error={"code": "invalid_data", "what": "The loss is not a number"}
        )
        error = end_trial("rates", failed.number, failed.submission.job_key, sweep_services)
        assert error is not None
        give_up_trial("rates", failed.number, error.sentence(), sweep_services)
        report = finish_sweep("rates", sweep_services)
        assert [trial.state for trial in report.trials] == [TrialState.COMPLETED, TrialState.FAILED]
        assert "not a number" in str(report.trials[1].reason)
        assert begun_trial(sweep_services, 1).has_ended

    def test_a_sweep_without_a_completed_trial_says_why(self, sweep_services):
        start_sweep(sweep_request(trials=1), sweep_services)
        play_trial(sweep_services, 0, [2.0], state="lost", error={"code": "job_lost", "what": "The processes vanished"})
        with pytest.raises(NotFoundError, match="processes vanished"):
            finish_sweep("rates", sweep_services)

    def test_after_the_time_limit_no_trial_is_begun_and_those_that_were_go_on(self, sweep_services):
        start_sweep(sweep_request(), sweep_services)
        begun = begin_trial("rates", 0, sweep_services)
        start_sweep(sweep_request(budget_hours=1e-9), sweep_services)
        assert begin_trial("rates", 0, sweep_services) == begun
        assert begin_trial("rates", 1, sweep_services) is None

    def test_sweeps_are_listed_and_more_trials_are_a_matter_of_asking(self, sweep_services):
        start_sweep(sweep_request(), sweep_services)
        assert start_sweep(sweep_request(trials=5), sweep_services) == [0, 1, 2, 3, 4]
        (listed,) = list_sweeps(sweep_services)
        assert (listed.sweep_name, listed.request.trials, listed.trials) == ("rates", 5, [])
        with pytest.raises(ConflictError, match="another request"):
            start_sweep(sweep_request(recipe="demo-lora", seed=77), sweep_services)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search_space": {"learning_rte": {"low": 1e-5, "high": 1e-3}}}, "did you mean learning_rate"),
        ({"search_space": {"method": {"choices": ["lora", "full"]}}}, "cannot be searched"),
        ({"search_space": {"learning_rate": {"low": 0.1, "high": 7}}}, "learning_rate = 7"),
        ({"search_space": {"lora_rank": {"low": 2.5, "high": 8}}}, "whole numbers"),
        ({"search_space": {"scheduler": {"low": 1, "high": 2}}}, "its values are words"),
        ({"search_space": {"scheduler": {"choices": ["cosine", "stairs"]}}}, "stairs"),
        ({"search_space": {"batch_size": {"choices": [4096]}, "num_epochs": {"choices": [1]}}}, "cannot be pruned"),
        ({"recipe": "demo-lroa"}, "did you mean demo-lora"),
        ({"sweep_name": "demo-full"}, "name is taken"),
    ],
)
def test_what_is_wrong_with_a_sweep_is_said_before_a_trial_is_begun(sweep_services, changes, words):
    with pytest.raises(InvalidRequestError, match=words):
        check_request(sweep_request(**changes), sweep_services)


def test_without_validation_rows_there_is_no_validation_loss_to_look_for(sweep_services):
    with sweep_services.unit_of_work() as uow:
        values = uow.datasets.get(1).model_dump()
        bare = uow.datasets.add(
            **{name: values[name] for name in ("file_path", "removed", "masked", "quality_score", "categories")},
            name="bare", content_hash="0" * 64, total_samples=192, train_samples=192, val_samples=0, test_samples=0,
        )  # fmt: skip
    with pytest.raises(InvalidRequestError, match="no validation rows"):
        check_request(sweep_request(dataset_id=bare.dataset_id), sweep_services)
    check_request(sweep_request(dataset_id=bare.dataset_id, objectives=["train_loss"]), sweep_services)
