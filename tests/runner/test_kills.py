"""What is left after kill -9 of the runner, the launcher or the trainer: the truth, free cards, and a way on."""

import os
import signal

import pytest

from contracts.enums import JobState, JobStatus
from contracts.errors import JobLostError
from stages.jobs import describe_job, resume_job, stop_job
from stages.train import collect, create_job
from storage.files import read_json
from storage.processes import attempt_mark, processes_of_attempt
from tests.runner.conftest import wait_until
from tests.training.tiny_model import make_base_model, tiny_request
from training.checkpoints import checkpoint_records

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def training(runner, services, base_model):
    """A training job whose first checkpoint lies there, and which has not ended."""
    submission = create_job(tiny_request(services, base_model), services)
    runner.client.submit(submission)
    folder = runner.folder(submission.job_key)
    wait_until(lambda: list(folder.checkpoints.glob("checkpoint-*")), "a checkpoint", 180)
    assert runner.client.view(submission.job_key).state is JobState.RUNNING
    return submission


def owners(services):
    with services.unit_of_work() as uow:
        return [lease.owner for lease in uow.leases.all()]


def launcher_pid(runner, submission):
    identity = read_json(runner.folder(submission.job_key).attempt(submission.attempt).launcher)
    assert identity is not None
    return identity["pid"]


def trainer_pid(runner, submission):
    folder = runner.folder(submission.job_key)
    marked = processes_of_attempt(attempt_mark(folder.root, submission.attempt))
    (pid,) = set(marked) - {launcher_pid(runner, submission)}
    return pid


def assert_lost_and_resumable(runner, services, submission):
    """The attempt is lost, its card free, its row failed; the next one resumes and reaches the end."""
    view = runner.client.wait(submission.job_key)
    assert view.state is JobState.LOST
    assert view.error["retryable"]
    folder = runner.folder(submission.job_key)
    wait_until(lambda: not processes_of_attempt(attempt_mark(folder.root, 1)), "the end of the launcher itself")
    wait_until(folder.attempt(1).settled.exists, "the attempt is settled")
    assert owners(services) == []
    with services.unit_of_work() as uow:
        assert uow.jobs.get(submission.finetuning_job_id).status is JobStatus.FAILED
    with pytest.raises(JobLostError):
        collect(submission.job_key, services)

    resumed = runner.client.submit_or_resume(submission)
    assert resumed.attempt == 2
    assert runner.client.wait(submission.job_key).state is JobState.SUCCEEDED
    report = collect(submission.job_key, services)
    assert report.resumed_from_step is not None
    assert report.resumed_from_step >= 25
    assert report.steps == 96
    with services.unit_of_work() as uow:
        job = uow.jobs.get(submission.finetuning_job_id)
    assert job.status is JobStatus.COMPLETED
    assert job.report == report
    assert job.error is None
    wait_until(folder.attempt(2).settled.exists, "the second attempt is settled")
    assert owners(services) == []


def test_a_killed_trainer_is_lost_and_its_next_attempt_resumes(runner, services, training):
    os.kill(trainer_pid(runner, training), signal.SIGKILL)
    assert_lost_and_resumable(runner, services, training)


@pytest.mark.deep
def test_a_killed_launcher_takes_its_trainer_along_and_the_next_attempt_resumes(runner, services, training):
    os.kill(launcher_pid(runner, training), signal.SIGKILL)
    assert_lost_and_resumable(runner, services, training)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.deep)])
def test_a_job_outlives_its_runner_and_the_next_runner_adopts_it(runner, services, training, number):
    before = trainer_pid(runner, training)
    os.kill(before, signal.SIGSTOP)  # it waits: on a busy machine it would reach its end before the next runner is up
    runner.end(number)
    assert not runner.client.is_up()
    runner.start()
    assert trainer_pid(runner, training) == before
    os.kill(before, signal.SIGCONT)
    assert owners(services) == ["train-1#1"]
    view = runner.client.wait(training.job_key)
    assert (view.state, view.attempt) == (JobState.SUCCEEDED, 1)
    wait_until(runner.folder(training.job_key).attempt(1).settled.exists, "the attempt is settled")
    assert owners(services) == []
    assert collect(training.job_key, services).resumed_from_step is None


