"""Checkpoints are whole or skipped."""

import os
import shutil
import time
from datetime import timedelta

import pytest

from contracts.errors import ConflictError, InvalidRequestError, KeyUnavailableError
from settings.encryption import dataset_scope, use_encryption
from settings.model import Settings
from storage.encryption.container import is_encrypted
from storage.job_folder import JobFolder
from storage.private_folders import private_folders, remove_private_folders
from storage.stored_files import seal_file
from training.checkpoints import (
    MANIFEST,
    CheckpointManifest,
    checkpoint_records,
    commit_checkpoint,
    go_back_to,
    newest_saved_step,
    newest_whole_checkpoint,
    remove_old_checkpoints,
    remove_set_aside,
)
from training.opened_checkpoints import RESUMED, WEIGHTS, open_checkpoint


def save(folder, step, text="weights", sealed_for=None, **values):
    staged = folder / ".staging" / f"checkpoint-{step}"
    staged.mkdir(parents=True)
    (staged / "adapter_model.safetensors").write_text(text)
    values = {"metrics": {"loss": 1.0}, **values}
    manifest = CheckpointManifest(step=step, epoch=step / 10, train_seconds=1, files={}, **values)
    if sealed_for is not None:
        staged = staged.rename(folder.parent / f"private-{step}")
    commit_checkpoint(staged, folder / f"checkpoint-{step}", manifest, sealed_for)
    return folder / f"checkpoint-{step}"


def newest_step(folder):
    found = newest_whole_checkpoint(folder)
    return None if found is None else found[1].step


def test_the_newest_is_found_by_number_not_by_name(tmp_path):
    save(tmp_path, 100)
    save(tmp_path, 25)
    assert newest_step(tmp_path) == 100


def test_a_checkpoint_with_a_changed_missing_or_unlisted_file_is_skipped_with_a_line_in_the_log(tmp_path, caplog):
    save(tmp_path, 25)
    changed, missing, headless = save(tmp_path, 50), save(tmp_path, 75), save(tmp_path, 100)
    (changed / "adapter_model.safetensors").write_text("weightz")
    (missing / "adapter_model.safetensors").unlink()
    (headless / MANIFEST).unlink()
    assert newest_step(tmp_path) == 25
    assert [name in caplog.text for name in ("checkpoint-100", "checkpoint-75", "checkpoint-50")] == [True] * 3


def test_a_staged_checkpoint_that_was_never_committed_does_not_count(tmp_path):
    (tmp_path / ".staging" / "checkpoint-25").mkdir(parents=True)
    assert newest_step(tmp_path) is None


def test_a_broken_checkpoint_gives_way_to_a_new_one_of_the_same_step(tmp_path):
    broken = save(tmp_path, 25)
    (broken / "adapter_model.safetensors").write_text("broken")
    save(tmp_path, 25, "again")
    assert newest_step(tmp_path) == 25
    assert (broken / "adapter_model.safetensors").read_text() == "again"


def test_the_newest_and_the_best_are_kept(tmp_path):
    for step in (25, 50, 75, 100):
        save(tmp_path, step)
    remove_old_checkpoints(tmp_path, keep=2, keep_best=1, best_step=25)
    assert [record.name for record in checkpoint_records(tmp_path)] == [
        "checkpoint-25",
        "checkpoint-75",
        "checkpoint-100",
    ]


def test_a_record_tells_size_step_and_metrics(tmp_path):
    path = save(tmp_path, 25)
    (record,) = checkpoint_records(tmp_path)
    assert (record.step, record.epoch, record.metrics) == (25, 2.5, {"loss": 1.0})
    assert record.size_bytes == sum(file.stat().st_size for file in path.iterdir())


def names(folder):
    return [record.name for record in checkpoint_records(folder)]


def test_the_k_with_the_lowest_validation_loss_are_kept_beside_the_newest(tmp_path):
    for step, loss in ((10, 0.9), (20, 0.2), (30, 0.5), (40, 0.3), (50, 0.8), (60, 0.7)):
        save(tmp_path, step, metrics={"eval_loss": loss})
    save(tmp_path, 70)
    remove_old_checkpoints(tmp_path, keep=1, keep_best=2, best_step=20)
    assert names(tmp_path) == ["checkpoint-20", "checkpoint-40", "checkpoint-70"]


@pytest.fixture
def job(tmp_path):
    """A job with three checkpoints and a line of metrics for each."""
    folder = JobFolder(tmp_path / "train-1")
    for step in (25, 50, 75):
        save(folder.checkpoints, step)
    folder.metrics.write_text("".join(f'{{"step": {step}}}\n' for step in (25, 50, 75)))
    return folder


def test_going_back_sets_later_checkpoints_aside_with_their_metrics_and_loses_none(job):
    go_back_to(job, "checkpoint-25", attempt=2)
    assert newest_saved_step(job.checkpoints) == 25
    aside = job.checkpoints / "set-aside" / "attempt-2"
    assert names(aside) == ["checkpoint-50", "checkpoint-75"]
    assert (aside / "metrics.jsonl").read_text() == job.metrics.read_text()
    go_back_to(job, "checkpoint-25", attempt=2)  # the same request again
    assert names(aside) == ["checkpoint-50", "checkpoint-75"]


def test_a_kill_while_checkpoints_are_set_aside_leaves_no_later_one_behind_an_earlier(job, monkeypatch):
    from pathlib import Path

    rename = Path.rename

    def killed(path, target):
        if path.name == "checkpoint-50":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        go_back_to(job, "checkpoint-25", attempt=2)
    assert names(job.checkpoints) == ["checkpoint-25", "checkpoint-50"]


