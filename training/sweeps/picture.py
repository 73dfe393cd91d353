"""A picture of a sweep: every trial's result, the best so far, and which numbers mattered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.enums import SweepMetric, TrialState

if TYPE_CHECKING:
    from contracts.sweeps import SweepReport, SweepTrial

_DONE, _PRUNED, _BEST, _FRONT = "#9aa5b1", "#d4a72c", "#1f6feb", "#cf222e"
_UNITS = {
    SweepMetric.EVAL_LOSS: "validation loss",
    SweepMetric.TRAIN_LOSS: "training loss",
    SweepMetric.DURATION_SECONDS: "duration (s)",
    SweepMetric.PEAK_MEMORY_MB: "peak memory (MB)",
    SweepMetric.TOKENS_PER_SECOND: "tokens/s",
}


def draw_sweep(report: SweepReport, path: Path) -> None:
    """Write a PNG: results over trials (with two objectives one against the other), the best trials' values, importances.

    Labels are the names of the recipe and of the metrics, as they stand in files.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    results, parallel, importance = figure.subplots(1, 3, width_ratios=[1.2, 1.4, 0.9])
    if len(report.request.objectives) > 1:
        _draw_front(results, report)
    else:
        _draw_history(results, report)
    _draw_parallel(parallel, report)
    _draw_importances(importance, report)
    figure.suptitle(report.sweep_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png")
    temporary.replace(path)


def _completed(report: SweepReport) -> list[SweepTrial]:
    return [trial for trial in report.trials if trial.state is TrialState.COMPLETED]


def _draw_history(axes: Any, report: SweepReport) -> None:
    metric = report.request.objectives[0]
    completed = _completed(report)
    values = [trial.results[metric] for trial in completed]
    axes.plot([trial.number for trial in completed], values, "o", color=_DONE, label="completed")
    pruned = [trial for trial in report.trials if trial.state is TrialState.PRUNED and trial.evaluations]
    axes.plot([t.number for t in pruned], [t.evaluations[-1] for t in pruned], "x", color=_PRUNED, label="pruned")
    choose = max if metric.is_to_grow else min
    so_far = [choose(values[: end + 1]) for end in range(len(values))]
    axes.step([trial.number for trial in completed], so_far, where="post", color=_BEST, label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(_UNITS[metric])
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_front(axes: Any, report: SweepReport) -> None:
    across, up = report.request.objectives[:2]
    for trial in _completed(report):
        is_best = trial.number in report.best
        axes.plot(trial.results[across], trial.results[up], "o", color=_FRONT if is_best else _DONE)
        if is_best:
            axes.annotate(
                str(trial.number),
                (trial.results[across], trial.results[up]),
                fontsize=8,
                xytext=(4, 3),
                textcoords="offset points",
            )
    axes.set_xlabel(_UNITS[across])
    axes.set_ylabel(_UNITS[up])
    axes.set_title("best trials in red, with their number", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_parallel(axes: Any, report: SweepReport) -> None:
    """One line a completed trial through its values; each axis goes from its range's low to its high."""
    names = list(report.request.search_space)
    places = {name: _places(report, name) for name in names}
    for trial in sorted(_completed(report), key=lambda trial: trial.number in report.best):
        heights = [places[name][str(trial.values[name])] for name in names]
        best = trial.number in report.best
        axes.plot(range(len(names)), heights, color=_BEST if best else _DONE, linewidth=2 if best else 0.8, marker="o")
    axes.set_xticks(range(len(names)), names, rotation=20, fontsize=8)
    axes.set_yticks([0, 1], ["low", "high"])
    axes.set_ylim(-0.08, 1.08)
    axes.set_title("what each trial took, the best in blue", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _places(report: SweepReport, name: str) -> dict[str, float]:
    """Height of each value on its axis, 0 to 1."""
    import math

    space = report.request.search_space[name]
    if space.choices is not None:
        last = max(1, len(space.choices) - 1)
        return {str(choice): index / last for index, choice in enumerate(space.choices)}
    assert space.low is not None and space.high is not None, "SearchRange refuses anything else"
    scale = math.log if space.log else float
    low, high = scale(space.low), scale(space.high)
    values = [trial.values[name] for trial in report.trials if name in trial.values]
    return {str(value): (scale(float(str(value))) - low) / (high - low) for value in values}


def _draw_importances(axes: Any, report: SweepReport) -> None:
    axes.set_title("share of the spread explained", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    if not report.importances:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "too few trials", ha="center", va="center", fontsize=9)
        return
    names = list(report.importances)[::-1]
    axes.barh(names, [report.importances[name] for name in names], color=_BEST)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlim(0, 1)
