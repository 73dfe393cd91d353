"""The MLflow run of a job: parameters, metrics and artefacts, sent beside the work and never in its way."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import UnavailableError
from contracts.record import utc_now
from registry.client import is_permanent, mlflow_errors, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

EXPERIMENT_NAME = "finetuning"
"""The experiment in which every fine-tuning job has its run."""
METRICS_PER_REQUEST = 1000
"""MLflow's own limit of a batch."""
PARAMS_PER_REQUEST = 100
MAX_VALUE_CHARACTERS = 6000
MAX_WAITING = 100_000
"""Calls that wait for MLflow at most; the oldest metrics go first then, and can be sent again from metrics.jsonl."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
FLUSH_SECONDS = 30.0
"""How long `finish` waits for what is still on its way."""
JOB_TAG = "tuneway.job"
"""The tag by which a job finds its run again."""
PARENT_TAG = "mlflow.parentRunId"
"""The tag by which MLflow shows a run below another one of the same experiment."""


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value of one metric."""

    key: str
    value: float
    step: int
    timestamp_ms: int


def _milliseconds(moment: datetime | None) -> int:
    return round((moment or utc_now()).timestamp() * 1000)


def _points(step: int, metrics: Mapping[str, float | int | None], timestamp: datetime | None) -> list[MetricPoint]:
    moment = _milliseconds(timestamp)
    return [
        MetricPoint(key, float(value), step, moment)
        for key, value in metrics.items()
        if value is not None and not isinstance(value, bool) and math.isfinite(value)
    ]


