"""Follow a run of another trainer while it goes on, and take it over at its end.

Nothing here is lost with a kill: what was told stands in the other trainer's own files, and is read again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import InvalidDataError, JobFailedError
from storage.processes import die_with_parent
from training.checkpoints import PREFIX, step_of
from training.export.live import LiveRun
from training.export.outcome import read_outcome
from training.export.taking_over import link_checkpoints, take_over
from training.finetuning import run_params
from training.metrics import MetricsFile, ProgressWriter, read_metrics
from training.tracking import RunFollower

if TYPE_CHECKING:
    from contracts.record import JsonObject
    from contracts.training import TrainingReport
    from storage.job_folder import JobFolder
    from training.export.live import RunSoFar
    from training.output import Mark
    from training.plan import FollowedRun, TrainingPlan
    from training.tracking import Tracker

EXIT_CODE_STOPPED = 143
POLL_SECONDS = 1.0
SETTLED_SECONDS = 5.0
"""Weights that have not been touched for so long are whole: the other trainers write them in one go."""
SILENT_SECONDS = 600.0
"""A checkpoint may be long in coming; longer than this is worth a line in the log."""
END_SECONDS = 20.0
TAIL_CHARACTERS = 1500
PROGRESS = ("loss", "eval_loss", "learning_rate", "grad_norm")

log = logging.getLogger("training")


def follow(plan: TrainingPlan, folder: JobFolder, tracker: Tracker | None, mark: Mark | None = None) -> TrainingReport:
    """Progress, metrics and checkpoints as they come; at the end of the other run its output, marked, and a report.

    Starts the plan's command where there is one. On SIGTERM it ends that, and raises SystemExit(143).
    """
    assert plan.followed is not None
    followed, stopping = plan.followed, threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with ProgressWriter(folder, "starting") as progress:
        follower = RunFollower(tracker, folder, run_params(plan))
        follower.start()
        run = LiveRun(
            Path(followed.output),
            None if followed.log is None else Path(followed.log),
            plan.recipe.logging_steps,
            _last_step(followed) if followed.command else 0,
        )
        child = _start(followed) if followed.command else None
        metrics = MetricsFile(folder.metrics, sys.maxsize)
        try:
            _follow_to_end(run, followed, folder, child, stopping, progress, metrics)
        except SystemExit:
            follower.finish("KILLED", {})
            raise
        except (InvalidDataError, JobFailedError):
            follower.finish("FAILED", {})
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
            metrics.close()
            if child is not None:
                _end(child)
        progress.update(stage="saving")
        follower.finish("FINISHED", {})
        report = take_over(plan, folder, Path(followed.output), mark)
    return report.model_copy(update={"mlflow_run_id": follower.run_id})


def _follow_to_end(
    run: LiveRun,
    followed: FollowedRun,
    folder: JobFolder,
    child: subprocess.Popen[bytes] | None,
    stopping: threading.Event,
    progress: ProgressWriter,
    metrics: MetricsFile,
) -> None:
    """Return when the other run has ended well."""
    output = Path(followed.output)
    told = {_place(line) for line in read_metrics(folder.metrics)}
    heard_at, silences, has_begun = time.monotonic(), 0, False
    while True:
        if stopping.wait(POLL_SECONDS):
            if child is None:
                log.info("stopped on request: the other trainer goes on without being followed")
            raise SystemExit(EXIT_CODE_STOPPED)
        code = None if child is None else child.poll()
        now = run.look()
        if now is not None:
            heard_at, silences = time.monotonic(), 0
            if now.total_steps and not has_begun:
                has_begun = True
                progress.begin_steps(now.step, now.total_steps)
            _tell(now, told, progress, metrics)
            link_checkpoints(output, folder.checkpoints)
        progress.beat("training")  # the watchdog judges this process, and it is at work
        silent = time.monotonic() - heard_at
        if silent > SILENT_SECONDS * (silences + 1):
            silences += 1
            message = f"the other trainer has told nothing new for {silent / 60:.0f} min"
            progress.update(message=message)
            log.warning("%s: look at its own log, and whether it still runs", message)
        if code is not None and code != 0:
            raise JobFailedError(
                "The other trainer has failed",
                value=f"exit code {code}: {_tail(followed)}",
                next_step=f"read {followed.log}, then go on with the job: it starts the trainer again",
            )
        if code == 0 or (child is None and _is_settled(output)):
            try:
                read_outcome(output)
            except InvalidDataError:
                if code == 0:
                    raise
            else:
                return


def _tell(now: RunSoFar, told: set[tuple[int, bool]], progress: ProgressWriter, metrics: MetricsFile) -> None:
    """What is new goes to metrics.jsonl and the log, the newest to progress.json."""
    for line in now.lines:
        progress.update(**{name: line[name] for name in PROGRESS if name in line})
        if _place(line) in told:
            continue
        told.add(_place(line))
        metrics.append(line)
        values = {name: line[name] for name in PROGRESS if name in line}
        log.info("step %s/%d  %s", line["step"], now.total_steps, "  ".join(f"{k} {v:.4g}" for k, v in values.items()))
    progress.update(step=now.step, total_steps=now.total_steps, epoch=now.epoch, message="")


def _place(line: JsonObject) -> tuple[int, bool]:
    return int(str(line["step"])), "eval_loss" in line


def _is_settled(output: Path) -> bool:
    """Nothing in the folder itself, where the weights are left, has been written for a while."""
    try:
        times = [path.stat().st_mtime for path in output.iterdir() if path.is_file()]
    except OSError:  # not there yet, or just being changed
        return False
    return bool(times) and time.time() - max(times) > SETTLED_SECONDS


def _last_step(followed: FollowedRun) -> int:
    return max((step_of(path.name) for path in Path(followed.output).glob(f"{PREFIX}*")), default=0)


def _start(followed: FollowedRun) -> subprocess.Popen[bytes]:
    """The other trainer, with an environment of its own: our packages are not for it. It dies with this process."""
    assert followed.log is not None
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    log.info("starting %s", " ".join(followed.command))
    with Path(followed.log).open("wb") as output:
        return subprocess.Popen(
            followed.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=die_with_parent,
        )


def _end(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL; what it has started itself is ended by the job's launcher."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _tail(followed: FollowedRun) -> str:
    if followed.log is None:
        return ""
    return Path(followed.log).read_text(encoding="utf-8", errors="replace")[-TAIL_CHARACTERS:].strip()
