"""Pictures of records. Axes are named; colours come from the theme; the words are the page's."""

from __future__ import annotations

from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from dashboard.formats import SEOUL, interval, loss, moment, number, percent, score
from dashboard.theme import BASE_COLOUR, EVAL_COLOUR, GREEN, ORANGE, SERIES, TRAIN_COLOUR, TUNED_COLOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.evaluation import Accuracy, GateVerdict, SuiteReport
    from contracts.experiment_plans import SizePoint
    from contracts.model_listings import ScorePoint
    from contracts.record import JsonObject
    from dashboard.reading import LossCurve
    from dashboard.texts import Words

ROW_PIXELS = 34
LONGEST_LABEL = 26


def loss_chart(curve: LossCurve, words: Words) -> go.Figure:
    """Training loss as a line, eval loss as points on a line."""
    figure = go.Figure()
    series = (
        (curve.train, words("chart.train_loss"), TRAIN_COLOUR, "lines"),
        (curve.evaluation, words("chart.eval_loss"), EVAL_COLOUR, "lines+markers"),
    )
    for points, name, colour, mode in series:
        if points:
            figure.add_scatter(
                x=[step for step, _ in points],
                y=[value for _, value in points],
                name=name,
                mode=mode if len(points) > 1 else "markers",
                line={"color": colour, "width": 2},
                marker={"color": colour, "size": 8},
                customdata=[loss(value) for _, value in points],
                hovertemplate=f"{words('chart.step')} %{{x}}: %{{customdata}}<extra>{name}</extra>",
            )
    figure.update_xaxes(title=words("chart.step"), rangemode="tozero")
    figure.update_yaxes(title=words("chart.loss"), rangemode="tozero")
    return laid_out(figure, height=300, legend=True)


def sparkline(points: Sequence[tuple[int, float]]) -> go.Figure:
    """The course of a loss, without axes; the last value is marked."""
    figure = go.Figure()
    steps, values = [step for step, _ in points], [value for _, value in points]
    figure.add_scatter(x=steps, y=values, mode="lines", line={"color": TRAIN_COLOUR, "width": 2}, hoverinfo="skip")
    figure.add_scatter(
        x=steps[-1:], y=values[-1:], mode="markers", marker={"color": TRAIN_COLOUR, "size": 7}, hoverinfo="skip"
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, rangemode="tozero")
    figure = laid_out(figure, height=72, legend=False)
    return figure.update_layout(margin={"l": 2, "r": 8, "t": 4, "b": 4})


def bars(counts: Sequence[tuple[str, int]], axis: str, colour: str = TUNED_COLOUR) -> go.Figure:
    """Horizontal bars, longest first, each with its number."""
    return _horizontal_bars(sorted(counts, key=lambda item: item[1]), axis, colour)


def bars_in_order(counts: Sequence[tuple[str, int]], axis: str, colour: str = TUNED_COLOUR) -> go.Figure:
    """Horizontal bars in the order given, from the top, each with its number."""
    return _horizontal_bars(counts, axis, colour).update_yaxes(autorange="reversed")


def _horizontal_bars(counts: Sequence[tuple[str, int]], axis: str, colour: str) -> go.Figure:
    """The first one is lowest."""
    figure = go.Figure()
    figure.add_bar(
        x=[value for _, value in counts],
        y=[name for name, _ in counts],
        orientation="h",
        marker={"color": colour},
        text=[number(value) for _, value in counts],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:,}<extra></extra>",
        width=0.62,
    )
    largest = max((value for _, value in counts), default=1)
    figure.update_xaxes(title=axis, range=[0, largest * 1.16], rangemode="tozero")
    return laid_out(figure, height=64 + ROW_PIXELS * len(counts), legend=False)