def ensure_run(
    tracking_url: str, experiment_name: str, run_name: str, tags: Mapping[str, str], run_id: str | None = None
) -> str:
    """The id of the job's run, set to running: the given one, the one with the same job tag, or a new one.

    Raises UnavailableError while MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    client = open_client(tracking_url)
    with mlflow_errors("The MLflow run cannot be opened", tracking_url):
        if run_id is not None:
            client.update_run(run_id, status="RUNNING")
            return run_id
        experiment = client.get_experiment_by_name(experiment_name)
        if experiment is None:
            try:
                experiment_id = client.create_experiment(experiment_name)
            except MlflowException:
                # another job made it a moment ago
                experiment = client.get_experiment_by_name(experiment_name)
                if experiment is None:
                    raise
                experiment_id = experiment.experiment_id
        else:
            experiment_id = experiment.experiment_id
        if JOB_TAG in tags:
            name = tags[JOB_TAG].replace("'", "")
            found = client.search_runs([experiment_id], f"tags.`{JOB_TAG}` = '{name}'", max_results=1)
            if found:
                client.update_run(found[0].info.run_id, status="RUNNING")
                return str(found[0].info.run_id)
        run = client.create_run(experiment_id, run_name=run_name, tags={key: str(value) for key, value in tags.items()})
        return str(run.info.run_id)


def finish_run(tracking_url: str, run_id: str, status: str = "FINISHED") -> None:
    """End a run: FINISHED, FAILED or KILLED."""
    with mlflow_errors("The MLflow run cannot be ended", tracking_url):
        open_client(tracking_url).set_terminated(run_id, status)


class MlflowTracker:
    """One run, written by a thread of its own.

    `start` alone speaks to MLflow before it returns. The other calls return at once; while MLflow or its database is
    away, what they were given waits and is sent in order when it is back. Every call is idempotent at MLflow's side, so
    that sending twice does no harm.
    """

    def __init__(
        self,
        tracking_url: str,
        experiment_name: str,
        run_name: str,
        tags: Mapping[str, str],
        run_id: str | None = None,
        *,
        start_seconds: float = 30.0,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._tracking_url = tracking_url
        self._experiment_name = experiment_name
        self._run_name = run_name
        self._tags = dict(tags)
        self._run_id = run_id
        self._start_seconds = start_seconds
        self._flush_seconds = flush_seconds
        self._waiting: deque[list[MetricPoint] | Callable[[MlflowClient, str], None]] = deque()
        self._changed = threading.Condition()
        self._in_flight = False
        self._closing = False
        self._thread: threading.Thread | None = None
        self.dropped_points = 0
        """Metric values that were not sent: MLflow was away for too long, or refused them."""

    @property
    def run_id(self) -> str | None:
        """The run's id, once started."""
        return self._run_id

    def start(self) -> str:
        """Open the run and return its id. Raises UnavailableError when MLflow stays away for `start_seconds`."""
        deadline, pause = time.monotonic() + self._start_seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                run_id = ensure_run(self._tracking_url, self._experiment_name, self._run_name, self._tags, self._run_id)
                break
            except UnavailableError:
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        self._run_id = run_id
        self._thread = threading.Thread(target=self._send_all, name="mlflow-tracker", daemon=True)
        self._thread.start()
        return run_id

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters of the run; a nested mapping becomes dotted names."""
        from mlflow.entities import Param

        entities = [Param(key, str(value)[:MAX_VALUE_CHARACTERS]) for key, value in _flat(params).items()]

        def send(client: MlflowClient, run_id: str) -> None:
            for first in range(0, len(entities), PARAMS_PER_REQUEST):
                client.log_batch(run_id, params=entities[first : first + PARAMS_PER_REQUEST])

        self._enqueue(send)

    def log_metrics(
        self, step: int, metrics: Mapping[str, float | int | None], timestamp: datetime | None = None
    ) -> None:
        """Values at a step; None and what is not finite is left out."""
        points = _points(step, metrics, timestamp)
        if points:
            self._enqueue(points)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder with all in it, to the run's artefacts."""

        def send(client: MlflowClient, run_id: str) -> None:
            if path.is_dir():
                client.log_artifacts(run_id, str(path), folder)
            else:
                client.log_artifact(run_id, str(path), folder)

        self._enqueue(send)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags to the run."""

        def send(client: MlflowClient, run_id: str) -> None:
            for key, value in tags.items():
                client.set_tag(run_id, key, value)

        self._enqueue(send)

    def finish(self, status: str = "FINISHED") -> bool:
        """End the run (FINISHED, FAILED, KILLED) after what waits was sent; True if all of it was in time."""
        if self._thread is None:
            return False
        self._enqueue(lambda client, run_id: client.set_terminated(run_id, status))
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(self._flush_seconds)
        if self._thread.is_alive():
            log.warning(
                "MLflow did not take everything within %.0f s: %d calls were not sent. "
                "The metrics can be sent again from metrics.jsonl",
                self._flush_seconds,
                len(self._waiting),
            )
            return False
        return self.dropped_points == 0

    def _enqueue(self, item: list[MetricPoint] | Callable[[MlflowClient, str], None]) -> None:
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                self._drop_oldest_points()
            self._waiting.append(item)
            self._changed.notify_all()

    def _drop_oldest_points(self) -> None:
        for index, item in enumerate(self._waiting):
            if isinstance(item, list):
                self.dropped_points += len(item)
                del self._waiting[index]
                return

    def _take(self) -> tuple[list[MetricPoint], Callable[[MlflowClient, str], None] | None] | None:
        """The next thing to send: as many metric values as fit one request, or one call. None at the end."""
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            if not isinstance(self._waiting[0], list):
                call = self._waiting.popleft()
                assert callable(call)
                return [], call
            points: list[MetricPoint] = []
            while self._waiting and isinstance(item := self._waiting[0], list):
                if points and len(points) + len(item) > METRICS_PER_REQUEST:
                    break
                points.extend(item)
                self._waiting.popleft()
            return points, None

    def _send_all(self) -> None:
        assert self._run_id is not None
        client = open_client(self._tracking_url)
        while (taken := self._take()) is not None:
            points, call = taken
            if not self._send_until_taken(client, self._run_id, points, call):
                self.dropped_points += len(points)

    def _send_until_taken(
        self,
        client: MlflowClient,
        run_id: str,
        points: list[MetricPoint],
        call: Callable[[MlflowClient, str], None] | None,
    ) -> bool:
        """Send, again and again while MLflow is away; False when MLflow refuses for good."""
        pause, complained = FIRST_PAUSE_SECONDS, False
        while True:
            try:
                if call is not None:
                    call(client, run_id)
                else:
                    send_points(client, run_id, points)
            except Exception as error:  # noqa: BLE001 - the edge of a thread: tracking must never end training
                if is_permanent(error) or (isinstance(error, OSError) and call is not None and not _is_network(error)):
                    log.warning("MLflow refused a call for good: %s", str(error).strip().splitlines()[:1])
                    return False
                if not complained:
                    log.warning("MLflow is away; metrics wait until it is back (%s)", type(error).__name__)
                    complained = True
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                if complained:
                    log.info("MLflow is back")
                return True


def _is_network(error: OSError) -> bool:
    from requests import RequestException

    return isinstance(error, RequestException | ConnectionError | TimeoutError)


def _flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def send_points(client: MlflowClient, run_id: str, points: list[MetricPoint]) -> None:
    """Send metric values; those that MLflow has already are not doubled."""
    from mlflow.entities import Metric

    entities = [Metric(point.key, point.value, point.timestamp_ms, point.step) for point in points]
    for first in range(0, len(entities), METRICS_PER_REQUEST):
        client.log_batch(run_id, metrics=entities[first : first + METRICS_PER_REQUEST])


def _moment_ms(value: Any) -> int:
    """A line's time: ISO 8601 text, or seconds since 1970."""
    if isinstance(value, str):
        return round(datetime.fromisoformat(value).timestamp() * 1000)
    return round(float(value) * 1000)


