"""Registered model versions by stage: how good, and where they answer."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import ModelStatus
from dashboard import charts, parts, reading
from dashboard.formats import GIGABYTE, NOTHING, gigabytes, interval, model_label, percent
from dashboard.links import choose, link
from dashboard.views.runs import accuracy_figures
from registry.lineage_picture import draw_svg

if TYPE_CHECKING:
    from dashboard.reading import JudgedModel
    from dashboard.texts import Words
    from dashboard.visits import Visit


def show(visit: Visit, words: Words) -> None:
    """Draw the page."""
    every = reading.list_models(visit)
    if not every:
        parts.empty(words("models.empty"), words("models.empty_text"))
        return
    status = st.segmented_control(
        words("models.filter"),
        list(ModelStatus),
        format_func=lambda status: f"{words.of(status)} {sum(item.model.status is status for item in every)}",
        key="model-status",
    )
    listed = every if status is None else [item for item in every if item.model.status is status]
    if not listed:
        st.caption(words("models.none_in_stage"))
        return
    with st.expander(words("models.list"), expanded=True):
        st.dataframe([_line(item, words) for item in listed], hide_index=True, width="stretch")
    by_id = {item.model.model_id: item for item in listed}

    def describe(model_id: int) -> str:
        item = by_id.get(model_id)
        return f"#{model_id}" if item is None else model_label(item.model)

    filtered_out = {item.model.model_id for item in every} - by_id.keys()
    model_id = choose("model", words("models.choose"), list(by_id), describe, filtered_out)
    chosen = by_id.get(model_id)
    if chosen is None:
        st.warning(f"**{words('unavailable.not_found_title')}**", icon=":material/search_off:")
        st.markdown(words("unavailable.not_found_text"))
        return
    _story(chosen, words)
    _lineage(chosen, visit, words)


def _lineage(item: JudgedModel, visit: Visit, words: Words) -> None:
    st.subheader(words("models.lineage"))
    graph = reading.lineage(visit, item.model.model_id)
    if graph is None or not graph.edges:
        st.caption(words("models.no_lineage"))
        return
    picture = b64encode(draw_svg(graph, words.language).encode()).decode()
    parts.html(
        f'<div style="overflow-x:auto"><img src="data:image/svg+xml;base64,{picture}" style="max-width:100%;min-width:56rem;height:auto" '
        f'alt="{escape(words("models.lineage"))}"></div>'
    )
    st.caption(words("models.lineage_caption"))


def _line(item: JudgedModel, words: Words) -> dict[str, str]:
    model, evaluation = item.model, item.evaluation
    tuned = None if evaluation is None else evaluation.main.tuned
    return {
        words("models.name"): model.model_name,
        words("models.version"): model.version,
        words("models.stage"): words.of(model.status) + (f" ({words('models.previous')})" if item.is_previous else ""),
        words("models.accuracy"): NOTHING if tuned is None else percent(tuned.accuracy),
        words("models.interval"): NOTHING if tuned is None else interval(tuned.interval),
        words("models.verdict"): NOTHING if item.verdict is None else words.of(item.verdict.decision),
        words("models.endpoint"): words("models.not_serving") if item.endpoint is None else item.endpoint.base_url,
        words("models.base_model"): model.base_model,
        words("models.format"): words.of(model.model_format),
        words("models.size"): gigabytes(model.model_size_gb * GIGABYTE),
    }


def _story(item: JudgedModel, words: Words) -> None:
    model, endpoint, evaluation = item.model, item.endpoint, item.evaluation
    st.header(model_label(model))
    badges = [parts.state_badge(model.status, words)]
    if item.is_previous:
        badges.append(parts.badge(words("models.previous"), "waiting"))
    if endpoint is not None:
        badges.append(parts.badge(words("models.serving"), "running"))
    if item.verdict is not None:
        badges.append(parts.state_badge(item.verdict.decision, words))
    parts.html(" ".join(badges))
    parts.html(
        parts.figures(
            [
                (words("models.base_model"), model.base_model),
                (words("models.format"), words.of(model.model_format)),
                (words("models.size"), gigabytes(model.model_size_gb * GIGABYTE)),
            ]
        )
    )
    st.subheader(words("models.endpoint"))
    if endpoint is None:
        st.caption(words("models.not_serving"))
    else:
        lines = [
            [
                escape(words(f"ab_tests.arm_{endpoint.arm.value}")),
                escape(words.of(endpoint.backend)),
                f"<code>{escape(endpoint.served_model_name)}</code>",
                f"<code>{escape(endpoint.base_url)}</code>",
            ]
        ]
        header = [words("models.arm"), words("models.server"), words("models.served_name"), words("models.endpoint")]
        parts.html(parts.rows(header, lines))
    st.subheader(words("models.accuracy"))
    if evaluation is None:
        parts.missing(words("models.not_evaluated"))
    else:
        accuracy_figures(evaluation, words)
        bar = None if item.verdict is None else item.verdict.accuracy_bar
        suites = [evaluation.main, *evaluation.extras]
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
