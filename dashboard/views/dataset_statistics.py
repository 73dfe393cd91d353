"""How the rows of a version are: lengths, tokens, scores, turns, categories, sources."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import Split
from dashboard import charts, parts
from dashboard.formats import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contracts.record import JsonObject
    from dashboard.reading import DatasetStory
    from dashboard.texts import Words

LISTED_SOURCES = 12
MEASURES = ("question_characters", "answer_characters", "quality_score", "toxicity")


def show(story: DatasetStory, words: Words) -> None:
    """Drawn from the version's statistics file; nothing is counted here."""
    dataset = story.dataset
    if story.statistics is None:
        parts.missing(words("datasets.no_statistics"))
    else:
        _distributions(story, story.statistics, words)
        _tokens(story, story.statistics, words)
    left, right = st.columns(2, gap="large")
    with left:
        if dataset.categories:
            st.subheader(words("datasets.categories"))
            figure = charts.bars(list(dataset.categories.items()), words("chart.samples"))
            parts.chart(figure, f"categories-{dataset.dataset_id}", words("datasets.categories"), picture="categories")
    with right:
        sources = (story.statistics or {}).get("largest_sources")
        if isinstance(sources, dict) and sources:
            st.subheader(words("datasets.largest_sources"))
            largest = [(name, int(str(rows))) for name, rows in list(sources.items())[:LISTED_SOURCES]]
            figure = charts.bars(largest, words("chart.rows"))
            parts.chart(figure, f"sources-{dataset.dataset_id}", words("datasets.largest_sources"), picture="sources")
    if story.made_by:
        with st.expander(words("datasets.made_by")):
            st.json(story.made_by, expanded=1)
    parts.html(
        f"<p><small>{escape(words('datasets.folder'))}</small> <code>{escape(dataset.file_path)}</code><br>"
        f"<small>{escape(words('datasets.content_hash'))}</small> <code>{escape(dataset.content_hash)}</code></p>"
    )


def _distributions(story: DatasetStory, statistics: JsonObject, words: Words) -> None:
    """A histogram of all rows, and below it the quantiles of each split."""
    st.subheader(words("datasets.statistics"))
    histograms = statistics.get("histograms")
    columns = st.columns(2, gap="large")
    for place, measure in enumerate(MEASURES):
        title = words(f"dataset_statistics.{measure}")
        told = histograms.get(measure) if isinstance(histograms, dict) else None
        spreads = list(_spreads(statistics, measure, words))
        with columns[place % 2]:
            if isinstance(told, dict) and told.get("counts"):
                figure = charts.histogram(told, words(f"chart.{measure}"), words("chart.rows"), title)
                parts.chart(figure, f"histogram-{measure}-{story.dataset.dataset_id}", title, picture=measure)
            if spreads:
                figure = charts.spread_chart(spreads, words(f"chart.{measure}"))
                parts.chart(figure, f"{measure}-{story.dataset.dataset_id}", title)


def _tokens(story: DatasetStory, statistics: JsonObject, words: Words) -> None:
    sample = statistics.get("sample")
    tokens = sample.get("tokens") if isinstance(sample, dict) else None
    if not isinstance(tokens, dict) or not isinstance(sample, dict):
        parts.missing(words("dataset_statistics.no_tokens"))
        return
    title = words("dataset_statistics.tokens", name=str(tokens.get("tokenizer")))
    told = tokens.get("histogram")
    if isinstance(told, dict) and told.get("counts"):
        figure = charts.histogram(told, words("chart.tokens"), words("chart.rows"), title)
        parts.chart(figure, f"tokens-{story.dataset.dataset_id}", title, picture="tokens")
    conversation = tokens.get("conversation")
    if isinstance(conversation, dict):
        quantiles = [
            (words(f"dataset_statistics.{name}"), number(float(str(conversation[name]))))
            for name in ("median", "p95", "p99", "max")
            if name in conversation
        ]
        parts.html(parts.figures(quantiles))
    st.caption(words("dataset_statistics.sampled", n=number(float(str(sample.get("rows", 0))))))


def _spreads(statistics: JsonObject, measure: str, words: Words) -> Iterator[tuple[str, JsonObject]]:
    """The quantiles of a measure in each split that has rows."""
    splits = statistics.get("splits")
    for split in Split:
        described = splits.get(split.value) if isinstance(splits, dict) else None
        quantiles = described.get(measure) if isinstance(described, dict) else None
        if isinstance(quantiles, dict) and "median" in quantiles:
            yield words.of(split), quantiles
