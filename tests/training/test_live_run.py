"""What another trainer's files say while it goes on, in each of the forms that they have."""

import json

from storage.job_folder import JobFolder
from training.checkpoints import checkpoint_records
from training.export.live import LiveRun
from training.export.taking_over import link_checkpoints


def state(folder, step, total, history):
    folder.mkdir(parents=True, exist_ok=True)
    content = {"global_step": step, "max_steps": total, "epoch": step / total, "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(content))


def look(run):
    """What the run has told; there must be something."""
    now = run.look()
    assert now is not None
    return now


def losses(run):
    return [(line["step"], line.get("loss"), line.get("eval_loss")) for line in run.lines]


def test_nothing_is_told_before_there_is_anything_and_nothing_twice(tmp_path):
    run = LiveRun(tmp_path / "output")
    assert run.look() is None
    state(tmp_path / "output" / "checkpoint-2", 2, 8, [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.5}])
    now = look(run)
    assert (now.step, now.total_steps, losses(now)) == (2, 8, [(1, 3.0, None), (2, 2.5, None)])
    assert run.look() is None


def test_the_newest_checkpoint_counts_and_a_state_that_is_being_written_is_read_later(tmp_path):
    run = LiveRun(tmp_path)
    state(tmp_path / "checkpoint-9", 9, 20, [{"step": 9, "loss": 2.0}])
    state(tmp_path / "checkpoint-10", 10, 20, [{"step": 9, "loss": 2.0}, {"step": 10, "eval_loss": 1.5}])
    assert losses(look(run)) == [(9, 2.0, None), (10, None, 1.5)]
    (tmp_path / "checkpoint-11").mkdir()
    (tmp_path / "checkpoint-11" / "trainer_state.json").write_text('{"global_step": 11, "max_st')
    assert run.look() is None
    state(tmp_path / "checkpoint-11", 11, 20, [{"step": 11, "loss": 1.0}])
    assert look(run).step == 11


def test_llama_factorys_losses_come_between_checkpoints_and_the_state_adds_what_they_lack(tmp_path):
    run = LiveRun(tmp_path)
    lines = [
        {"current_steps": 1, "total_steps": 4, "loss": 3.1, "lr": 1e-4, "epoch": 0.25, "percentage": 25.0},
        {"current_steps": 2, "total_steps": 4, "eval_loss": 2.9, "epoch": 0.5},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "trainer_log.jsonl").write_text(text + '{"current_steps": 3, "tot')
    now = look(run)
    assert (now.step, now.total_steps, losses(now)) == (2, 4, [(1, 3.1, None), (2, None, 2.9)])
    assert now.lines[0]["learning_rate"] == 1e-4
    state(tmp_path / "checkpoint-2", 2, 4, [{"step": 1, "loss": 3.1, "grad_norm": 0.7}])
    assert look(run).lines[0]["grad_norm"] == 0.7


def test_printed_losses_are_counted_by_the_steps_between_them(tmp_path):
    log = tmp_path / "train.log"
    log.write_text(
        "loading\n  0%|          | 0/8 [00:00<?, ?it/s]\r 25%|██▌       | 2/8 [00:03<00:09,  1.5s/it]\n"
        "{'loss': '3.25', 'grad_norm': '1.5', 'learning_rate': '0.0001', 'epoch': '0.5'}\n"
        "100%|██████████| 3/3 [00:01<00:00]\n{'eval_loss': 2.75, 'eval_runtime': 1.0, 'epoch': 0.5}\n"
        "{'loss': 2.5, 'epoch': 1.0}\n{'train_runtime': 12.0, 'train_loss': 2.8}\n"
    )
    now = look(LiveRun(tmp_path / "none-yet", log, logging_steps=2, first_step=4))
    assert losses(now) == [(6, 3.25, None), (6, None, 2.75), (8, 2.5, None)]
    assert (now.step, now.total_steps) == (8, 8)


def test_its_checkpoints_stand_among_the_jobs_own_for_as_long_as_they_are_there(tmp_path):
    theirs, job = tmp_path / "output", JobFolder(tmp_path / "job")
    for step in (2, 4):
        state(theirs / f"checkpoint-{step}", step, 8, [{"step": step, "loss": 3.0 - step / 4}])
        (theirs / f"checkpoint-{step}" / "adapter_model.safetensors").write_bytes(b"0" * 1000)
    link_checkpoints(theirs, job.checkpoints)
    saved = checkpoint_records(job.checkpoints)
    assert [(one.step, one.metrics) for one in saved] == [(2, {"loss": 2.5}), (4, {"loss": 2.0})]
    assert all(one.size_bytes > 1000 for one in saved)
    for path in (theirs / "checkpoint-2").iterdir():
        path.unlink()
    (theirs / "checkpoint-2").rmdir()
    link_checkpoints(theirs, job.checkpoints)
    assert [one.step for one in checkpoint_records(job.checkpoints)] == [4]
    assert (theirs / "checkpoint-4" / "adapter_model.safetensors").exists()