def histogram(told: JsonObject, axis: str, count_axis: str, title: str) -> go.Figure:
    """Stored counts between stored edges."""
    edges, counts = _floats(told.get("edges")), _floats(told.get("counts"))
    figure = go.Figure()
    figure.add_bar(
        x=[(before + after) / 2 for before, after in pairwise(edges)],
        y=counts,
        width=[(after - before) * 0.94 for before, after in pairwise(edges)],
        marker={"color": TUNED_COLOUR},
        customdata=[f"{before:g}–{after:g}" for before, after in pairwise(edges)],
        hovertemplate=f"%{{customdata}}: %{{y:,}}<extra>{title}</extra>",
    )
    figure.update_xaxes(title=axis)
    figure.update_yaxes(title=count_axis, rangemode="tozero")
    return laid_out(figure, height=230, legend=False).update_layout(
        title={"text": title, "font": {"size": 14}}, margin={"t": 40}
    )


def shares_chart(counts: dict[str, dict[str, int]], axis: str) -> go.Figure:
    """Of each side the share that each category has: bars beside each other, which are of one length where the sides are alike."""
    figure = go.Figure()
    names = sorted({name for side in counts.values() for name in side})
    for (side, held), (colour, _) in zip(counts.items(), SERIES, strict=False):
        total = sum(held.values()) or 1
        figure.add_bar(
            x=[100 * held.get(name, 0) / total for name in names],
            y=names,
            orientation="h",
            name=side,
            marker={"color": colour},
            customdata=[number(held.get(name, 0)) for name in names],
            hovertemplate=f"%{{y}}: %{{x:.1f}} % (%{{customdata}})<extra>{side}</extra>",
        )
    figure.update_xaxes(title=axis, rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    return laid_out(figure, height=110 + 22 * len(names) * max(1, len(counts)), legend=True)


def _floats(values: object) -> list[float]:
    return [float(str(value)) for value in values] if isinstance(values, list) else []


def spread_chart(spreads: Sequence[tuple[str, JsonObject]], axis: str) -> go.Figure:
    """A box a row from stored quantiles: the box holds the middle half, the whiskers reach the extremes."""
    figure = go.Figure()
    ordered = list(reversed(spreads))
    figure.add_box(
        y=[name for name, _ in ordered],
        orientation="h",
        marker={"color": TUNED_COLOUR},
        line={"width": 1.5},
        **{
            argument: [quantiles[name] for _, quantiles in ordered]
            for argument, name in (
                ("lowerfence", "min"),
                ("q1", "p25"),
                ("median", "median"),
                ("q3", "p75"),
                ("upperfence", "max"),
                ("mean", "mean"),
            )
        },
    )
    figure.update_xaxes(title=axis)
    return laid_out(figure, height=84 + 40 * len(ordered), legend=False)


def accuracy_chart(suites: Sequence[SuiteReport], bar: float | None, words: Words) -> go.Figure:
    """Dot and whisker: both models on every suite, 95 % intervals; the gate's bar beside the first suite, which it judges."""
    labels = [words("chart.suite", name=_short(suite.name), n=number(suite.tuned.n)) for suite in suites]
    figure = go.Figure()
    for which, colour, symbol, offset in (
        ("base", BASE_COLOUR, "circle-open", 0.16),
        ("tuned", TUNED_COLOUR, "circle", -0.16),
    ):
        accuracies: list[Accuracy] = [getattr(suite, which) for suite in suites]
        _add_dots(figure, accuracies, words(f"chart.{which}"), colour, symbol, offset)
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(suites))),
        ticktext=[_two_lines(label) for label in labels],
        range=[len(suites) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    _percent_axis(figure, words)
    if bar is not None:
        _add_bar_line(figure, bar, words, rows=(-0.5, 0.5))
    figure = laid_out(figure, height=150 + 64 * len(suites), legend=True)
    # room for the bar's label between the legend and the first row
    return figure.update_layout(margin={"t": 58}, legend={"y": 1.0 + 24 / (64 * len(suites) + 20)})


def _add_dots(
    figure: go.Figure, accuracies: list[Accuracy], name: str, colour: str, symbol: str, offset: float
) -> None:
    figure.add_scatter(
        x=[accuracy.accuracy * 100 for accuracy in accuracies],
        y=[row - offset for row in range(len(accuracies))],
        name=name,
        mode="markers",
        marker={"color": colour, "size": 11, "symbol": symbol, "line": {"color": colour, "width": 2.5}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(accuracy.interval.upper - accuracy.accuracy) * 100 for accuracy in accuracies],
            "arrayminus": [(accuracy.accuracy - accuracy.interval.lower) * 100 for accuracy in accuracies],
            "color": colour,
            "thickness": 2,
            "width": 5,
        },
        customdata=[f"{percent(accuracy.accuracy)} ({interval(accuracy.interval)})" for accuracy in accuracies],
        hovertemplate=f"%{{customdata}}<extra>{name}</extra>",
    )


