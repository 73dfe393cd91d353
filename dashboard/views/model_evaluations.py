"""What a model version scored, over time: every suite, every evaluation, with 95 % intervals."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import charts, parts
from dashboard.formats import moment, number, score
from registry.model_card import SHARES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.model_listings import ScorePoint
    from dashboard.texts import Words

MOST_IN_A_CHART = 6
"""More lines than there are colours that colour-blind readers tell apart."""


def show(scores: Sequence[ScorePoint], words: Words) -> None:
    """Draw the part."""
    if not scores:
        parts.missing(words("models.not_evaluated"))
        return
    shares = [point for point in scores if point.score.name in SHARES]
    suites = list(dict.fromkeys(point.suite for point in reversed(shares)))
    if suites:
        chosen = st.multiselect(
            words("model_evaluations.suites"), suites, default=suites[:MOST_IN_A_CHART], max_selections=MOST_IN_A_CHART
        )
        drawn = [point for point in shares if point.suite in chosen]
        if drawn:
            figure = charts.score_history_chart(drawn, words)
            parts.chart(figure, "score-history", words("model_evaluations.title"))
            st.caption(words("model_evaluations.caption"))
    lines = [
        [
            escape(moment(point.at, words.language)),
            escape(point.suite),
            escape(words.named("score_name", point.score.name)),
            escape(score(point.score)),
            escape(point.engine),
            escape(words(f"model_evaluations.from_{point.source}", n=number(point.number))),
        ]
        for point in reversed(scores)
    ]
    header = ("at", "suite", "score", "value", "engine", "source")
    parts.html(parts.rows([words(f"model_evaluations.{name}") for name in header], lines))
