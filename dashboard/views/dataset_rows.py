"""The rows of a dataset version: narrowed, ordered and looked at a page at a time, all of it in the address."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.dataset_rows import LOW_QUALITY_BELOW, TOXIC_FROM, FoundRow, RowFilter, RowFlag, RowOrder
from contracts.enums import Split
from dashboard import parts, reading
from dashboard.formats import number
from dashboard.links import kept_in_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from enum import StrEnum
    from typing import TypeVar

    from dashboard.reading import DatasetStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

    E = TypeVar("E", bound=StrEnum)

PAGE_ROWS = 20
WEAKEST = 3
"""Parts of the quality score that are told of a row, those that took the most from it."""


def show(visit: Visit, story: DatasetStory, words: Words) -> None:
    """The filters and a page of what they leave."""
    wanted = _filter(story, words)
    dataset_id = story.dataset.dataset_id
    # another question begins at its first page
    key = f"rows-page-{dataset_id}-{wanted.model_dump_json()}"
    asked = st.query_params.get("at", "")
    page = int(st.session_state.get(key, asked if asked.isdecimal() and int(asked) else 1))
    with st.spinner(words("dataset_rows.looking"), show_time=True):
        found = reading.dataset_rows(visit, dataset_id, wanted, (page - 1) * PAGE_ROWS, PAGE_ROWS)
        pages = max(1, -(-found.matching // PAGE_ROWS))
        if page > pages:
            page = pages
            found = reading.dataset_rows(visit, dataset_id, wanted, (page - 1) * PAGE_ROWS, PAGE_ROWS)
    st.caption(words("dataset_rows.matching", n=number(found.matching), all=number(story.dataset.total_samples)))
    if not found.rows:
        parts.missing(words("dataset_rows.none"))
        return
    parts.html("".join(_row(row, words) for row in found.rows))
    st.session_state[key] = page
    st.number_input(words("dataset_rows.page", n=number(pages)), min_value=1, max_value=pages, key=key, width=220)
    kept_in_address("at", str(page), "1")


def _filter(story: DatasetStory, words: Words) -> RowFilter:
    """As it is chosen here, or as the address says."""
    sources = (story.statistics or {}).get("largest_sources")
    named = {"category": list(story.dataset.categories), "source": list(sources) if isinstance(sources, dict) else []}
    columns = iter(st.columns(5))
    with next(columns):
        flag = _member(RowFlag, "flag", words)
    with next(columns):
        split = _member(Split, "split", words)
    names = {}
    for name, known in named.items():
        with next(columns):
            names[name] = _chosen(name, known, str, "", words)
    with next(columns):
        order = _chosen("order", list(RowOrder), lambda value: words.of(RowOrder(value)), RowOrder.STORED, words)
    st.session_state.setdefault("rows-text", st.query_params.get("q", "")[:200])
    text: str = st.text_input(
        words("dataset_rows.text"),
        max_chars=200,
        type="search",
        icon=":material/search:",
        placeholder=words("dataset_rows.text_example"),
        key="rows-text",
    )
    kept_in_address("q", text, "")
    if flag is RowFlag.TOXIC:
        st.caption(words("dataset_rows.toxic_told", from_=f"{TOXIC_FROM:.1f}"))
    elif flag is RowFlag.LOW_QUALITY:
        st.caption(words("dataset_rows.low_quality_told", below=f"{LOW_QUALITY_BELOW:.1f}"))
    return RowFilter(
        split=split,
        flag=flag,
        category=names["category"] or None,
        source=names["source"] or None,
        text=text.strip(),
        order=RowOrder(order),
    )


def _member(closed_set: type[E], name: str, words: Words) -> E | None:
    """One member, or None for all."""
    chosen = _chosen(name, list(closed_set), lambda value: words.of(closed_set(value)), "", words)
    return closed_set(chosen) if chosen else None


def _chosen(name: str, known: Sequence[str], describe: Callable[[str], str], usual: str, words: Words) -> str:
    """One of them, `usual` at first, or what the address says; the address holds what is not usual."""
    key = f"rows-{name}"
    every = list(dict.fromkeys([usual, *(str(one) for one in known)]))
    asked = st.query_params.get(name, usual)
    # a category or source may be one that is not among those listed
    is_open = name in {"category", "source"}
    st.session_state.setdefault(key, asked if is_open or asked in every else usual)
    current = st.session_state[key]
    chosen: str = st.selectbox(
        words(f"dataset_rows.{name}"),
        every if current in every else [*every, current],
        format_func=lambda one: describe(one) if one else words("dataset_rows.every"),
        key=key,
    )
    kept_in_address(name, chosen, usual)
    return chosen


def _row(row: FoundRow, words: Words) -> str:
    flags = []
    if row.toxicity >= TOXIC_FROM:
        flags.append(parts.badge(words.of(RowFlag.TOXIC), "failed"))
    if row.quality_score < LOW_QUALITY_BELOW:
        flags.append(parts.badge(words.of(RowFlag.LOW_QUALITY), "warning"))
    weak = sorted((value, name) for name, value in row.parts.items() if value < 1 and name != "korean")[:WEAKEST]
    told = [
        words.of(row.split),
        row.category,
        row.source,
        f"{words('dataset_rows.quality')} {number(row.quality_score, 3)}",
        f"{words('dataset_rows.toxicity')} {number(row.toxicity, 3)}",
        *(f"{words.named('quality_part', name)} {number(value, 2)}" for value, name in weak),
    ]
    turns = "".join(
        f'<div class="tw-turn {escape(str(turn["role"]))}"><b>{escape(words.named("turn_role", str(turn["role"])))}</b>'
        f'<div class="tw-text">{escape(str(turn["content"]))}</div></div>'
        for turn in row.turns
    )
    return (
        f'<div class="tw-case">{" ".join(flags)} <small>{escape(" · ".join(part for part in told if part))} · '
        f"<code>{escape(row.key)}</code></small>{turns}</div>"
    )
