"""The tracked run of a job: sent beside the training from metrics.jsonl, never in its way."""

import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from contracts.errors import UnavailableError
from contracts.record import JsonObject
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from training.metrics import read_metrics_from

POLL_SECONDS = 1.0
RESTART_SECONDS = 5.0
TRACKED_METRICS = (
    "loss",
    "eval_loss",
    "perplexity",
    "tokens_per_second",
    "memory_mb",
    "learning_rate",
    "grad_norm",
    "reward_margin",
    "reward_accuracy",
    "eval_reward_margin",
    "eval_reward_accuracy",
    "epoch",
)

log = logging.getLogger("training")


class Tracker(Protocol):
    """Where runs are told of. Only `start` may wait and raise UnavailableError; the rest returns at once."""

    def start(self) -> str:
        """Open the run, or go on with it; its id."""
        ...

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters of the run."""
        ...

    def log_metrics(
        self, step: int, metrics: Mapping[str, float | int | None], timestamp: datetime | None = None
    ) -> None:
        """Values at a step."""
        ...

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """More tags of the run."""
        ...

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """A file of the run."""
        ...

    def finish(self, status: str = "FINISHED") -> bool:
        """Send what waits and end the run; True when all of it was sent."""
        ...


class RunFollower:
    """Sends the lines of metrics.jsonl to a tracker as they appear.

    The run may open late, or never: training does not wait for it. tracking.json says which run it is and how far the
    file was sent, so that a resumed job goes on with the same run.
    """

    def __init__(
        self,
        tracker: Tracker | None,
        folder: JobFolder,
        params: Mapping[str, Any],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._tracker = tracker
        self._folder = folder
        self._params = params
        self._tags = tags or {}
        state = read_json(folder.tracking) or {}
        self.run_id = str(state["run_id"]) if state.get("run_id") else None
        self._sent_step = int(str(state.get("sent_step", -1)))
        self._offset = 0
        self._waiting: list[JsonObject] = []
        self._is_open = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="run-follower", daemon=True)

    def start(self) -> None:
        """Try once to open the run, then follow the file from a thread."""
        if self._tracker is None:
            return
        self._open()
        self._thread.start()

    def finish(self, status: str, artifacts: Mapping[Path, str | None]) -> None:
        """Send the rest, the artefacts, and the end."""
        if self._tracker is None:
            return
        self._ending.set()
        self._thread.join()
        if not self._is_open:
            self._open()
        if not self._is_open:
            log.warning("the run is not tracked yet; its metrics wait in %s", self._folder.metrics.name)
            return
        self._send_new_lines()
        for path, folder in artifacts.items():
            self._tracker.log_artifact(path, folder)
        self._tracker.finish(status)

    def _run(self) -> None:
        while not self._ending.wait(POLL_SECONDS if self._is_open else RESTART_SECONDS):
            try:
                if not self._is_open:
                    self._open()
                if self._is_open:
                    self._send_new_lines()
            except Exception:  # a fault of tracking must not end training
                log.exception("the run cannot be tracked just now")

    def _open(self) -> None:
        assert self._tracker is not None
        try:
            self.run_id = self._tracker.start()
        except UnavailableError as error:
            log.warning("training goes on untracked for now: %s", error)
            return
        self._is_open = True
        self._remember()
        self._tracker.log_params(self._params)
        if self._tags:
            self._tracker.set_tags(self._tags)

    def _send_new_lines(self) -> None:
        assert self._tracker is not None
        lines, self._offset = read_metrics_from(self._folder.metrics, self._offset)
        self._waiting += [line for line in lines if _step(line) > self._sent_step]
        # The newest step may still get its validation line: it goes out with the next one.
        newest = max((_step(line) for line in self._waiting), default=0)
        due = [line for line in self._waiting if self._ending.is_set() or _step(line) < newest]
        if not due:
            return
        for line in due:
            self._tracker.log_metrics(_step(line), _tracked(line), datetime.fromisoformat(str(line["timestamp"])))
        self._waiting = [line for line in self._waiting if line not in due]
        self._sent_step = max(map(_step, due))
        self._remember()

    def _remember(self) -> None:
        write_json_atomically(self._folder.tracking, {"run_id": self.run_id, "sent_step": self._sent_step})


def _step(line: JsonObject) -> int:
    return int(str(line["step"]))


def _tracked(line: JsonObject) -> dict[str, float]:
    return {name: float(str(line[name])) for name in TRACKED_METRICS if line.get(name) is not None}
