"""The lines of several trainings in one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from dashboard.charts import laid_out
from dashboard.reading import CurveAxis, CurveMetric
from dashboard.theme import RUN_COLOURS, RUN_DASHES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.reading import Curve
    from dashboard.texts import Words

LONG_SECONDS = 3 * 3600
"""A longer training is told in hours."""
FEW_POINTS = 30
"""So many are marked each."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One training's line."""

    label: str
    slot: int
    """Which colour and which dash it has, in every chart."""
    curve: Curve


def curve_chart(
    metric: CurveMetric, lines: Sequence[RunLine], axis: CurveAxis, words: Words, *, log: bool
) -> go.Figure:
    """What was measured by the axis; where it is smoothed, the measured line lies faint behind."""
    figure = go.Figure()
    divisor, axis_title = _unit(lines, axis, words)
    for line in lines:
        if line.curve.smooth is not None:
            _add(figure, line, line.curve.measured, divisor, is_behind=True)
    for line in lines:
        _add(figure, line, line.curve.shown, divisor)
    figure.update_xaxes(title=axis_title, rangemode="tozero")
    figure.update_yaxes(title=words.of(metric), type="log" if log else "linear", exponentformat="e")
    return laid_out(figure, height=330, legend=True)


def _add(
    figure: go.Figure, line: RunLine, points: Sequence[tuple[float, float]], divisor: float, *, is_behind: bool = False
) -> None:
    colour = RUN_COLOURS[line.slot]
    places = [place / divisor for place, _ in points]
    figure.add_scatter(
        x=places,
        y=[value for _, value in points],
        name=line.label,
        legendgroup=line.label,
        showlegend=not is_behind,
        mode="lines+markers" if len(points) <= FEW_POINTS and not is_behind else "lines",
        opacity=0.28 if is_behind else 1.0,
        line={"color": colour, "width": 1 if is_behind else 2.2, "dash": "solid" if is_behind else RUN_DASHES[line.slot]},
        marker={"color": colour, "size": 6},
        hoverinfo="skip" if is_behind else None,
        hovertemplate=None if is_behind else f"%{{x:,.5~r}}: %{{y:.4~g}}<extra>{line.label}</extra>",
    )  # fmt: skip


def _unit(lines: Sequence[RunLine], axis: CurveAxis, words: Words) -> tuple[float, str]:
    """By what places are divided, and what the axis is called."""
    if axis is not CurveAxis.TIME:
        return 1, words.of(axis)
    longest = max((line.curve.measured[-1][0] for line in lines), default=0.0)
    divisor, unit = (3600, "hours") if longest > LONG_SECONDS else (60, "minutes") if longest > 180 else (1, "seconds")
    return divisor, words(f"experiments.time_in_{unit}")
