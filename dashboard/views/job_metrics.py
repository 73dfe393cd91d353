"""What a training has measured, each as a number with its course."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard.formats import loss, number, small

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.texts import Words

FIGURES: dict[str, Callable[[float], str]] = {
    "eval_loss": loss,
    "perplexity": loss,
    "learning_rate": lambda value: small(float(f"{value:.3g}")),
    "grad_norm": lambda value: number(value, 2),
    "tokens_per_second": number,
    "peak_memory_mb": lambda value: f"{number(value)} MB",
    "memory_mb": lambda value: f"{number(value)} MB",
}
"""The loss has a chart of its own; what is not named here is found in MLflow."""


def show_metrics(series: dict[str, list[tuple[int, float]]], words: Words) -> None:
    """The last value of each metric that the job has; nothing where it has none."""
    present = [name for name in FIGURES if series.get(name)]
    if not present:
        return
    st.subheader(words("job_metrics.title"))
    with st.container(horizontal=True):
        for name in present:
            values = [value for _, value in series[name]]
            st.metric(
                words(f"job_metrics.{name}"),
                FIGURES[name](values[-1]),
                chart_data=values if len(values) > 1 else None,
                border=True,
                width=210,
            )
    st.caption(words("job_metrics.last", step=number(max(series[name][-1][0] for name in present))))
