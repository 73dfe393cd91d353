"""Several fine-tuning jobs beside each other."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.datasets import DatasetVersion
from contracts.enums import CompressionMethod
from contracts.jobs import FinetuningJob
from dashboard.reading.keeping import FRESH_SECONDS, ask, kept
from dashboard.reading.thinning import smoothed, thinned
from dashboard.reading.training_traces import CURVE_POINTS, CurveSource, Measured, training_metrics
from dashboard.visits import Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.reading.training_traces import TrainingMetrics
    from database.unit_of_work import UnitOfWork

MOST_COMPARED = 8
"""As many colours as can be told apart."""
EPOCH = "epoch"


class CurveMetric(StrEnum):
    """What is drawn by step, in this order; named as in metrics.jsonl."""

    LOSS = "loss"
    EVAL_LOSS = "eval_loss"
    PERPLEXITY = "perplexity"
    REWARD_MARGIN = "reward_margin"
    REWARD_ACCURACY = "reward_accuracy"
    LEARNING_RATE = "learning_rate"
    TOKENS_PER_SECOND = "tokens_per_second"
    GRAD_NORM = "grad_norm"


SCATTERED = {
    CurveMetric.LOSS,
    CurveMetric.REWARD_MARGIN,
    CurveMetric.REWARD_ACCURACY,
    CurveMetric.TOKENS_PER_SECOND,
    CurveMetric.GRAD_NORM,
}
"""Of one batch, and so worth smoothing; what is measured over all validation rows, or planned, is shown as it is."""


class CurveAxis(StrEnum):
    """By what it is drawn."""

    STEP = "step"
    EPOCH = "epoch"
    TIME = "time"
    """Since the first value."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart, thinned: what was measured, and the same smoothed (None where nothing is)."""

    measured: list[tuple[float, float]]
    """By steps, epochs or seconds."""
    smooth: list[tuple[float, float]] | None

    @property
    def shown(self) -> list[tuple[float, float]]:
        """The line that is read."""
        return self.measured if self.smooth is None else self.smooth


@dataclass(frozen=True, slots=True)
class ComparedJob:
    """One of the jobs."""

    job: FinetuningJob
    dataset: DatasetVersion
    curves: dict[CurveMetric, Curve]
    source: CurveSource | None
    """None: nothing was measured yet."""

    @property
    def objective(self) -> str:
        """What its loss means: sft, dpo, distill."""
        if self.job.compression is CompressionMethod.DISTILL:
            return "distill"
        return str(self.job.hyperparameters.get("objective", "sft"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The jobs, in the order in which they were asked for."""

    jobs: list[ComparedJob]
    missing: list[int]
    """Those that are not there, or that the reader may not see: which of the two is not told."""


@kept(FRESH_SECONDS)
def compare_jobs(visit: Visit, job_ids: tuple[int, ...], axis: CurveAxis, smoothing: float) -> Comparison:
    """The jobs with their curves by the axis; with `smoothing` above 0 smoothed by that weight too."""
    compared = []
    for job, dataset in _readable_jobs(visit, job_ids):
        metrics = training_metrics(visit, job, [*CurveMetric, EPOCH])
        curves = {} if metrics is None else _curves(metrics, axis, smoothing)
        compared.append(ComparedJob(job, dataset, curves, None if metrics is None else metrics.source))
    found = {item.job.job_id for item in compared}
    return Comparison(compared, [job_id for job_id in job_ids if job_id not in found])


def curves_as_csv(visit: Visit, job_ids: tuple[int, ...]) -> str:
    """Every value that the jobs measured, not thinned: a line a job, metric and step."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["job_id", "job_name", "metric", "step", "epoch", "time", "value"])
    for job, _ in _readable_jobs(visit, job_ids):
        metrics = training_metrics(visit, job, [*CurveMetric, EPOCH])
        if metrics is None:
            continue
        epochs = {point.step: point.value for point in metrics.series.get(EPOCH, ())}
        for metric in CurveMetric:
            for point in metrics.series.get(metric, ()):
                at = "" if point.at is None else datetime.fromtimestamp(point.at, UTC).isoformat()
                epoch = epochs.get(point.step, "")
                table.writerow([job.job_id, job.job_name, metric.value, point.step, epoch, at, point.value])
    return text.getvalue()


def _readable_jobs(visit: Visit, job_ids: tuple[int, ...]) -> list[tuple[FinetuningJob, DatasetVersion]]:
    readable = visit.readable(ResourceKind.JOB, job_ids)

    def question(uow: UnitOfWork) -> list[tuple[FinetuningJob, DatasetVersion]]:
        jobs = [uow.jobs.get(job_id) for job_id in job_ids if job_id in readable]
        return [(job, uow.datasets.get(job.dataset_id)) for job in jobs]

    return ask(visit, question)


def _curves(metrics: TrainingMetrics, axis: CurveAxis, smoothing: float) -> dict[CurveMetric, Curve]:
    places = _places(metrics, axis)
    found = {}
    for metric in CurveMetric:
        points = [
            (place, point.value) for point in metrics.series.get(metric, ()) if (place := places(point)) is not None
        ]
        if points:
            found[metric] = _curve(points, smoothing if metric in SCATTERED else 0.0)
    return found


def _curve(points: list[tuple[float, float]], smoothing: float) -> Curve:
    smooth = None
    if smoothing > 0 and len(points) > 1:
        values = smoothed([value for _, value in points], smoothing)
        smooth = thinned([(place, value) for (place, _), value in zip(points, values, strict=True)], CURVE_POINTS)
    return Curve(thinned(points, CURVE_POINTS), smooth)


def _places(metrics: TrainingMetrics, axis: CurveAxis) -> Callable[[Measured], float | None]:
    """Where a value lies on the axis; None where that was not recorded."""
    if axis is CurveAxis.EPOCH:
        epochs = {point.step: point.value for point in metrics.series.get(EPOCH, ())}
        return lambda point: epochs.get(point.step)
    if axis is CurveAxis.TIME:
        start = min(
            (point.at for points in metrics.series.values() for point in points if point.at is not None), default=0.0
        )
        return lambda point: None if point.at is None else point.at - start
    return lambda point: point.step
