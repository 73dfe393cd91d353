"""What a training leaves while it runs: the values it measured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from contracts.jobs import FinetuningJob
from dashboard.reading.thinning import thinned
from registry.tracking import read_metrics
from stages.services import Services
from storage.job_folder import JobFolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MLFLOW_TIMEOUT_SECONDS = 3.0
CURVE_POINTS = 400
"""A chart of 700 pixels shows no more."""
LOSS, EVAL_LOSS, PERPLEXITY = "loss", "eval_loss", "perplexity"
OTHER_NAMES = {LOSS: "train_loss"}
"""What a trainer of another make calls it."""
FILES_REMEMBERED = 16
"""Twice what one comparison reads."""


class CurveSource(StrEnum):
    """Where a job's values were read: the first of these that has any."""

    METRICS = "metrics"
    MLFLOW = "mlflow"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of a job at a step."""

    step: int
    value: float
    at: float | None
    """Seconds since 1970; None where only the report tells of it."""


@dataclass(frozen=True, slots=True)
class TrainingMetrics:
    """What a job has measured so far: each series by step, none of them empty."""

    series: Mapping[str, Sequence[Measured]]
    source: CurveSource


@dataclass(frozen=True, slots=True)
class LossCurve:
    """(step, value) series of a job."""

    train: list[tuple[int, float]]
    evaluation: list[tuple[int, float]]
    source: CurveSource


def training_metrics(services: Services, job: FinetuningJob, keys: Iterable[str]) -> TrainingMetrics | None:
    """The job's series of these names: from its folder, else from MLflow, else from its report; None before the first."""
    wanted = set(keys)
    asked = wanted | {other for key, other in OTHER_NAMES.items() if key in wanted}
    for source in CurveSource:
        found = {key: points for key, points in _read(source, services, job, asked).items() if points and key in asked}
        for key, other in OTHER_NAMES.items():
            if other in found:
                points = found.pop(other)
                found.setdefault(key, points)
        if found:
            return TrainingMetrics(found, source)
    return None


def loss_curve(services: Services, job: FinetuningJob) -> LossCurve | None:
    """The job's losses so far; None before the first."""
    measured = training_metrics(services, job, (LOSS, EVAL_LOSS))
    if measured is None:
        return None
    train, evaluation = (
        thinned([(point.step, point.value) for point in measured.series.get(key, ())], CURVE_POINTS)
        for key in (LOSS, EVAL_LOSS)
    )
    return LossCurve(train, evaluation, measured.source)


def _read(
    source: CurveSource, services: Services, job: FinetuningJob, keys: Iterable[str]
) -> Mapping[str, Sequence[Measured]]:
    match source:
        case CurveSource.METRICS:
            return _of_folder(job)
        case CurveSource.MLFLOW:
            return _of_mlflow(services, job, sorted(keys))
        case CurveSource.REPORT:
            return _of_report(job)


def _of_folder(job: FinetuningJob) -> Mapping[str, Sequence[Measured]]:
    folder = job_folder(job)
    if folder is None:
        return {}
    try:
        present = folder.metrics.stat()
    except OSError:
        return {}
    return _of_file(folder.metrics, present.st_ino, present.st_size, present.st_mtime_ns)


@lru_cache(maxsize=FILES_REMEMBERED)
def _of_file(path: Path, _inode: int, _size: int, _changed_at: int) -> Mapping[str, Sequence[Measured]]:
    """Read once as long as it does not change: thousands of lines take a tenth of a second."""
    # a step that was done twice (a resumed job) counts once, with its newest value
    newest = {(point.key, point.step): point for point in read_metrics(path)}
    series: dict[str, list[Measured]] = {}
    for (key, step), point in sorted(newest.items()):
        series.setdefault(key, []).append(Measured(step, point.value, point.timestamp_ms / 1000))
    return series


def _of_mlflow(services: Services, job: FinetuningJob, keys: Sequence[str]) -> Mapping[str, Sequence[Measured]]:
    if job.mlflow_run_id is None:
        return {}
    address = f"{services.settings.resolved_mlflow_tracking_url}/api/2.0/mlflow/metrics/get-history"
    series: dict[str, list[Measured]] = {}
    try:
        with httpx.Client(timeout=MLFLOW_TIMEOUT_SECONDS, trust_env=False) as client:
            for key in keys:
                response = client.get(address, params={"run_id": job.mlflow_run_id, "metric_key": key})
                if response.is_error:
                    return {}
                found = [
                    Measured(int(point["step"]), float(point["value"]), int(point["timestamp"]) / 1000)
                    for point in response.json().get("metrics", [])
                ]
                newest = {point.step: point for point in sorted(found, key=lambda point: point.at or 0)}
                series[key] = [newest[step] for step in sorted(newest) if isfinite(newest[step].value)]
    except (httpx.HTTPError, ValueError, KeyError):
        return {}
    return series


def _of_report(job: FinetuningJob) -> Mapping[str, Sequence[Measured]]:
    report = job.report
    if report is None:
        return {}
    at_the_end = {EVAL_LOSS: report.eval_loss, PERPLEXITY: report.perplexity}
    return {
        LOSS: [Measured(step, value, None) for step, value in report.loss_curve],
        **{key: [Measured(report.steps, value, None)] for key, value in at_the_end.items() if value is not None},
    }


def metric_series(path: Path, most: int) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of each metric in a metrics.jsonl, `most` of each; nothing before the first."""
    try:
        present = path.stat()
    except OSError:
        return {}
    found = _of_file(path, present.st_ino, present.st_size, present.st_mtime_ns)
    return {key: thinned([(point.step, point.value) for point in points], most) for key, points in found.items()}


def job_folder(job: FinetuningJob) -> JobFolder | None:
    """The job's folder, where its row says where it writes checkpoints."""
    return None if job.checkpoint_dir is None else JobFolder(Path(job.checkpoint_dir).parent)
