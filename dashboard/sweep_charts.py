"""The trials of a sweep as parallel coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from contracts.enums import TrialState
from dashboard.charts import laid_out
from dashboard.formats import percent, small
from dashboard.theme import BLUE, GREEN, GREY, ORANGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.enums import SweepMetric
    from contracts.sweeps import SearchRange, SweepReport, SweepTrial
    from dashboard.texts import Words

HEIGHT = 430
THIRDS = 3


@dataclass(frozen=True, slots=True)
class _Axis:
    """One vertical line: a number that was tried, or a result."""

    title: str
    ends: tuple[float, float] = (0.0, 1.0)
    is_log: bool = False
    choices: list[str] = field(default_factory=list)

    def place(self, value: object) -> float | None:
        """Between 0 at the bottom and 1 at the top."""
        if self.choices:
            if str(value) not in self.choices:
                return None
            return (self.choices.index(str(value)) + 0.5) / len(self.choices)
        if not isinstance(value, int | float):
            return None
        low, high, at = (log10(end) if self.is_log else end for end in (*self.ends, float(value)))
        return 0.5 if high == low else (at - low) / (high - low)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places and what stands beside them."""
        if self.choices:
            return [((index + 0.5) / len(self.choices), choice) for index, choice in enumerate(self.choices)]
        low, high = self.ends
        middle = (low * high) ** 0.5 if self.is_log else (low + high) / 2
        places = [(0.5, low)] if low == high else [(0.0, low), (0.5, middle), (1.0, high)]
        return [(place, f"{value:.3g}") for place, value in places]


@dataclass(frozen=True, slots=True)
class _Group:
    """Trials that look alike."""

    name: str
    trials: Sequence[SweepTrial]
    colour: str
    dash: str = "solid"
    width: float = 1.5
    symbol: str = "circle"
    opacity: float = 0.8


def sweep_chart(sweep: SweepReport, words: Words) -> go.Figure:
    """A line a trial, from axis to axis: what it tried, then what came of it. The best stand out."""
    objectives = sweep.request.objectives
    axes = [_tried(name, span, sweep, words) for name, span in sweep.request.search_space.items()]
    axes += [_result(metric, sweep, words) for metric in objectives]
    figure = go.Figure()
    for index, axis in enumerate(axes):
        figure.add_shape(type="line", x0=index, x1=index, y0=0, y1=1, line={"color": GREY, "width": 1})
        for place, text in axis.ticks:
            figure.add_annotation(
                x=index, y=place, text=text, showarrow=False, xanchor="right", xshift=-12, font={"size": 11}
            )
    for group in _groups(sweep, words):
        if group.trials:
            _add(figure, group, axes, sweep, words)
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(axes))),
        ticktext=[axis.title for axis in axes],
        range=[-0.35, len(axes) - 0.75],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(visible=False, range=[-0.05, 1.05])
    return laid_out(figure, height=HEIGHT, legend=True)


def _tried(name: str, span: SearchRange, sweep: SweepReport, words: Words) -> _Axis:
    share = sweep.importances.get(name)
    weight = "" if share is None else f"<br>{words('experiments.importance', share=percent(share, 0))}"
    if span.choices is not None:
        return _Axis(f"{name}{weight}", choices=[str(choice) for choice in span.choices])
    assert span.low is not None and span.high is not None, "a range without choices has both ends"
    return _Axis(f"{name}{weight}", (span.low, span.high), span.log)


def _result(metric: SweepMetric, sweep: SweepReport, words: Words) -> _Axis:
    values = [trial.results[metric] for trial in sweep.trials if metric in trial.results]
    better = words("experiments.more_is_better" if metric.is_to_grow else "experiments.less_is_better")
    ends = (min(values), max(values)) if values else (0.0, 1.0)
    return _Axis(f"{words.of(metric)}<br>{better}", ends)


def _groups(sweep: SweepReport, words: Words) -> list[_Group]:
    """By the first objective in thirds, those without a result apart, the best on top of all."""
    metric = sweep.request.objectives[0]
    ranked = sorted(
        (trial for trial in sweep.trials if trial.state is TrialState.COMPLETED and metric in trial.results),
        key=lambda trial: trial.results[metric],
        reverse=metric.is_to_grow,
    )
    cuts = [round(third * len(ranked) / THIRDS) for third in range(THIRDS + 1)]
    first, second, third = (
        [trial for trial in ranked[start:end] if trial.number not in sweep.best] for start, end in pairwise(cuts)
    )
    unfinished = [trial for trial in sweep.trials if trial.state is not TrialState.COMPLETED]
    best = [trial for trial in ranked if trial.number in sweep.best]
    return [
        _Group(words("experiments.unfinished"), unfinished, GREY, "2px,4px", 1, "x-thin-open", 0.55),
        _Group(words("experiments.worst_third"), third, ORANGE, "3px,4px"),
        _Group(words("experiments.middle_third"), second, GREY, "9px,4px"),
        _Group(words("experiments.best_third"), first, BLUE),
        _Group(words("experiments.best"), best, GREEN, "solid", 4, "star", 1.0),
    ]


def _add(figure: go.Figure, group: _Group, axes: Sequence[_Axis], sweep: SweepReport, words: Words) -> None:
    """One trace for all: a gap ends each trial's line."""
    tried, objectives = list(sweep.request.search_space), sweep.request.objectives
    x: list[float | None] = []
    y: list[float | None] = []
    told: list[str | None] = []
    for trial in group.trials:
        values = [*(trial.values.get(name) for name in tried), *(trial.results.get(metric) for metric in objectives)]
        said = _said(trial, words)
        for index, (axis, value) in enumerate(zip(axes, values, strict=True)):
            place = None if value is None else axis.place(value)
            if place is not None:
                x.append(index)
                y.append(place)
                told.append(said)
        x.append(None)
        y.append(None)
        told.append(None)
    figure.add_scatter(
        x=x,
        y=y,
        name=f"{group.name} ({len(group.trials)})",
        mode="lines+markers",
        opacity=group.opacity,
        line={"color": group.colour, "width": group.width, "dash": group.dash},
        marker={"color": group.colour, "size": 12 if group.symbol == "star" else 6, "symbol": group.symbol},
        customdata=told,
        hovertemplate="%{customdata}<extra></extra>",
    )


def _said(trial: SweepTrial, words: Words) -> str:
    lines = [f"{words('sweeps.trial')} {trial.number} · {words.of(trial.state)}"]
    lines += [f"{name} {small(value)}" for name, value in trial.values.items()]
    lines += [f"{words.of(metric)} {value:.4g}" for metric, value in trial.results.items()]
    return "<br>".join(lines)