@pytest.mark.deep
def test_a_runner_that_was_away_when_launcher_and_trainer_vanished_finds_out(runner, services, training):
    pids = [launcher_pid(runner, training), trainer_pid(runner, training)]
    runner.end(signal.SIGKILL)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # the second one died with the first
    runner.start()
    assert_lost_and_resumable(runner, services, training)


def test_a_stopped_job_saves_a_checkpoint_and_frees_its_card(runner, services, training):
    view = runner.client.stop(training.job_key, attempt=1)
    assert view.attempt == 1
    view = runner.client.wait(training.job_key)
    assert (view.state, view.exit_code) == (JobState.STOPPED, 143)
    folder = runner.folder(training.job_key)
    wait_until(folder.attempt(1).settled.exists, "the attempt is settled")
    assert owners(services) == []
    with services.unit_of_work() as uow:
        assert uow.jobs.get(training.finetuning_job_id).status is JobStatus.STOPPED
    newest = max(int(path.name.removeprefix("checkpoint-")) for path in folder.checkpoints.glob("checkpoint-*"))
    assert newest == view.progress.step
    assert newest % 25 != 0 or "stopped on request" in folder.attempt(1).log.read_text()


def test_a_trainer_that_hangs_is_ended_and_goes_on_within_its_attempt_and_its_cards(runner, services, base_model):
    runner.end()
    runner.start(TUNEWAY_HANG_SECONDS="8", TUNEWAY_STOP_GRACE_SECONDS="1")
    submission = create_job(tiny_request(services, base_model), services)
    runner.client.submit(submission)
    folder = runner.folder(submission.job_key)
    wait_until(lambda: list(folder.checkpoints.glob("checkpoint-*")), "a checkpoint", 180)
    hung = trainer_pid(runner, submission)
    os.kill(hung, signal.SIGSTOP)
    wait_until(folder.attempt(1).restarts.exists, "the launcher notices")
    assert owners(services) == ["train-1#1"]
    assert hung not in processes_of_attempt(attempt_mark(folder.root, 1))
    view = runner.client.wait(submission.job_key)
    assert (view.state, view.attempt) == (JobState.SUCCEEDED, 1)
    (restart,) = describe_job(folder, runner.settings).restarts
    assert "no sign of life" in str(restart["what"])
    assert "starting the job again, 1 of at most 2 times" in folder.attempt(1).log.read_text()
    resumed_from = collect(submission.job_key, services).resumed_from_step
    assert resumed_from is not None
    assert resumed_from >= 25


@pytest.mark.deep  # tests/serving_api/test_stop_and_resume.py goes back by way of the API
def test_a_chosen_checkpoint_is_where_the_next_attempt_begins(runner, services, training):
    folder = runner.folder(training.job_key)
    wait_until(lambda: (folder.checkpoints / "checkpoint-50").exists(), "a second checkpoint", 180)
    stopped, step = stop_job(folder, runner.settings)
    assert stopped.state is JobState.STOPPED
    assert step is not None
    assert step >= 50
    # the first that retention has left: the trainer may have gone on for a while before it heard of the stop
    chosen = min(record.step for record in checkpoint_records(folder.checkpoints))
    assert chosen < step
    resumed = resume_job(folder, f"checkpoint-{chosen}", runner.settings)
    assert (resumed.job.attempt, resumed.checkpoint_step) == (2, chosen)
    assert f"attempt-2/checkpoint-{step}" in resumed.set_aside
    assert runner.client.wait(training.job_key).state is JobState.SUCCEEDED
    report = collect(training.job_key, services)
    assert (report.resumed_from_step, report.steps) == (chosen, 96)
    assert f"attempt-2/checkpoint-{step}" in describe_job(folder, runner.settings).set_aside
    with services.unit_of_work() as uow:
        rows = [saved.name for saved in uow.jobs.checkpoints(training.finetuning_job_id)]
    assert rows == [saved.name for saved in report.checkpoints]
