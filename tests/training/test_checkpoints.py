"""Checkpoints are whole or skipped."""

from training.checkpoints import (
    MANIFEST,
    CheckpointManifest,
    checkpoint_records,
    commit_checkpoint,
    newest_whole_checkpoint,
    remove_old_checkpoints,
)


def save(folder, step, text="weights", **values):
    staged = folder / ".staging" / f"checkpoint-{step}"
    staged.mkdir(parents=True)
    (staged / "adapter_model.safetensors").write_text(text)
    manifest = CheckpointManifest(
        step=step, epoch=step / 10, metrics={"loss": 1.0}, train_seconds=1, files={}, **values
    )
    commit_checkpoint(staged, folder / f"checkpoint-{step}", manifest)
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
    remove_old_checkpoints(tmp_path, keep=2, best_step=25)
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
