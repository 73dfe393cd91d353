"""Registered model versions by stage, and one of them in parts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import ModelStatus
from dashboard import parts, reading
from dashboard.formats import GIGABYTE, NOTHING, gigabytes, interval, model_label, moment, number, percent
from dashboard.links import choose, pick
from dashboard.views import (
    model_card,
    model_certificates,
    model_comparison,
    model_evaluations,
    model_overview,
    model_question,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.model_listings import ModelListing
    from dashboard.reading import ModelStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

CARDS_OF_A_STAGE = 6
CARDS_IN_A_ROW = 3
STAGES = (ModelStatus.PRODUCTION, ModelStatus.STAGING, ModelStatus.ARCHIVED)
EVERY_STAGE = "all"


def show(visit: Visit, words: Words) -> None:
    """Draw the page."""
    every = reading.list_models(visit)
    if not every:
        parts.empty(words("models.empty"), words("models.empty_text"))
        return
    counts = {status: sum(item.version.status is status for item in every) for status in STAGES}
    stage = pick(
        "stage",
        words("models.filter"),
        [EVERY_STAGE, *STAGES],
        lambda name: (
            f"{words('models.all')} {len(every)}"
            if name == EVERY_STAGE
            else f"{words.of(ModelStatus(name))} {counts[ModelStatus(name)]}"
        ),
    )
    stages = STAGES if stage == EVERY_STAGE else (ModelStatus(stage),)
    listed = [item for item in every if item.version.status in stages]
    for status in stages:
        _cards([item for item in listed if item.version.status is status], status, words)
    if not listed:
        st.caption(words("models.none_in_stage"))
    else:
        with st.expander(words("models.list"), expanded=False):
            st.dataframe([_line(item, words) for item in listed], hide_index=True, width="stretch")
    by_id = {item.version.model_id: item for item in every}

    def describe(model_id: int) -> str:
        item = by_id.get(model_id)
        return f"#{model_id}" if item is None else model_label(item.version)

    model_id = choose("model", words("models.choose"), list(by_id), describe)
    _detail(visit, reading.model_story(visit, model_id), words)


def _cards(listed: list[ModelListing], status: ModelStatus, words: Words) -> None:
    if not listed:
        return
    parts.html(f"<p>{parts.state_badge(status, words)} <small>{number(len(listed))}</small></p>")
    shown = listed[:CARDS_OF_A_STAGE]
    for start in range(0, len(shown), CARDS_IN_A_ROW):
        columns = st.columns(CARDS_IN_A_ROW)
        for column, item in zip(columns, shown[start : start + CARDS_IN_A_ROW], strict=False):
            with column, st.container(border=True):
                _card(item, words)
    if len(listed) > len(shown):
        st.caption(words("models.more", n=number(len(listed) - len(shown))))


def _card(item: ModelListing, words: Words) -> None:
    version = item.version
    if item.accuracy is None or item.interval is None:
        told = f'<span class="quiet">{escape(words("models.without_accuracy"))}</span>'
    else:
        told = (
            f"<b>{escape(percent(item.accuracy))}</b> <small>{escape(interval(item.interval))} · "
            f"n = {number(item.n)}</small>"
        )
    badges = [] if item.decision is None else [parts.state_badge(item.decision, words)]
    if item.endpoint is not None:
        badges.append(parts.badge(words("models.serving"), "running"))
    if item.is_previous:
        badges.append(parts.badge(words("models.previous"), "waiting"))
    parts.html(
        f"<b>{escape(model_label(version))}</b><br>{told}<br>"
        f"<small>{escape(version.base_model)} · {escape(moment(item.created_at, words.language))}</small><br>"
        f"{' '.join(badges)}"
    )
    st.button(
        words("models.open"),
        key=f"open-{version.model_id}",
        icon=":material/open_in_full:",
        on_click=_open,
        args=(version.model_id,),
        width="stretch",
        help=words("models.open_help", model=model_label(version)),
    )


def _open(model_id: int) -> None:
    st.session_state["choose-model"] = model_id
    st.query_params["model"] = str(model_id)


def _line(item: ModelListing, words: Words) -> dict[str, str]:
    model = item.version
    return {
        words("models.name"): model.model_name,
        words("models.version"): model.version,
        words("models.stage"): words.of(model.status) + (f" ({words('models.previous')})" if item.is_previous else ""),
        words("models.accuracy"): percent(item.accuracy),
        words("models.interval"): NOTHING if item.interval is None else interval(item.interval),
        words("models.verdict"): NOTHING if item.decision is None else words.of(item.decision),
        words("models.endpoint"): item.endpoint or words("models.not_serving"),
        words("models.base_model"): model.base_model,
        words("models.format"): words.of(model.model_format),
        words("models.size"): gigabytes(model.model_size_gb * GIGABYTE),
        words("models.registered"): moment(item.created_at, words.language),
    }


PARTS: dict[str, Callable[[Visit, ModelStory, Words], None]] = {
    "overview": model_overview.show,
    "comparison": lambda visit, story, words: model_comparison.show(visit, story.listing.version.model_id, words),
    "evaluations": lambda _, story, words: model_evaluations.show(story.scores, words),
    "certificates": model_certificates.show,
    "question": model_question.show,
    "card": lambda visit, story, words: model_card.show(visit, story.listing.version, words),
}


def _detail(visit: Visit, story: ModelStory, words: Words) -> None:
    item = story.listing
    st.header(model_label(item.version))
    badges = [parts.state_badge(item.version.status, words)]
    if item.is_previous:
        badges.append(parts.badge(words("models.previous"), "waiting"))
    if story.endpoint is not None:
        badges.append(parts.badge(words("models.serving"), "running"))
    if story.verdict is not None:
        badges.append(parts.state_badge(story.verdict.decision, words))
    parts.html(" ".join(badges))
    part = pick("part", words("models.part"), list(PARTS), lambda name: words(f"models.part_{name}"))
    PARTS[part](visit, story, words)