def read_metrics(metrics_jsonl: Path) -> list[MetricPoint]:
    """The metric series of a job folder's metrics.jsonl; a last line that a kill cut off is left out."""
    points: list[MetricPoint] = []
    if not metrics_jsonl.exists():
        return points
    for text in metrics_jsonl.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if not isinstance(line, dict) or "step" not in line or "timestamp" not in line:
            continue
        values = line["metrics"] if isinstance(line.get("metrics"), dict) else line
        moment = _moment_ms(line["timestamp"])
        points.extend(
            MetricPoint(key, float(value), int(line["step"]), moment)
            for key, value in values.items()
            if key not in {"step", "timestamp"}
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
        )
    return points


def send_missing_metrics(tracking_url: str, run_id: str, metrics_jsonl: Path) -> int:
    """Send the values of metrics.jsonl whose metric and step the run lacks; how many those were. Safe to repeat.

    A step that was done twice (a resumed job) counts once, with its newest value.
    """
    newest = {(point.key, point.step): point for point in read_metrics(metrics_jsonl)}
    if not newest:
        return 0
    client = open_client(tracking_url)
    with mlflow_errors("The missing metrics cannot be sent", tracking_url):
        present = {
            (key, metric.step)
            for key in sorted({key for key, _ in newest})
            for metric in client.get_metric_history(run_id, key)
        }
        missing = [point for place, point in newest.items() if place not in present]
        send_points(client, run_id, missing)
    return len(missing)


def log_run_results(
    tracking_url: str,
    run_id: str,
    *,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    artifacts: Mapping[str, Path] | None = None,
) -> None:
    """Add results to a run that may have ended: metrics (at step 0, doubled by no repetition), tags, and files by folder.

    Raises UnavailableError while MLflow does not answer.
    """
    client = open_client(tracking_url)
    with mlflow_errors("The results cannot be added to the MLflow run", tracking_url):
        run = client.get_run(run_id)
        # the moment is the run's own, so that sending again is the same value and not a second one
        moment = int(run.info.start_time)
        send_points(client, run_id, [MetricPoint(key, value, 0, moment) for key, value in (metrics or {}).items()])
        for key, value in (tags or {}).items():
            client.set_tag(run_id, key, value)
        for folder, path in (artifacts or {}).items():
            if path.is_dir():
                client.log_artifacts(run_id, str(path), folder)
            else:
                client.log_artifact(run_id, str(path), folder or None)
