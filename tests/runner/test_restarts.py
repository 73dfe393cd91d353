"""A job that asks for another start gets it from its launcher, within its attempt."""

import json
import signal
import subprocess
import sys

import pytest

from contracts.enums import JobState
from contracts.training import TrainingReport
from runner import launcher
from stages.train import create_job
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view
from tests.ports import free_port
from tests.runner.conftest import submission
from tests.training.tiny_model import make_base_model, tiny_request
from training.metrics import read_metrics

pytestmark = pytest.mark.slow

FULL_MEMORY = """
import functools, sys
import torch
from transformers import Qwen3ForCausalLM
real = Qwen3ForCausalLM.forward
@functools.wraps(real)
def forward(self, input_ids=None, position_ids=None, **others):
    if self.training and int((position_ids == 0).sum()) > {rows}:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return real(self, input_ids, position_ids=position_ids, **others)
Qwen3ForCausalLM.forward = forward
from stages import work
raise SystemExit(work.main(sys.argv[1:]))
"""
"""The job's process on a card with room for so many samples at once: each begins at position 0."""


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def launched(services, base_model, monkeypatch):
    """Runs a job of 16 rows a step by a launcher of this process, on a card with room for `rows`."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]

    def launch(name: str, rows: int) -> JobFolder:
        changes = {"hyperparameters": {"batch_size": 16, "num_epochs": 1}}
        made = create_job(tiny_request(services, base_model, name, **changes), services)
        folder = JobFolder(services.settings.jobs_dir / made.job_key)
        write_json_atomically(folder.submission, made.model_dump(mode="json"))
        code = FULL_MEMORY.format(rows=rows)
        monkeypatch.setattr(launcher, "command_of", lambda *_: [sys.executable, "-c", code, str(folder.root), "1"])
        assert launcher.main([str(folder.root), "1"]) == 0
        return folder

    yield launch
    for number, handler in handlers:
        signal.signal(number, handler)


def first_losses(folder):
    return [float(str(line["loss"])) for line in read_metrics(folder.metrics) if "loss" in line]


@pytest.mark.deep
def test_memory_that_runs_out_starts_the_job_again_with_half_the_micro_batch_and_the_same_samples(launched):
    roomy, tight = launched("roomy", 16), launched("tight", 8)
    view = job_view(tight)
    assert view.state is JobState.SUCCEEDED
    assert view.progress is not None
    assert "memory ran out with batch_size 16" in view.progress.message
    report = TrainingReport.model_validate_json(tight.result.read_text())
    assert (report.hyperparameters["batch_size"], report.hyperparameters["gradient_accumulation_steps"]) == (8, 2)
    assert report.adjustments == [view.progress.message]
    (restart,) = json.loads(tight.attempt(1).restarts.read_text())["restarts"]
    assert restart["what"] == "Memory ran out"
    assert first_losses(tight) == pytest.approx(first_losses(roomy), rel=1e-3)
    assert not tight.attempt(1).error.exists()


@pytest.mark.deep
def test_memory_that_runs_out_again_fails_the_job_with_what_to_do_before_its_first_step(launched):
    folder = launched("hopeless", 4)
    view = job_view(folder)
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert "also with a smaller micro-batch" in str(view.error["what"])
    assert "tuneway train plan" in str(view.error["next_step"])
    assert first_losses(folder) == []


def test_of_two_launchers_of_one_attempt_only_one_starts_the_job(tmp_path):
    folder = JobFolder(tmp_path / "train-1")
    write_json_atomically(folder.submission, submission().model_dump(mode="json"))
    job = f"echo started >> {folder.root}/starts; sleep 3; echo '{{}}' > {folder.result}"
    script = (
        "import sys; from runner import launcher; "
        f"launcher.command_of = lambda *_: ['sh', '-c', {job!r}]; "
        "raise SystemExit(launcher.main(sys.argv[1:]))"
    )
    racers = [subprocess.Popen([sys.executable, "-c", script, str(folder.root), "1"]) for _ in range(2)]
    assert [racer.wait(60) for racer in racers] == [0, 0]
    assert (folder.root / "starts").read_text() == "started\n"
    assert job_view(folder).state is JobState.SUCCEEDED
