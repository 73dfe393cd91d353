"""A run that another trainer does is followed while it goes on, by the real runner, and ends as a job like ours."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from contracts.enums import JobState, JobStatus
from contracts.errors import ConflictError, InvalidRequestError, JobLostError, NotFoundError
from contracts.training import TrainingReport
from security.safetensors_header import read_safetensors_header
from stages.export_training import export_training
from stages.jobs import next_attempt
from stages.services import open_services
from stages.watch_training import train_through, watch_training
from storage.processes import attempt_mark, processes_of_attempt
from tests.conftest import REPOSITORY_ROOT
from tests.runner.conftest import runner, wait_until
from tests.training.tiny_model import make_base_model, tiny_request

__all__ = ["runner"]

pytestmark = pytest.mark.filterwarnings("ignore")

OTHER_RUN = [sys.executable, "-m", "tests.training.other_run"]
STEPS = 12


class Watching(threading.Thread):
    """The command, as a person leaves it running."""

    def __init__(self, request, output, services) -> None:
        super().__init__(daemon=True)
        self.given = (request, output, services)
        self.report: TrainingReport | None = None
        self.error: Exception | None = None

    def run(self):
        try:
            self.report = watch_training(*self.given)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error


def job_row(services):
    with services.unit_of_work() as uow:
        (job,) = uow.jobs.newest()
        return job, [saved.step for saved in uow.jobs.checkpoints(job.job_id)]


def kill_follower(folder):
    """The job's process, not its launcher."""
    for pid in processes_of_attempt(attempt_mark(folder.root, 1)):
        if b"stages.work" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.deep
@pytest.mark.slow
def test_a_run_is_followed_while_it_goes_on_also_after_the_follower_was_killed(runner, services, tmp_path):
    services = open_services(runner.settings)
    base = make_base_model(tmp_path / "base")
    request = tiny_request(services, base, "watched", recipe="demo-lora")
    output = Path(export_training(request, "llamafactory", tmp_path / "out", services).folder) / "output"
    with pytest.raises(NotFoundError, match="nothing to watch"):
        watch_training(request, output, services)
    output.mkdir()
    first = Watching(request, output, services)
    first.start()
    folder = runner.folder("train-1")
    wait_until(folder.progress.exists, "the follower has begun", 200)
    wait_until(lambda: job_row(services)[0].progress is not None, "progress in the row")
    trainer = subprocess.Popen([*OTHER_RUN, str(output), str(base), str(STEPS), "5"], cwd=REPOSITORY_ROOT)
    try:
        wait_until(lambda: job_row(services)[0].progress.step >= 2 and job_row(services)[1], "a checkpoint's row", 200)
        job, checkpoints = job_row(services)
        assert trainer.poll() is None, "the run has ended before it was looked at"
        assert (job.status, job.progress.stage, job.progress.total_steps) == (JobStatus.RUNNING, "training", STEPS)
        assert job.progress.loss is not None
        assert checkpoints[0] == 2
        with services.unit_of_work() as uow:
            assert uow.leases.all() == []  # it needs no card: the other trainer has it
        kill_follower(folder)
        first.join(120)
        assert isinstance(first.error, JobLostError)
        assert trainer.poll() is None, "the run has ended with its follower"

        second = Watching(request, output, services)
        second.start()
        assert trainer.wait(180) == 0
        second.join(120)
    finally:
        trainer.kill()
        trainer.wait()
    assert second.error is None
    report = second.report
    assert report is not None
    assert (report.steps, [step for step, _ in report.loss_curve]) == (STEPS, list(range(1, STEPS + 1)))
    job, checkpoints = job_row(services)
    assert (job.status, job.report) == (JobStatus.COMPLETED, report)
    assert checkpoints == [saved.step for saved in report.checkpoints]
    assert checkpoints[-1] == STEPS
    ours, theirs = (read_safetensors_header(path / "adapter_model.safetensors") for path in (folder.output, output))
    assert ours == theirs
    assert report.watermark is not None
    assert report.watermark.tensors == len(ours) / 2
    assert (folder.output / "chat_template.jinja").exists()
    assert "step 1/12  loss" in folder.attempt(1).log.read_text()
    assert watch_training(request, output, services) == report
    with pytest.raises(ConflictError, match="trained otherwise"):
        from stages.train import create_job

        create_job(request, services)


@pytest.mark.slow
@pytest.mark.deep
def test_another_trainer_is_started_stopped_and_resumed_as_a_job(runner, services, tmp_path, monkeypatch):
    """The command on the PATH does what LLaMA-Factory's does: it reads the exported file, and goes on by itself."""
    services = open_services(runner.settings)
    base = make_base_model(tmp_path / "base")
    program = tmp_path / "bin" / "llamafactory-cli"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys, yaml\n"
        f"sys.path.insert(0, {str(REPOSITORY_ROOT)!r})\n"
        "from pathlib import Path\n"
        "from tests.training.other_run import train\n"
        "assert sys.argv[1] == 'train'\n"
        "config = yaml.safe_load(Path(sys.argv[2]).read_text())\n"
        "train(Path(config['output_dir']), Path(config['model_name_or_path']), 6, 1.0)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    request = tiny_request(services, base, "through", recipe="demo-lora")
    failed: list[BaseException] = []

    def run_once():
        try:
            train_through(request, "llamafactory", services)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            failed.append(error)

    thread = threading.Thread(target=run_once, daemon=True)
    thread.start()
    folder = runner.folder("train-1")
    wait_until(lambda: (folder.checkpoints / "checkpoint-2").exists(), "a checkpoint", 240)
    with services.unit_of_work() as uow:
        assert [lease.owner for lease in uow.leases.all()] == ["train-1#1"]
    runner.client.stop("train-1", 1)
    thread.join(120)
    assert "stopped on request" in str(failed[0])
    wait_until(lambda: not processes_of_attempt(attempt_mark(folder.root, 1)), "the other trainer has ended")
    assert runner.client.view("train-1").state is JobState.STOPPED
    with pytest.raises(ConflictError, match="another trainer's"):
        next_attempt(folder, "checkpoint-2")

    report = train_through(request, "llamafactory", services)
    assert (report.steps, [step for step, _ in report.loss_curve]) == (6, [1, 2, 3, 4, 5, 6])
    with services.unit_of_work() as uow:
        assert uow.jobs.get(report.job_id).status is JobStatus.COMPLETED


def test_a_trainer_that_is_not_installed_is_told_before_anything_is_made(services, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    request = tiny_request_without_model()
    with pytest.raises(InvalidRequestError, match="no command axolotl on the PATH"):
        train_through(request, "axolotl", services)
    with pytest.raises(InvalidRequestError, match="axolotl, llamafactory"):
        train_through(request, "unsloth", services)
    with services.unit_of_work() as uow:
        assert uow.jobs.newest() == []


def tiny_request_without_model():
    from contracts.training import TrainRequest

    return TrainRequest(job_name="through", dataset_id=1, base_model="tiny")
