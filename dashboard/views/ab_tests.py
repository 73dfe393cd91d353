"""A/B tests: what was counted so far, and what is still missing for a decision."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import Arm, ExperimentStatus
from dashboard import parts, reading
from dashboard.formats import milliseconds, model_label, moment, number, percent
from dashboard.links import choose

if TYPE_CHECKING:
    from dashboard.reading import ExperimentState
    from dashboard.texts import Words
    from stages.services import Services

BUSY_SECONDS = 3


def show(services: Services, words: Words) -> None:
    """Draw the page; a running test counts on by itself."""
    every = reading.experiments(services)
    running = any(state.experiment.status is ExperimentStatus.RUNNING for state in every)
    if not running:
        parts.empty(words("ab_tests.no_running"), words("ab_tests.no_running_text"))
    if not every:
        return
    if len(every) > 1:
        with st.expander(words("ab_tests.list"), expanded=True):
            st.dataframe([_line(state, words) for state in every], hide_index=True, width="stretch")
    names = {state.experiment.experiment_id: state for state in every}

    def describe(experiment_id: int) -> str:
        state = names.get(experiment_id)
        if state is None:
            return f"#{experiment_id}"
        return f"{state.experiment.experiment_name} · {words.of(state.experiment.status)}"

    experiment_id = choose("experiment", words("ab_tests.choose"), list(names), describe)

    def draw() -> None:
        states = {state.experiment.experiment_id: state for state in reading.experiments(services)}
        if experiment_id not in states:
            st.warning(f"**{words('unavailable.not_found_title')}**", icon=":material/search_off:")
            st.markdown(words("unavailable.not_found_text"))
            return
        _story(states[experiment_id], services, words)

    st.fragment(lambda: parts.guarded(draw, words), run_every=BUSY_SECONDS if running else None)()


def _split(state: ExperimentState) -> str:
    split = state.experiment.traffic_split
    return f"{percent(split.a, 0)} : {percent(split.b, 0)}"


def _metric(state: ExperimentState, words: Words) -> str:
    if state.experiment.success_metric == "user_rating":
        return words("ab_tests.metric_user_rating")
    return state.experiment.success_metric


def _line(state: ExperimentState, words: Words) -> dict[str, str]:
    return {
        words("ab_tests.name"): state.experiment.experiment_name,
        words("ab_tests.state"): words.of(state.experiment.status),
        words("ab_tests.started"): moment(state.experiment.start_date, words.language),
        words("ab_tests.split"): _split(state),
        words("ab_tests.ratings"): f"{number(state.ratings)} / {number(state.experiment.target_samples)}",
        words("ab_tests.arm_a"): model_label(state.model_a),
        words("ab_tests.arm_b"): model_label(state.model_b),
    }


def _story(state: ExperimentState, services: Services, words: Words) -> None:
    experiment = state.experiment
    st.header(experiment.experiment_name)
    tone = "running" if experiment.status is ExperimentStatus.RUNNING else "skipped"
    parts.html(
        f"{parts.badge(words.of(experiment.status), tone)} &nbsp;"
        f"{escape(moment(experiment.start_date, words.language))}"
    )
    parts.html(
        parts.figures(
            [
                (words("ab_tests.metric"), _metric(state, words)),
                (words("ab_tests.split"), _split(state)),
                (words("ab_tests.target"), number(experiment.target_samples)),
                (words("ab_tests.ratings"), number(state.ratings)),
            ]
        )
    )
    _decision(state, words)
    lines = []
    for arm in Arm:
        counts, model = state.counts[arm], state.model(arm)
        lines.append(
            [
                f"<b>{escape(words(f'ab_tests.arm_{arm.value}'))}</b>",
                escape(model_label(model)),
                number(counts.users),
                number(counts.samples),
                number(counts.ratings),
                number(counts.mean_rating, 2),
                milliseconds(counts.mean_response_time_ms),
            ]
        )
    columns = ("arm", "model", "users", "answers", "ratings", "mean_rating", "mean_time")
    parts.html(parts.rows([words(f"ab_tests.{name}") for name in columns], lines, numeric=(2, 3, 4, 5, 6)))
    if not any(counts.samples for counts in state.counts.values()):
        parts.missing(words("ab_tests.no_answers"))
    st.caption(words("ab_tests.rating_note"))
    parts.html(f"<p>{escape(words('ab_tests.endpoint'))}: <code>{escape(reading.chat_endpoint(services))}</code></p>")


def _decision(state: ExperimentState, words: Words) -> None:
    target, ratings, needed = (number(n) for n in (state.experiment.target_samples, state.ratings, state.needed))
    st.progress(
        min(1.0, state.ratings / state.experiment.target_samples),
        text=parts.plain(f"{ratings} / {target} ({percent(state.ratings / state.experiment.target_samples, 0)})"),
    )
    if state.experiment.status is not ExperimentStatus.RUNNING:
        if state.needed:
            st.info(words("ab_tests.ended_short", target=target, needed=needed))
        else:
            st.info(words("ab_tests.ended", ratings=ratings))
    elif state.needed:
        st.info(f"**{words('ab_tests.not_decided', target=target, needed=needed)}**", icon=":material/hourglass_top:")
        st.markdown(words("ab_tests.not_decided_text", ratings=ratings))
    else:
        st.info(words("ab_tests.target_reached", target=target), icon=":material/flag:")
