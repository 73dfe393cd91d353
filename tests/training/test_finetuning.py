"""The run itself, in processes of its own as the runner starts it."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.training import TrainingReport
from storage.encryption.container import is_encrypted
from storage.job_folder import JobFolder
from storage.private_folders import private_folders, remove_private_folders
from tests.conftest import REPOSITORY_ROOT
from tests.runner.conftest import wait_until
from training.checkpoints import MANIFEST, newest_whole_checkpoint
from training.metrics import read_metrics
from training.opened_checkpoints import BEST, open_checkpoint

pytestmark = pytest.mark.slow

RUN = (
    "import sys, logging; logging.basicConfig(level=logging.INFO); from pathlib import Path;"
    "from storage.job_folder import JobFolder; from training.plan import TrainingPlan;"
    "from training.finetuning import finetune; from storage.files import write_json_atomically, read_json; import os;"
    "from settings.model import Settings; from settings.encryption import use_encryption;"
    "folder = JobFolder(Path(sys.argv[1])); use_encryption(Settings(data_dir=folder.root.parent));"
    "report = finetune(TrainingPlan.model_validate(read_json(folder.plan)), folder, None);"
    "os.environ.get('RANK', '0') == '0' and write_json_atomically(folder.result, report.model_dump(mode='json'))"
)


@pytest.fixture(scope="module")
def quiet(planned):
    """The report of a run that nobody disturbs, its checkpoints in clear, and its folder."""
    folder = planned("quiet", seals=False, lora_dropout=0.1)
    return report_of(folder, start(folder)), folder


def start(folder: JobFolder, processes: int = 1) -> subprocess.Popen[bytes]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--no-python"]
    script = [sys.executable, *([*torchrun, sys.executable] if processes > 1 else []), "-c", RUN, str(folder.root)]
    with (folder.root / "output.log").open("ab") as log:
        return subprocess.Popen(
            script,
            cwd=REPOSITORY_ROOT,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT), "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
        )


def log_of(folder: JobFolder) -> str:
    return (folder.root / "output.log").read_text()


def report_of(folder: JobFolder, process: subprocess.Popen[bytes]) -> TrainingReport:
    assert process.wait(timeout=500) == 0, log_of(folder)
    return TrainingReport.model_validate(json.loads(folder.result.read_text()))


def kill_at_step(folder: JobFolder, process: subprocess.Popen[bytes], step: int, number: int) -> None:
    def reached() -> bool:
        assert process.poll() is None, log_of(folder)
        return any(int(str(line["step"])) >= step for line in read_metrics(folder.metrics))

    wait_until(reached, f"step {step}", 300)
    process.send_signal(number)
    process.wait(timeout=60)


def files_in_clear(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and not is_encrypted(path)}


def losses(folder: JobFolder) -> list[tuple[int, float]]:
    lines = read_metrics(folder.metrics)
    return [(int(str(line["step"])), float(str(line["loss"]))) for line in lines if "loss" in line]


def test_a_run_killed_twice_ends_with_the_very_weights_of_one_never_killed(planned, quiet):
    report, undisturbed = quiet
    assert report.steps == 24
    assert report.resumed_from_step is None

    killed = planned("killed", lora_dropout=0.1)
    kill_at_step(killed, start(killed), 7, signal.SIGKILL)
    kill_at_step(killed, start(killed), 14, signal.SIGKILL)
    # a failing disk breaks the newest checkpoint: the one before it must do
    newest = newest_whole_checkpoint(killed.checkpoints)
    assert newest is not None
    weights = newest[0] / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert files_in_clear(killed.checkpoints) == {MANIFEST}
    resumed = report_of(killed, start(killed))
    assert files_in_clear(killed.checkpoints) == {MANIFEST}
    assert private_folders(killed.root) == []

    assert resumed.resumed_from_step == newest[1].step - 4
    assert f"skipped {newest[0].name}" in log_of(killed)
    assert resumed.weights_sha256 == report.weights_sha256
    assert losses(killed) == losses(undisturbed)
    assert resumed.loss_curve == report.loss_curve
    assert resumed.eval_loss == report.eval_loss


@pytest.mark.deep
def test_a_stopped_run_saves_its_step_and_resumes_to_the_same_weights(planned, quiet):
    stopped = planned("stopped", lora_dropout=0.1)
    process = start(stopped)
    kill_at_step(stopped, process, 6, signal.SIGTERM)
    assert process.returncode == 143
    newest = newest_whole_checkpoint(stopped.checkpoints)
    assert newest is not None
    assert newest[1].step == losses(stopped)[-1][0]
    resumed = report_of(stopped, start(stopped))
    assert resumed.resumed_from_step == newest[1].step
    assert resumed.weights_sha256 == quiet[0].weights_sha256


@pytest.mark.deep
def test_a_packed_run_learns_what_the_same_samples_teach_one_by_one(planned):
    """Every step takes all samples, so that their order plays no part."""
    runs = []
    for name, changes in (("one-by-one", {"batch_size": 192}), ("packed", {"batch_size": 100, "packing": True})):
        folder = planned(name, num_epochs=4, max_seq_length=128, save_steps=2, eval_steps=4, **changes)
        runs.append((report_of(folder, start(folder)), losses(folder)))
    (plain, plain_losses), (packed, packed_losses) = runs
    assert plain.steps == packed.steps == 4
    assert [loss for _, loss in packed_losses] == pytest.approx([loss for _, loss in plain_losses], rel=1e-4)
    assert packed.eval_loss == pytest.approx(plain.eval_loss, rel=1e-4)


@pytest.mark.parametrize(
    ("recipe", "numbers"),
    [
        pytest.param(
            "demo-lora",
            {"packing": True, "batch_size": 4, "max_seq_length": 128, "lora_dropout": 0.1},
            id="lora",
            marks=pytest.mark.deep,
        ),
        pytest.param(
            "demo-full",
            {"packing": True, "batch_size": 2, "gradient_accumulation_steps": 2, "max_seq_length": 128},
            id="full",
        ),
    ],
)
@pytest.mark.deep
def test_a_packed_run_killed_at_random_steps_ends_with_the_very_weights_of_one_never_killed(planned, recipe, numbers):
    quiet, killed = planned(f"quiet-{recipe}", recipe, **numbers), planned(f"killed-{recipe}", recipe, **numbers)
    report = report_of(quiet, start(quiet))
    steps = sorted(random.Random(recipe).sample(range(4, report.steps - 2), 2))
    for step in steps:
        kill_at_step(killed, start(killed), step, signal.SIGKILL)
    resumed = report_of(killed, start(killed))
    assert resumed.resumed_from_step is not None
    assert resumed.weights_sha256 == report.weights_sha256
    assert losses(killed) == losses(quiet)
    assert resumed.eval_loss == report.eval_loss


def test_two_processes_learn_as_one_does_with_the_same_samples_a_step(planned, quiet):
    alone, folder = quiet
    shared = planned("shared", batch_size=8, lora_dropout=0.1)
    report = report_of(shared, start(shared, processes=2))
    assert report.steps == alone.steps
    for (step, loss), (other_step, other) in zip(losses(folder), losses(shared), strict=True):
        assert step == other_step
        # dropout falls on other numbers, the samples of a step are the same
        assert other == pytest.approx(loss, abs=0.1)
    assert report.eval_loss == pytest.approx(alone.eval_loss, abs=0.1)


@pytest.mark.parametrize(
    ("recipe", "file", "trainable"),
    [
        ("demo-qlora", "adapter_model.safetensors", "q_proj.lora_A"),
        ("demo-full", "model.safetensors", "model.embed_tokens.weight"),
    ],
)
def test_every_method_learns_and_leaves_what_can_be_loaded(planned, recipe, file, trainable):
    from training.safetensors_files import tensors_of

    folder = planned(recipe, recipe, num_epochs=3)
    report = report_of(folder, start(folder))
    assert report.loss_curve[-1][1] < report.loss_curve[0][1] - 0.3
    assert (folder.output / file).exists()
    assert any(trainable in tensor.name for tensor in tensors_of(folder.output))
    assert (folder.output / "tokenizer.json").exists()
    assert (folder.output / "chat_template.jinja").exists()
    assert "chat_template" not in json.loads((folder.output / "tokenizer_config.json").read_text())


def test_training_ends_early_when_the_validation_loss_no_longer_falls_and_keeps_the_best(planned):
    folder = planned(
        "early",
        num_epochs=20,
        eval_steps=2,
        save_steps=2,
        early_stopping_patience=2,
        early_stopping_min_delta=0.2,
        final_weights="best",
    )
    report = report_of(folder, start(folder))
    assert report.steps < 240
    lines = read_metrics(folder.metrics)
    evaluations = {line["step"]: line["eval_loss"] for line in lines if "eval_loss" in line}
    assert report.eval_loss in evaluations.values()
    best_step = next(step for step, loss in evaluations.items() if loss == report.eval_loss)
    assert f"checkpoint-{best_step}" in {checkpoint.name for checkpoint in report.checkpoints}
    from training.safetensors_files import sha256_of_weights

    kept = open_checkpoint(folder.checkpoints / f"checkpoint-{best_step}", folder, BEST)
    assert report.weights_sha256 == sha256_of_weights(kept)
    remove_private_folders(folder.root)
