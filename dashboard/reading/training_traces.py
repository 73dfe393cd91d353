"""What a training leaves while it runs: its loss curve and the end of its log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from contracts.jobs import FinetuningJob
from registry.tracking import read_metrics
from stages.services import Services
from storage.job_folder import JobFolder

MLFLOW_TIMEOUT_SECONDS = 3.0
CURVE_POINTS = 400
"""A chart of 700 pixels shows no more."""
LOG_TAIL_BYTES = 64 * 1024
LOG_TAIL_LINES = 200
TRAIN_LOSS_KEYS = ("loss", "train_loss")
EVAL_LOSS_KEY = "eval_loss"


class CurveSource(StrEnum):
    """Where a loss curve was read."""

    METRICS = "metrics"
    MLFLOW = "mlflow"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class LossCurve:
    """(step, value) series of a job."""

    train: list[tuple[int, float]]
    evaluation: list[tuple[int, float]]
    source: CurveSource


def loss_curve(services: Services, job: FinetuningJob) -> LossCurve | None:
    """The job's losses so far: from its folder, else from MLflow, else from its report; None before the first."""
    return _curve_of_folder(job) or _curve_of_mlflow(services, job) or _curve_of_report(job)


def _curve_of_folder(job: FinetuningJob) -> LossCurve | None:
    folder = job_folder(job)
    if folder is None:
        return None
    # a step that was done twice (a resumed job) counts once, with its newest value
    newest = {(point.key, point.step): point.value for point in read_metrics(folder.metrics)}
    series = {
        key: sorted((step, value) for (name, step), value in newest.items() if name == key)
        for key in (*TRAIN_LOSS_KEYS, EVAL_LOSS_KEY)
    }
    return _curve(series, CurveSource.METRICS)


def _curve_of_mlflow(services: Services, job: FinetuningJob) -> LossCurve | None:
    if job.mlflow_run_id is None:
        return None
    address = f"{services.settings.resolved_mlflow_tracking_url}/api/2.0/mlflow/metrics/get-history"
    series: dict[str, list[tuple[int, float]]] = {}
    try:
        with httpx.Client(timeout=MLFLOW_TIMEOUT_SECONDS, trust_env=False) as client:
            for key in (*TRAIN_LOSS_KEYS, EVAL_LOSS_KEY):
                response = client.get(address, params={"run_id": job.mlflow_run_id, "metric_key": key})
                if response.is_error:
                    return None
                points = response.json().get("metrics", [])
                series[key] = sorted((int(point["step"]), float(point["value"])) for point in points)
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return _curve(series, CurveSource.MLFLOW)


def _curve_of_report(job: FinetuningJob) -> LossCurve | None:
    if job.report is None:
        return None
    evaluation = [(job.report.steps, job.report.eval_loss)] if job.report.eval_loss is not None else []
    return _curve({TRAIN_LOSS_KEYS[0]: list(job.report.loss_curve), EVAL_LOSS_KEY: evaluation}, CurveSource.REPORT)


def _curve(series: dict[str, list[tuple[int, float]]], source: CurveSource) -> LossCurve | None:
    train = next((series[key] for key in TRAIN_LOSS_KEYS if series.get(key)), [])
    evaluation = series.get(EVAL_LOSS_KEY, [])
    if not train and not evaluation:
        return None
    return LossCurve(_thinned(train), _thinned(evaluation), source)


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most CURVE_POINTS points, evenly taken, the last one always among them."""
    stride = -(-len(points) // CURVE_POINTS) or 1
    return points[:-1][::stride] + points[-1:]


def job_folder(job: FinetuningJob) -> JobFolder | None:
    """The job's folder, where its row says where it writes checkpoints."""
    return None if job.checkpoint_dir is None else JobFolder(Path(job.checkpoint_dir).parent)


def log_tail(job: FinetuningJob) -> list[str]:
    """The last lines of the newest attempt's output."""
    if job.logs_path is None:
        return []
    place = Path(job.logs_path)
    folder = place if place.is_dir() else place.parent.parent
    attempts = sorted(folder.glob("attempt-*/output.log"), key=lambda path: int(path.parent.name.rpartition("-")[2]))
    path = attempts[-1] if attempts else place
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            start = max(0, stream.tell() - LOG_TAIL_BYTES)
            stream.seek(start)
            raw = stream.read()
    except OSError:
        return []
    lines = raw.decode("utf-8", errors="replace").splitlines()
    # progress bars rewrite their line with carriage returns; the first line is cut where the file is longer
    return [line for line in lines[1 if start else 0 :] if line.strip()][-LOG_TAIL_LINES:]