def test_an_unknown_checkpoint_is_answered_with_the_nearest_and_changes_nothing(job):
    with pytest.raises(InvalidRequestError, match=r"did you mean checkpoint-75\?"):
        go_back_to(job, "checkpoint-74", attempt=2)
    (job.checkpoints / "checkpoint-50" / "adapter_model.safetensors").unlink()
    with pytest.raises(InvalidRequestError, match="broken"):
        go_back_to(job, "checkpoint-50", attempt=2)
    assert names(job.checkpoints) == ["checkpoint-25", "checkpoint-50", "checkpoint-75"]


def test_a_job_that_has_its_result_does_not_go_back(job):
    job.result.write_text("{}")
    with pytest.raises(ConflictError, match="result already"):
        go_back_to(job, "checkpoint-25", attempt=2)


def test_what_is_set_aside_stays_for_its_time_and_is_then_removed_whole(tmp_path):
    job = JobFolder(tmp_path)
    for step in (25, 50, 75):
        save(job.checkpoints, step)
    go_back_to(job, "checkpoint-50", 2)
    go_back_to(job, "checkpoint-25", 3)
    old, young = (job.checkpoints / "set-aside" / f"attempt-{number}" for number in (2, 3))
    assert [path.name for path in (*old.iterdir(), *young.iterdir())] == ["checkpoint-75", "checkpoint-50"]
    os.utime(old, (time.time() - 3 * 86400,) * 2)

    assert remove_set_aside(job.checkpoints, timedelta(days=4)) == []
    assert remove_set_aside(job.checkpoints, timedelta(days=2)) == ["attempt-2"]
    assert not old.exists()
    assert (young / "checkpoint-50").is_dir()
    assert newest_step(job.checkpoints) == 25


def test_a_removal_that_was_killed_is_ended_by_the_next(tmp_path):
    half = tmp_path / "set-aside" / ".attempt-2.removed" / "checkpoint-75"
    half.mkdir(parents=True)
    remove_set_aside(tmp_path, timedelta(days=14))
    assert list((tmp_path / "set-aside").iterdir()) == []


SCOPE = dataset_scope("demo")


@pytest.fixture
def sealed_job(tmp_path):
    """A job with a sealed checkpoint in an installation, and that installation's keys."""
    installation = use_encryption(Settings(data_dir=tmp_path))
    folder = JobFolder(tmp_path / "jobs" / "train-1")
    save(folder.checkpoints, 25, sealed_for=SCOPE)
    yield folder, installation.keyring
    remove_private_folders(folder.root)


def test_a_sealed_checkpoint_opens_in_private_and_nothing_of_it_is_left_in_clear(sealed_job):
    folder, _ = sealed_job
    path = folder.checkpoints / "checkpoint-25"
    assert {file.name: is_encrypted(file) for file in path.iterdir()} == {
        "adapter_model.safetensors": True,
        MANIFEST: False,
    }
    assert not any(path.is_file() for path in folder.root.glob("private-25/**/*"))
    assert newest_step(folder.checkpoints) == 25

    opened = open_checkpoint(path, folder, RESUMED, WEIGHTS)
    assert [opened] == private_folders(folder.root)
    assert (opened / "adapter_model.safetensors").read_text() == "weights"


def test_a_checkpoint_in_clear_is_opened_where_it_lies(tmp_path):
    folder = JobFolder(tmp_path)
    assert open_checkpoint(save(folder.checkpoints, 25), folder, RESUMED) == folder.checkpoints / "checkpoint-25"


def test_without_its_datasets_key_a_checkpoint_is_lost_for_good(sealed_job):
    folder, keyring = sealed_job
    keyring.erase(SCOPE)
    with pytest.raises(KeyUnavailableError, match="erased"):
        newest_whole_checkpoint(folder.checkpoints)
    with pytest.raises(KeyUnavailableError, match="erased"):
        open_checkpoint(folder.checkpoints / "checkpoint-25", folder, RESUMED)


@pytest.mark.parametrize("harm", ["a flipped bit", "a cut end", "another checkpoint's file", "a file in clear"])
def test_a_sealed_checkpoint_that_is_not_what_was_written_is_skipped(sealed_job, harm):
    folder, _ = sealed_job
    file = save(folder.checkpoints, 50, "weightz", SCOPE) / "adapter_model.safetensors"
    content = file.read_bytes()
    match harm:
        case "a flipped bit":
            file.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
        case "a cut end":
            file.write_bytes(content[:-1])
        case "another checkpoint's file":
            shutil.copy(folder.checkpoints / "checkpoint-25" / file.name, file)
        case _:
            file.write_text("weightx")
    assert newest_step(folder.checkpoints) == 25


def test_a_kill_while_files_are_sealed_leaves_no_checkpoint_and_the_step_is_saved_again(sealed_job, monkeypatch):
    folder, _ = sealed_job

    def killed(source, target, scope):
        seal_file(source, target, scope)
        raise KeyboardInterrupt

    monkeypatch.setattr("training.checkpoints.seal_file", killed)
    with pytest.raises(KeyboardInterrupt):
        save(folder.checkpoints, 50, sealed_for=SCOPE)
    assert newest_step(folder.checkpoints) == 25
    monkeypatch.undo()
    shutil.rmtree(folder.checkpoints / ".staging")  # as the next start does
    shutil.rmtree(folder.checkpoints.parent / "private-50")
    save(folder.checkpoints, 50, sealed_for=SCOPE)
    assert newest_step(folder.checkpoints) == 50
