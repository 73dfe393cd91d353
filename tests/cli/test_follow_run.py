"""What a person sees while a run goes on."""

from datetime import UTC, datetime, timedelta

from rich.console import Console

from cli.follow_run import RunDisplay, progress_line
from cli.screen import Screen
from contracts.enums import JobKind, JobState
from contracts.jobs import JobView
from contracts.record import utc_now
from contracts.training import JobProgress
from stages.airflow_client import TaskView

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def task(name: str, state: str | None, try_number: int = 1, seconds: float = 2.0) -> TaskView:
    ended = BEGAN + timedelta(seconds=seconds) if state == "success" else None
    return TaskView(name, state, try_number, BEGAN if state else None, ended)


def shown(*calls: tuple[list[TaskView], JobView | None]) -> list[str]:
    console = Console(record=True, width=160, force_terminal=False)
    display = RunDisplay(Screen("en", err=console))
    for tasks, job in calls:
        display.show(tasks, job)
    display.close()
    return console.export_text().splitlines()


def training(step: int) -> JobProgress:
    return JobProgress(
        stage="training",
        step=step,
        total_steps=100,
        loss=1.5,
        tokens_per_second=1234.0,
        eta_seconds=75,
        updated_at=utc_now(),
    )


def working(progress: JobProgress) -> JobView:
    return JobView(job_key="train-1", kind=JobKind.TRAIN, state=JobState.RUNNING, attempt=1, progress=progress)


def test_each_change_is_told_once():
    done = task("import_dataset", "success")
    lines = shown(
        ([done, task("prepare", "running")], None),
        ([done, task("prepare", "running")], None),
        ([done, task("prepare", "success")], None),
    )
    assert lines == ["✓ import_dataset is done (2.0 s)", "prepare started", "✓ prepare is done (2.0 s)"]


def test_training_shows_step_loss_and_time_left():
    lines = shown(([task("train", "deferred")], working(training(50))))
    assert lines[0] == "train started"
    assert "50/100  loss 1.500  1,234 tokens/s  ETA 1:15" in lines[1]


def test_a_second_try_is_told():
    lines = shown(([task("train", "up_for_retry", 1)], None), ([task("train", "deferred", 2)], None))
    assert "! train is tried again (try 2)" in lines


def test_the_two_gpu_variant_counts_as_the_stage_and_the_unused_one_does_not():
    tasks = [task("train", "skipped"), task("train_two_gpus", "success"), task("collect_train", "success", seconds=5)]
    assert shown((tasks, None))[0] == "✓ train is done (5.0 s)"


def test_a_training_that_waits_for_its_results_is_not_done():
    assert shown(([task("train", "success"), task("collect_train", None)], None)) == ["train started"]


def test_the_bar_is_full_at_the_end():
    assert "─" not in progress_line(training(100))
