"""Shadow replays of an A/B test, beside its live result and told apart from it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import ReplaySource
from contracts.words import p_text
from dashboard import parts
from dashboard.formats import NOTHING, moment, number, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.experiment_replays import ABTestReplay, PairedReading
    from dashboard.texts import Words

COLUMNS = ("measure", "pairs", "units", "wins_b", "wins_a", "ties", "difference", "interval", "p_value")


def show_replays(replays: Sequence[ABTestReplay], words: Words) -> None:
    """Each replay's verdict and numbers, newest first; nothing where there is none."""
    if not replays:
        return
    st.subheader(words("ab_replays.title"), anchor=False)
    st.caption(words("ab_replays.note"))
    for replay in replays:
        _replay(replay, words)


def _replay(replay: ABTestReplay, words: Words) -> None:
    plan, result = replay.plan, replay.result
    if result is None:
        asked = number(len(plan.question_ids))
        st.markdown(words("ab_replays.running", number=number(replay.number), questions=asked))
        return
    st.markdown(f"**{words(f'ab_replays.verdict_{result.deciding.verdict.value}', number=number(replay.number))}**")
    asked = words("ab_replays.source_recorded") if plan.source is ReplaySource.RECORDED else plan.source_name
    parts.html(
        parts.figures(
            [
                (words("ab_replays.models"), f"A {plan.served_a}, B {plan.served_b}"),
                (words("ab_replays.source"), asked),
                (words("ab_replays.finished"), moment(replay.finished_at, words.language)),
            ]
        )
    )
    headings = [words(f"ab_replays.{name}") for name in COLUMNS]
    parts.html(parts.rows(headings, [_line(reading, words) for reading in result.readings], numeric=range(1, 9)))
    st.caption(
        words("ab_replays.decides", alpha=percent(plan.alpha, 1), margin=number(plan.request.margin, 2))
        + ("" if result.judge is None else f" ({result.judge})")
    )
    if result.judge_consistency is not None:
        st.caption(words("ab_replays.consistency", share=percent(result.judge_consistency, 0)))
    if result.excluded:
        st.caption(words("ab_replays.excluded", count=number(sum(result.excluded.values()))))


def _line(reading: PairedReading, words: Words) -> list[str]:
    bounds = reading.bounds
    interval = "-" if bounds is None else f"{number(bounds.lower, 2)} ~ {number(bounds.upper, 2)}"
    return [
        escape(words(f"ab_replays.measure_{reading.measure.value}")),
        number(reading.pairs),
        number(reading.units),
        number(reading.wins_b),
        number(reading.wins_a),
        number(reading.ties),
        number(reading.difference, 2),
        interval,
        NOTHING if reading.p_value is None else escape(p_text(reading.p_value)),
    ]