def score_history_chart(points: Sequence[ScorePoint], words: Words) -> go.Figure:
    """Each suite's score over time, with 95 % intervals: a line for each engine, since only these compare."""
    figure = go.Figure()
    series = dict.fromkeys((point.suite, point.engine) for point in points)
    for (suite, engine), (colour, symbol) in zip(series, cycle(SERIES), strict=False):
        own = [point for point in points if (point.suite, point.engine) == (suite, engine)]
        bounds = [(point.score.value, point.score.interval) for point in own]
        figure.add_scatter(
            x=[point.at.astimezone(SEOUL) for point in own],
            y=[point.score.value * 100 for point in own],
            name=f"{suite} · {engine}",
            mode="lines+markers" if len(own) > 1 else "markers",
            line={"color": colour, "width": 1.5},
            marker={"color": colour, "size": 10, "symbol": symbol},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [0 if known is None else (known.upper - value) * 100 for value, known in bounds],
                "arrayminus": [0 if known is None else (value - known.lower) * 100 for value, known in bounds],
                "color": colour,
                "thickness": 1.5,
                "width": 4,
            },
            customdata=[f"{moment(point.at, words.language)} · {score(point.score)}" for point in own],
            hovertemplate="%{customdata}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(title=words("chart.evaluated_at"), tickformat="%Y-%m-%d<br>%H:%M", nticks=6)
    figure.update_yaxes(title=words("chart.score"), range=[-2, 102], dtick=20, zeroline=False)
    return laid_out(figure, height=340, legend=True)


def category_chart(suite: SuiteReport, names: dict[str, str], words: Words) -> go.Figure:
    """From the base model's accuracy to the tuned model's, a row a category."""
    categories = sorted(suite.tuned.by_category, key=lambda name: (suite.tuned.by_category[name], name))
    labels = [_short(names[category]) for category in categories]
    base = [suite.base.by_category.get(category, 0.0) * 100 for category in categories]
    tuned = [suite.tuned.by_category[category] * 100 for category in categories]
    figure = go.Figure()
    for label, start, end in zip(labels, base, tuned, strict=True):
        figure.add_scatter(
            x=[start, end],
            y=[label, label],
            mode="lines",
            line={"color": BASE_COLOUR, "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
        )
    for values, name, colour, symbol in (
        (base, words("chart.base"), BASE_COLOUR, "circle-open"),
        (tuned, words("chart.tuned"), TUNED_COLOUR, "circle"),
    ):
        figure.add_scatter(
            x=values,
            y=labels,
            name=name,
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": symbol, "line": {"color": colour, "width": 2.5}},
            hovertemplate=f"%{{y}}: %{{x:.1f}} %<extra>{name}</extra>",
        )
    _percent_axis(figure, words)
    return laid_out(figure, height=120 + ROW_PIXELS * len(categories), legend=True)


def gate_chart(verdict: GateVerdict, words: Words) -> go.Figure:
    """The accuracy with its interval on the scale on which the bar lies."""
    figure = go.Figure()
    accuracy = verdict.accuracy * 100
    figure.add_vrect(x0=verdict.accuracy_bar * 100, x1=100, fillcolor=GREEN, opacity=0.12, line_width=0)
    figure.add_scatter(
        x=[accuracy],
        y=[0],
        name=words("chart.accuracy"),
        mode="markers+text",
        text=[percent(verdict.accuracy)],
        textposition="top center",
        textfont={"size": 14},
        marker={"color": TUNED_COLOUR, "size": 14},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [verdict.interval.upper * 100 - accuracy],
            "arrayminus": [accuracy - verdict.interval.lower * 100],
            "color": TUNED_COLOUR,
            "thickness": 2.5,
            "width": 7,
        },
        hovertemplate=f"{percent(verdict.accuracy)} ({interval(verdict.interval)})<extra></extra>",
    )
    figure.add_scatter(
        x=[verdict.lower_bound_one_sided * 100],
        y=[0],
        name=words("chart.lower"),
        mode="markers",
        marker={"symbol": "line-ns", "size": 22, "line": {"color": ORANGE, "width": 3}},
        hovertemplate=f"{words('chart.lower')} {percent(verdict.lower_bound_one_sided, 2)}<extra></extra>",
    )
    _add_bar_line(figure, verdict.accuracy_bar, words, rows=(-1, 1.2))
    ends = [verdict.interval.lower, verdict.accuracy_bar, verdict.lower_bound_one_sided]
    left = max(0.0, min(ends) * 100 - 8)
    _percent_axis(figure, words)
    figure.update_xaxes(range=[left, 101], dtick=5 if left > 50 else 20)
    figure.update_yaxes(visible=False, range=[-1, 1.2])
    return laid_out(figure, height=170, legend=False)


