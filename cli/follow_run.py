"""A pipeline run, shown while it goes on: stage, step, loss, time left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from contracts.enums import StageName
from contracts.errors import UnavailableError

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.jobs import JobView
    from contracts.training import JobProgress
    from stages.airflow_client import AirflowClient, RunView, TaskView
    from stages.runner_client import RunnerClient

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 600.0
"""An Airflow whose database is being restarted is waited for."""
PLAIN_PROGRESS_SECONDS = 10.0
"""How often progress is printed where there is no terminal to redraw."""
BAR_WIDTH = 24
TASKS_OF_STAGE = {
    StageName.TRAIN: ("train", "train_two_gpus", "collect_train"),
    StageName.EVALUATE: ("evaluate", "collect_evaluation"),
}


def follow_run(client: AirflowClient, runner: RunnerClient, dag_id: str, run_id: str, screen: Screen) -> RunView:
    """Show the run until it has ended; its last view. Raises UnavailableError when Airflow stays away."""
    display = RunDisplay(screen)
    answered = time.monotonic()
    while True:
        try:
            run, tasks = client.run(dag_id, run_id), client.tasks(dag_id, run_id)
        except UnavailableError:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise
            display.unreachable()
        else:
            answered = time.monotonic()
            display.show(tasks, _running_job(runner))
            if run.is_final:
                display.close()
                return run
        time.sleep(POLL_SECONDS)


def _running_job(runner: RunnerClient) -> JobView | None:
    """The job that works now, if there is one."""
    try:
        return next((job for job in reversed(runner.views()) if not job.state.is_final), None)
    except UnavailableError:
        return None


class RunDisplay:
    """Remembers what has been shown, so that each change is shown once."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._states: dict[StageName, str] = {}
        self._tries: dict[str, int] = {}
        self._told_unreachable = False
        self._progress_shown_at = 0.0
        self._live = screen.err.status("") if screen.err.is_terminal else None
        if self._live is not None:
            self._live.start()

    def close(self) -> None:
        """Nothing more will change."""
        if self._live is not None:
            self._live.stop()

    def unreachable(self) -> None:
        """Airflow does not answer at the moment; said once."""
        if not self._told_unreachable:
            self._screen.warn("demo.unreachable")
            self._told_unreachable = True

    def show(self, tasks: list[TaskView], job: JobView | None) -> None:
        """What has changed since the last call."""
        self._told_unreachable = False
        by_name = {task.task_id: task for task in tasks}
        working: StageName | None = None
        for stage in StageName:
            named = [by_name[name] for name in TASKS_OF_STAGE.get(stage, (stage.value,)) if name in by_name]
            own = [task for task in named if task.state != "skipped"]
            self._show_tries(own)
            state = "skipped" if named and not own else _state_of(own)
            if state == "running":
                working = stage
            if state != self._states.get(stage):
                self._states[stage] = state
                self._show_state(stage, state, own)
        self._show_progress(working, job)

    def _show_tries(self, tasks: list[TaskView]) -> None:
        for task in tasks:
            if task.try_number > max(self._tries.get(task.task_id, 1), 1):
                self._screen.warn("demo.stage_retry", stage=task.task_id, number=task.try_number)
            self._tries[task.task_id] = task.try_number

    def _show_state(self, stage: StageName, state: str, tasks: list[TaskView]) -> None:
        if state == "success":
            starts = [task.started_at for task in tasks if task.started_at]
            ends = [task.ended_at for task in tasks if task.ended_at]
            seconds = (max(ends) - min(starts)).total_seconds() if starts and ends else 0.0
            self._screen.done("demo.stage_done", stage=stage.value, seconds=seconds)
        elif state == "failed":
            self._screen.warn("demo.stage_failed", stage=stage.value)
        elif state == "skipped":
            self._screen.say("demo.stage_skipped", stage=stage.value)
        elif state == "running" and self._live is None:
            self._screen.say("demo.stage_running", stage=stage.value)

    def _show_progress(self, stage: StageName | None, job: JobView | None) -> None:
        told = "" if stage is None else stage.value
        if job is not None and job.progress is not None and stage is not None and job.kind.value == stage.value:
            told = f"{told}  {progress_line(job.progress)}"
            if self._live is None and time.monotonic() - self._progress_shown_at >= PLAIN_PROGRESS_SECONDS:
                self._progress_shown_at = time.monotonic()
                self._screen.err.print(f"  {told}", markup=False, soft_wrap=True)
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(told))


def _state_of(tasks: list[TaskView]) -> str:
    """One word for a stage's tasks: waiting, running, success, failed."""
    states = [task.state for task in tasks]
    if any(state in {"failed", "upstream_failed"} for state in states):
        return "failed" if "failed" in states else "waiting"
    if states and all(state == "success" for state in states):
        return "success"
    if any(state in {"running", "deferred", "queued", "success", "up_for_retry", "restarting"} for state in states):
        return "running"
    return "waiting"


def progress_line(progress: JobProgress) -> str:
    """Bar, step, loss, speed and time left of a job."""
    parts = [progress.stage]
    if progress.total_steps:
        filled = round(BAR_WIDTH * min(progress.step / progress.total_steps, 1.0))
        parts.append(f"{'━' * filled}{'─' * (BAR_WIDTH - filled)} {progress.step:,}/{progress.total_steps:,}")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.eval_loss is not None:
        parts.append(f"eval loss {progress.eval_loss:.3f}")
    if progress.tokens_per_second:
        parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    if progress.eta_seconds is not None:
        minutes, seconds = divmod(round(progress.eta_seconds), 60)
        parts.append(f"ETA {minutes}:{seconds:02d}")
    return "  ".join(parts)
