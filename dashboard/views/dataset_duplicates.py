"""Duplicates that the preparation took out, as clusters: how large they are, which row stayed and why."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import charts, parts
from dashboard.formats import number, percent
from data_prep.statistics.clusters import DuplicateClusters

if TYPE_CHECKING:
    from dashboard.reading import DatasetStory
    from dashboard.texts import Words
    from data_prep.statistics.clusters import ListedCluster


def show(story: DatasetStory, words: Words) -> None:
    """What the statistics keep of the clusters."""
    told = (story.statistics or {}).get("duplicates")
    if not isinstance(told, dict):
        parts.missing(words("dataset_duplicates.not_told"))
        return
    clusters = DuplicateClusters.model_validate(told)
    share = clusters.rows_removed / clusters.rows_compared if clusters.rows_compared else 0.0
    parts.html(
        parts.figures(
            [
                (words("dataset_duplicates.clusters"), number(clusters.clusters)),
                (words("dataset_duplicates.rows_removed"), number(clusters.rows_removed), percent(share)),
                (words("dataset_duplicates.rows_compared"), number(clusters.rows_compared)),
            ]
        )
    )
    if not clusters.clusters:
        st.success(words("dataset_duplicates.none"), icon=":material/check:")
        return
    if clusters.sizes:
        st.subheader(words("dataset_duplicates.sizes"))
        drawn = [(words("dataset_duplicates.size", n=size), count) for size, count in clusters.sizes.items()]
        figure = charts.bars_in_order(drawn, words("chart.clusters"))
        parts.chart(
            figure,
            f"clusters-{story.dataset.dataset_id}",
            words("dataset_duplicates.sizes"),
            picture="duplicate-clusters",
        )
    st.subheader(words("dataset_duplicates.largest", n=number(len(clusters.largest))))
    st.caption(words("dataset_duplicates.explained"))
    for cluster in clusters.largest:
        _cluster(cluster, words)


def _cluster(cluster: ListedCluster, words: Words) -> None:
    name = cluster.texts[0].question if cluster.texts else cluster.kept
    title = f"{words('dataset_duplicates.size', n=number(cluster.rows))} · {parts.plain(name)}"
    with st.expander(title):
        why = words(f"dataset_duplicates.kept_for_{cluster.kept_for}")
        similar = words("dataset_duplicates.similarity", value=percent(cluster.similarity, 0))
        st.caption(f"{why} {similar}")
        stays = parts.badge(words("dataset_duplicates.stays"), "succeeded")
        gone = parts.badge(words("dataset_duplicates.gone"), "skipped")
        if cluster.texts:
            lines = [
                [
                    stays if text.row == cluster.kept else gone,
                    f"<code>{escape(text.row)}</code>",
                    percent(text.similarity, 0),
                    f"<b>{escape(text.question)}</b><br>{escape(text.answer)}",
                ]
                for text in cluster.texts
            ]
        else:
            lines = [
                [stays if row == cluster.kept else gone, f"<code>{escape(row)}</code>", "", ""]
                for row in (cluster.kept, *cluster.removed)
            ]
        head = ["", *(words(f"dataset_duplicates.{name}") for name in ("row", "similar", "text"))]
        parts.html(parts.rows(head, lines, numeric=(2,)))
        if cluster.rows > len(lines):
            st.caption(words("dataset_duplicates.more", n=number(cluster.rows - len(lines))))
