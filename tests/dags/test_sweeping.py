"""The DAG of a sweep, run to its end in this process: mapped trials through a real runner."""

import signal

import pytest

from contracts.enums import StageName, StageStatus
from settings import SecretName, load_settings
from storage.processes import attempt_mark, kill_attempt
from tests.ports import free_port
from tests.runner.conftest import TOKEN, RunnerProcess
from tests.training.tiny_model import make_base_model, tiny_request

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def runner(services, tmp_path, monkeypatch):
    """A runner with a tiny base model and a dataset version beside it."""
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    tiny_request(services, make_base_model(tmp_path / "base" / "tiny"))
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


@pytest.mark.deep
def test_a_sweep_goes_from_its_form_to_a_recipe(run_dag, runner, services):
    run = run_dag(
        "tune_hyperparameters",
        {
            "sweep_name": "rates",
            "dataset_id": 1,
            "base_model": "tiny",
            "search_space": {
                "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
                "batch_size": {"choices": [16]},
                "num_epochs": {"choices": [1]},
            },
            "trials": 2,
            "evaluations_per_trial": 2,
        },
    )
    states = {(task.task_id, task.map_index): task.state for task in run.get_task_instances()}
    assert run.state == "success", states
    assert states["run_trial", 0] == states["run_trial", 1] == "success"
    with services.unit_of_work() as uow:
        pipeline_run = uow.pipeline_runs.latest()
    assert pipeline_run is not None
    (stage,) = pipeline_run.stages
    assert (stage.stage, stage.status) == (StageName.TUNE_HYPERPARAMETERS, StageStatus.SUCCEEDED)
    assert stage.record is not None
    assert stage.record["recipe_name"] == "rates"
    assert stage.record["best"] in ([0], [1])
    assert (services.settings.recipes_dir / "rates.yaml").exists()
