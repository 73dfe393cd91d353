"""What watching a run costs: CPU time of metrics, progress, MLflow and the guard, as a share of the steps' own.

    python -m benchmarks.training_tracking

One training run of the recipe demo-lora with a real MLflow server beside it. Measured in CPU time, so that other work on
the machine does not count: of the tracking threads (progress.json twice a second, the follower of metrics.jsonl, the
sender to MLflow) between the first step and the last, and of the callbacks in the training thread itself. The share is of
what the process uses without them. MLflow's own server and the launcher's heartbeat are other processes.
"""

import argparse
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from benchmarks.measuring import base_model, own_folder, parser, report
from benchmarks.tracking_server import START_SECONDS, mlflow_server
from benchmarks.training_step import RECIPE, SEED, numbers, write_dataset
from registry.tracking import MlflowTracker
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from training import finetuning
from training.callbacks import run_callback
from training.guard import GuardedSteps
from training.plan import TrainingPlan

CALLBACKS = (
    "on_train_begin",
    "on_step_begin",
    "on_substep_end",
    "on_step_end",
    "on_log",
    "on_prediction_step",
    "on_save",
)


class Meter:
    """CPU seconds by part, between the beginning and the end of the steps."""

    def __init__(self) -> None:
        self.inside: dict[str, float] = {"callbacks": 0.0, "guard": 0.0}
        self.threads: dict[str, float] = {}
        self.process = 0.0
        self._threads_before: dict[int, float] = {}

    def wrap(self, part: str, function: Any) -> Any:
        """The function, its CPU time counted."""

        def counted(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                self.inside[part] += time.thread_time() - began

        return counted

    def begin(self) -> None:
        """The first step begins."""
        self.inside = dict.fromkeys(self.inside, 0.0)
        self._threads_before = _thread_seconds()
        self.process = -time.process_time()

    def end(self) -> None:
        """The last step has ended."""
        self.process += time.process_time()
        now = _thread_seconds()
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and thread.native_id in now:
                spent = now[thread.native_id] - self._threads_before.get(thread.native_id, 0.0)
                self.threads[thread.name] = self.threads.get(thread.name, 0.0) + spent


def _thread_seconds() -> dict[int, float]:
    return {thread.id: thread.user_time + thread.system_time for thread in psutil.Process().threads()}


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--steps", type=int, default=60)
    arguments.add_argument("--batch-size", type=int, default=32)
    options = arguments.parse_args()
    if options.tiny:
        options.steps, options.batch_size = 4, 4
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print (DeepSpeed does, at its import) goes where it spoils no JSON
    with own_folder() as folder, mlflow_server(folder) as url:
        meter, seconds = measure(options, folder, url)
    sys.stdout.flush()
    os.dup2(out, 1)
    tracking = sum(meter.threads.values()) + meter.inside["callbacks"]
    steps = meter.process - tracking - meter.inside["guard"]
    values = {
        "steps": options.steps,
        "step_cpu_ms": round(1000 * steps / options.steps, 1),
        "tracking_cpu_ms_per_step": round(1000 * tracking / options.steps, 2),
        "tracking_percent": round(100 * tracking / steps, 2),
        "guard_percent": round(100 * meter.inside["guard"] / steps, 2),
        "threads_cpu_seconds": {name: round(spent, 3) for name, spent in sorted(meter.threads.items())},
        "callbacks_cpu_seconds": round(meter.inside["callbacks"], 3),
        "wall_seconds": round(seconds, 1),
    }
    shown = ("step_cpu_ms", "tracking_cpu_ms_per_step", "tracking_percent", "guard_percent", "wall_seconds")
    report("training_tracking", options, {"recipe": RECIPE, **values}, [tuple(values[name] for name in shown)])


def measure(options: argparse.Namespace, folder: Path, url: str) -> tuple[Meter, float]:
    """One run, and the wall time of its steps."""
    model, meter = base_model(folder), Meter()
    dataset = write_dataset(folder / "dataset", options.batch_size * options.steps)
    job = JobFolder(folder / "job")
    plan = TrainingPlan(
        job_id=1,
        job_name="benchmark",
        dataset_id=1,
        dataset_path=str(dataset),
        base_model=model.name,
        base_model_path=str(model),
        recipe_name=RECIPE,
        recipe=numbers(options.batch_size),
        num_gpus=1,
        seed=SEED,
        keep_checkpoints=1,
    )
    write_json_atomically(job.plan, plan.model_dump(mode="json"))
    wall: list[float] = []

    def metered_callback(*given: Any, **named: Any) -> Any:
        callback = run_callback(*given, **named)
        for name in CALLBACKS:
            setattr(callback, name, meter.wrap("callbacks", getattr(callback, name)))
        begin = callback.on_train_begin

        def on_train_begin(*a: Any, **k: Any) -> None:
            begin(*a, **k)
            wall.append(time.monotonic())
            meter.begin()

        def on_train_end(*_: Any, **__: Any) -> None:
            meter.end()
            wall.append(time.monotonic())

        callback.on_train_begin, callback.on_train_end = on_train_begin, on_train_end
        return callback

    tracker = MlflowTracker(url, "benchmark", plan.job_name, {}, start_seconds=START_SECONDS)
    with (
        patch.object(finetuning, "run_callback", metered_callback),
        patch.object(GuardedSteps, "_judge", meter.wrap("guard", GuardedSteps._judge)),
    ):
        finetuning.finetune(plan, job, tracker)
    return meter, wall[1] - wall[0]


if __name__ == "__main__":
    main()