def size_chart(points: Sequence[SizePoint], effect: float, samples: int, words: Words) -> go.Figure:
    """The smallest effect that is found with the wanted power, by the size; the wished one and the planned size are marked."""
    shown = [point for point in points if point.detectable_effect is not None]
    figure = go.Figure()
    figure.add_scatter(
        x=[point.samples for point in shown],
        y=[point.detectable_effect for point in shown],
        mode="lines",
        line={"color": TUNED_COLOUR, "width": 2.2},
        customdata=[percent(point.power, 0) for point in shown],
        hovertemplate=words("chart.size_hover", samples="%{x:,}", effect="%{y:.2f}", power="%{customdata}")
        + "<extra></extra>",
    )
    figure.add_hline(y=effect, line={"color": GREEN, "width": 2, "dash": "dash"})
    figure.add_vline(x=samples, line={"color": ORANGE, "width": 2, "dash": "dot"})
    for text, place, colour in (
        (words("chart.size_effect", effect=number(effect, 2)), {"xref": "paper", "x": 1, "y": effect}, GREEN),
        (words("chart.size_planned", n=number(samples)), {"yref": "paper", "y": 1, "x": samples}, ORANGE),
    ):
        figure.add_annotation(
            text=text, showarrow=False, xanchor="right" if "xref" in place else "left", yanchor="bottom",
            font={"color": colour}, **place,
        )  # fmt: skip
    figure.update_xaxes(title=words("chart.size_samples"), rangemode="tozero")
    figure.update_yaxes(title=words("chart.size_detectable"), rangemode="tozero")
    return laid_out(figure, height=260, legend=False)


def _add_bar_line(figure: go.Figure, bar: float, words: Words, rows: tuple[float, float]) -> None:
    x = bar * 100
    figure.add_shape(type="line", x0=x, x1=x, y0=rows[0], y1=rows[1], line={"color": GREEN, "width": 2, "dash": "dash"})
    figure.add_annotation(
        text=words("chart.bar", bar=percent(bar, 0)),
        x=x,
        yref="paper",
        y=1.0,
        yanchor="bottom",
        xanchor="right" if bar > 0.5 else "left",
        showarrow=False,
        font={"color": GREEN},
    )


def _percent_axis(figure: go.Figure, words: Words) -> None:
    figure.update_xaxes(title=words("chart.accuracy"), range=[-2, 102], dtick=20, zeroline=False)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _two_lines(label: str) -> str:
    """The parenthesis of a label goes on a line of its own."""
    return label.replace(" (", "<br>(")


def laid_out(figure: go.Figure, *, height: int, legend: bool) -> go.Figure:
    """What all charts have in common: margins, the legend's place, axes that do not scroll away."""
    layout: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 16, "t": 34 if legend else 20, "b": 8},
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "hoverlabel": {"align": "left"},
        "dragmode": False,
        "separators": ".,",
    }
    figure.update_xaxes(automargin=True, fixedrange=True)
    figure.update_yaxes(automargin=True, fixedrange=True)
    return figure.update_layout(**layout)
