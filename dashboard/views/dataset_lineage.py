"""What a version was made from, and what came of it, as a picture and as links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import LineageKind
from dashboard import parts, reading
from dashboard.links import link
from dashboard.views.lineage import show_picture

if TYPE_CHECKING:
    from dashboard.reading import DatasetStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

LINKED = {LineageKind.DATASET: ("datasets", "dataset"), LineageKind.JOB: ("jobs", "job"), LineageKind.MODEL: ("models", "model"),
          LineageKind.EXPERIMENT: ("ab-tests", "experiment")}  # fmt: skip
"""Page, and how its address names the thing."""
MOST_LINKS = 24


def show(visit: Visit, story: DatasetStory, words: Words) -> None:
    """The picture, and below it the way to each of its things."""
    graph = reading.dataset_lineage(visit, story.dataset.dataset_id)
    if graph is None or not graph.edges:
        parts.missing(words("dataset_lineage.none"))
        return
    show_picture(graph, words("dataset_parts.lineage"), words)
    st.caption(words("dataset_lineage.told"))
    others = [node for node in graph.nodes if node.kind in LINKED and node.node_id != graph.root]
    with st.container(horizontal=True):
        for node in others[:MOST_LINKS]:
            page, name = LINKED[node.kind]
            link(page, parts.plain(node.label), words, **{name: node.key})
