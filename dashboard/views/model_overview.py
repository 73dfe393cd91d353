"""A model version at a glance: where it answers, how good it is, where it comes from."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import charts, parts, reading
from dashboard.formats import GIGABYTE, NOTHING, gigabytes, moment
from dashboard.links import link
from dashboard.views import model_actions
from dashboard.views.lineage import show_picture
from dashboard.views.runs import accuracy_figures

if TYPE_CHECKING:
    from contracts.models import ArmEndpoint
    from dashboard.reading import ModelStory
    from dashboard.texts import Words
    from dashboard.visits import Visit


def show(visit: Visit, story: ModelStory, words: Words) -> None:
    """Draw the part."""
    model = story.listing.version
    model_actions.show(visit, story, words)
    parts.html(
        parts.figures(
            [
                (words("models.base_model"), model.base_model),
                (words("models.format"), words.of(model.model_format)),
                (words("models.size"), gigabytes(model.model_size_gb * GIGABYTE)),
                (words("models.registered"), moment(story.listing.created_at, words.language)),
            ]
        )
    )
    st.subheader(words("models.endpoint"))
    if story.endpoint is None:
        st.caption(words("models.not_serving"))
    else:
        _endpoint(story.endpoint, words)
    st.subheader(words("models.accuracy"))
    if story.evaluation is None:
        parts.missing(words("models.not_evaluated"))
    else:
        accuracy_figures(story.evaluation, words)
        bar = None if story.verdict is None else story.verdict.accuracy_bar
        suites = [story.evaluation.main, *story.evaluation.extras]
        parts.chart(charts.accuracy_chart(suites, bar, words), f"accuracy-{model.model_id}", words("models.accuracy"))
        st.caption(words("runs.accuracy_caption"))
    where = [
        (words("models.path"), model.model_path),
        (words("models.content_hash"), model.content_hash),
        (words("models.mlflow_uri"), model.mlflow_model_uri or NOTHING),
    ]
    parts.html("<p>" + "<br>".join(f"<small>{escape(a)}</small> <code>{escape(b)}</code>" for a, b in where) + "</p>")
    if model.finetuning_job_id is not None:
        link("jobs", words("runs.open_job"), words, job=model.finetuning_job_id)
    _lineage(visit, model.model_id, words)


def _endpoint(endpoint: ArmEndpoint, words: Words) -> None:
    line = [
        escape(words(f"ab_tests.arm_{endpoint.arm.value}")),
        escape(words.of(endpoint.backend)),
        f"<code>{escape(endpoint.served_model_name)}</code>",
        f"<code>{escape(endpoint.base_url)}</code>",
    ]
    header = [words("models.arm"), words("models.server"), words("models.served_name"), words("models.endpoint")]
    parts.html(parts.rows(header, [line]))


def _lineage(visit: Visit, model_id: int, words: Words) -> None:
    st.subheader(words("models.lineage"))
    graph = reading.lineage(visit, model_id)
    if graph is None or not graph.edges:
        st.caption(words("models.no_lineage"))
        return
    show_picture(graph, words("models.lineage"), words)
    st.caption(words("models.lineage_caption"))
