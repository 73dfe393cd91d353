"""Jobs of several processes, the clients, and the end of the whole platform."""

import os
import signal

import pytest

from contracts.enums import JobState
from contracts.errors import ConflictError, NotFoundError, UnavailableError
from settings import load_settings
from stages.runner_client import AsyncRunnerClient, RunnerClient, interrupt_jobs
from stages.train import collect, create_job
from storage.files import read_json
from storage.processes import attempt_mark, processes_of_attempt
from tests.ports import free_port
from tests.runner.conftest import wait_until
from tests.training.tiny_model import make_base_model, tiny_request

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


def newest_checkpoint(folder):
    return max(
        (int(path.name.removeprefix("checkpoint-")) for path in folder.checkpoints.glob("checkpoint-*")), default=0
    )


def test_two_processes_are_stopped_killed_and_resumed_as_one(runner, services, base_model):
    request = tiny_request(services, base_model, num_gpus=2, hyperparameters={"batch_size": 2, "num_epochs": 2})
    submission = create_job(request, services)
    key, folder = submission.job_key, runner.folder(submission.job_key)

    runner.client.submit(submission)
    wait_until(lambda: newest_checkpoint(folder) >= 25, "a checkpoint", 240)
    with services.unit_of_work() as uow:
        assert [lease.gpu_index for lease in uow.leases.all()] == [0, 1]
    runner.client.stop(key, attempt=1)
    view = runner.client.wait(key)
    assert view.state is JobState.STOPPED
    wait_until(lambda: not processes_of_attempt(attempt_mark(folder.root, 1)), "the end of the launcher itself")
    saved = newest_checkpoint(folder)
    assert view.progress is not None
    assert saved == view.progress.step

    assert runner.client.submit_or_resume(submission).attempt == 2
    wait_until(lambda: newest_checkpoint(folder) > saved, "a further checkpoint", 240)
    identity = read_json(folder.attempt(2).launcher)
    assert identity is not None
    os.kill(int(str(identity["pid"])), signal.SIGKILL)
    assert runner.client.wait(key).state is JobState.LOST
    wait_until(lambda: not processes_of_attempt(attempt_mark(folder.root, 2)), "the end of every process")

    assert runner.client.submit_or_resume(submission).attempt == 3
    assert runner.client.wait(key).state is JobState.SUCCEEDED
    report = collect(key, services)
    assert report.steps == 96
    assert report.resumed_from_step is not None
    assert report.resumed_from_step > saved


@pytest.mark.deep
async def test_the_end_of_the_platform_interrupts_a_job_which_goes_on_later(runner, services, base_model):
    submission = create_job(tiny_request(services, base_model), services)
    key, folder = submission.job_key, runner.folder(submission.job_key)
    runner.client.submit(submission)
    wait_until(lambda: newest_checkpoint(folder) >= 25, "a checkpoint", 180)

    async with AsyncRunnerClient(runner.settings) as client:
        assert (await client.view(key)).state is JobState.RUNNING
        first = await client.log(key)
        assert "step 25/96" in first.text
        assert (await client.log(key, first.next_offset, attempt=1)).next_offset >= first.next_offset
        with pytest.raises(ConflictError):
            await client.stop(key, attempt=7)
        with pytest.raises(NotFoundError):
            await client.view("train-99")

        runner.end(signal.SIGTERM)
        with pytest.raises(UnavailableError):
            await client.view(key)
        assert interrupt_jobs(runner.settings) == [key]
        assert interrupt_jobs(runner.settings) == []
        runner.start()
        view = await client.view(key)
        assert view.state is JobState.LOST
        assert view.progress is not None
        assert newest_checkpoint(folder) == view.progress.step
    assert runner.client.submit_or_resume(submission).attempt == 2
    assert runner.client.wait(key).state is JobState.SUCCEEDED
    assert collect(key, services).resumed_from_step == view.progress.step


def test_a_runner_that_is_not_there_is_said_to_be_unavailable(services, monkeypatch):
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    client = RunnerClient(load_settings())
    assert not client.is_up()
    with pytest.raises(UnavailableError, match="does not answer"):
        client.health()
