"""The follower's loop: what it tells while another trainer works, how it ends, and what a kill costs."""

import json
import os
import signal
import sys
import threading

import pytest

from contracts.errors import JobFailedError
from storage.files import read_json
from storage.job_folder import JobFolder
from training.checkpoints import checkpoint_records
from training.export import following
from training.export.following import follow
from training.metrics import read_metrics
from training.plan import FollowedRun, TrainingPlan
from training.recipe import load_recipe

WRITER = """
import json, sys, time
from pathlib import Path
import numpy
from safetensors.numpy import save_file
output, until = Path(sys.argv[1]), int(sys.argv[2])
output.mkdir(parents=True, exist_ok=True)
done = [int(path.name[11:]) for path in output.glob("checkpoint-*")]
history = [{"step": step, "loss": 4.0 - step, "epoch": step / 4} for step in range(1, max(done, default=0) + 1)]
for step in range(len(history) + 1, until + 1):
    history.append({"step": step, "loss": 4.0 - step, "grad_norm": 0.5, "epoch": step / 4})
    with (output / "trainer_log.jsonl").open("a") as stream:
        stream.write(json.dumps({"current_steps": step, "total_steps": 4, "loss": 4.0 - step, "epoch": step / 4}) + "\\n")
    state = {"global_step": step, "max_steps": 4, "epoch": step / 4, "log_history": list(history)}
    if step % 2 == 0:
        folder = output / f"checkpoint-{step}"
        folder.mkdir()
        save_file({"w": numpy.ones(4, numpy.float32)}, folder / "adapter_model.safetensors")
        (folder / "trainer_state.json").write_text(json.dumps(state))
    time.sleep(0.3)
if until < 4:
    time.sleep(60) if len(sys.argv) > 3 else sys.exit("out of memory")
save_file({"w": numpy.ones(4, numpy.float32)}, output / "adapter_model.safetensors")
(output / "adapter_config.json").write_text("{}")
state["log_history"].append({"step": 4, "train_runtime": 2.0})
(output / "trainer_state.json").write_text(json.dumps(state))
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(following, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(following, "SETTLED_SECONDS", 0.5)


@pytest.fixture
def given(tmp_path):
    """A job's folder, and its plan with what it follows."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "tokenizer.json").write_text("{}")
    output = tmp_path / "output"

    def plan(*command):
        return TrainingPlan(
            job_id=1,
            job_name="followed",
            dataset_id=1,
            dataset_path=str(tmp_path),
            base_model="tiny",
            base_model_path=str(base),
            recipe_name="demo-lora",
            recipe=load_recipe("demo-lora"),
            num_gpus=1,
            seed=0,
            keep_checkpoints=2,
            followed=FollowedRun(output=str(output), log=str(tmp_path / "other.log"), command=list(command)),
        )

    return JobFolder(tmp_path / "job"), plan, [sys.executable, "-c", WRITER, str(output)]


def test_a_run_that_it_starts_is_told_step_by_step_and_taken_over(given):
    folder, plan, writer = given
    report = follow(plan(*writer, "4"), folder, None)
    assert (report.steps, report.loss_curve) == (4, [(1, 3.0), (2, 2.0), (3, 1.0), (4, 0.0)])
    assert [saved.step for saved in report.checkpoints] == [2, 4]
    assert (folder.output / "adapter_model.safetensors").exists()
    assert (folder.output / "tokenizer.json").exists()
    progress = read_json(folder.progress) or {}
    assert (progress["stage"], progress["step"], progress["total_steps"], progress["loss"]) == ("saving", 4, 4, 0.0)


def test_a_trainer_that_fails_says_so_in_its_own_words_and_the_next_start_goes_on(given):
    folder, plan, writer = given
    with pytest.raises(JobFailedError, match="exit code 1: out of memory"):
        follow(plan(*writer, "2"), folder, None)
    assert [record.step for record in checkpoint_records(folder.checkpoints)] == [2]
    report = follow(plan(*writer, "4"), folder, None)
    assert [step for step, _ in report.loss_curve] == [1, 2, 3, 4]


def test_a_stop_ends_the_trainer_it_has_started_and_says_143(given):
    folder, plan, writer = given

    def stop_after_a_checkpoint():
        while not (folder.checkpoints / "checkpoint-2").exists():
            threading.Event().wait(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    threading.Thread(target=stop_after_a_checkpoint, daemon=True).start()
    with pytest.raises(SystemExit) as ended:
        follow(plan(*writer, "2", "and wait"), folder, None)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_follower_that_begins_in_the_middle_repeats_nothing_and_a_long_silence_is_told(given, monkeypatch, caplog):
    import subprocess

    monkeypatch.setattr(following, "SILENT_SECONDS", 0.1)
    folder, plan, writer = given
    folder.root.mkdir()
    folder.metrics.write_text(json.dumps({"step": 1, "loss": 3.0, "timestamp": "2026-11-28T00:00:00+00:00"}) + "\n")
    trainer = subprocess.Popen([*writer, "4"])
    try:
        report = follow(plan(), folder, None)
    finally:
        trainer.wait()
    assert [line["step"] for line in read_metrics(folder.metrics)] == [1, 2, 3, 4]
    assert report.steps == 4
    assert "told nothing new" in caplog.text
