"""A/B tests: the verdict as of now with its interval, what was counted, and how many more users it takes."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.arms import arm_label
from contracts.enums import ExperimentStatus
from contracts.experiment_verdicts import DecisionBasis, ExperimentVerdict
from contracts.record import utc_now
from dashboard import parts, reading
from dashboard.formats import milliseconds, model_label, moment, number, percent
from dashboard.links import choose
from dashboard.views import ab_design
from dashboard.views.ab_answer import is_open, show_answer, tell_answer
from dashboard.views.ab_arms import arm_title, arms_sentence, show_arms
from dashboard.views.ab_drop import show_drop
from dashboard.views.ab_replays import show_replays
from dashboard.views.ab_report import show_report
from dashboard.views.ab_sentences import difference_sentence, fixed_horizon_sentence, response_time_sentence

if TYPE_CHECKING:
    from contracts.experiment_verdicts import GuardrailReading
    from contracts.experiments import ABExperiment
    from dashboard.reading import ExperimentState, ListedExperiment
    from dashboard.texts import Words
    from dashboard.visits import Visit

BUSY_SECONDS = 3
TOLD_FROM = timedelta(seconds=5)
"""Older figures say when they were counted."""


def show(visit: Visit, words: Words) -> None:
    """Draw the page; a running test counts on by itself."""
    if ab_design.is_open():
        ab_design.show(visit, words)
        return
    ab_design.offer(visit, words)
    every = reading.list_experiments(visit)
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
        _story(reading.experiment_story(visit, experiment_id), visit, words)

    st.fragment(lambda: parts.guarded(draw, words), run_every=BUSY_SECONDS if running else None)()


def _split(experiment: ABExperiment) -> str:
    return " : ".join(percent(arm.share, 0) for arm in experiment.arms)


def _metric(state: ExperimentState, words: Words) -> str:
    if state.experiment.success_metric == "user_rating":
        return words("ab_tests.metric_user_rating")
    return state.experiment.success_metric


def _line(listed: ListedExperiment, words: Words) -> dict[str, str]:
    return {
        words("ab_tests.name"): listed.experiment.experiment_name,
        words("ab_tests.state"): words.of(listed.experiment.status),
        words("ab_tests.started"): moment(listed.experiment.start_date, words.language),
        words("ab_tests.split"): _split(listed.experiment),
        words("ab_tests.layer_share"): percent(listed.experiment.layer_share, 0),
        words("ab_tests.ratings"): number(listed.ratings),
        words("ab_arms.present_model"): model_label(listed.models[listed.experiment.control.name]),
        words("ab_arms.new_models"): ", ".join(
            model_label(listed.models[arm.name]) for arm in listed.experiment.challengers
        ),
    }


def _story(state: ExperimentState, visit: Visit, words: Words) -> None:
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
                (words("ab_tests.split"), _split(experiment)),
                (words("ab_tests.layer_share"), percent(experiment.layer_share, 0)),
                (words("ab_tests.target"), number(state.planned_users)),
                (words("ab_tests.ratings"), number(state.ratings)),
            ]
        )
    )
    if experiment.is_pair:
        _decision(state, words)
    else:
        show_arms(state, words)
        _watched(state, words)
        _left_out(state, words)
        show_drop(state, visit, words)
    if is_open(experiment, state.results.decision) and visit.may(
        ResourceKind.AB_TEST, "conclude", experiment.experiment_id
    ):
        show_answer(experiment, visit, words)
    tell_answer(experiment, words)
    lines = []
    for name, counts in state.counts.items():
        lines.append(
            [
                f"<b>{escape(arm_title(experiment, name, words))}</b>",
                escape(model_label(state.models[name])),
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
    if utc_now() - state.counted_at > TOLD_FROM:
        st.caption(words("ab_tests.counted_at", at=moment(state.counted_at, words.language, seconds=True)))
    show_replays(state.replays, words)
    show_report(state, verdict_sentence(state, words), words)
    parts.html(f"<p>{escape(words('ab_tests.endpoint'))}: <code>{escape(reading.chat_endpoint(visit))}</code></p>")


def verdict_sentence(state: ExperimentState, words: Words) -> str:
    """The verdict as of now."""
    if not state.experiment.is_pair:
        return arms_sentence(state, words)
    look, decision = state.results.look, state.results.decision
    if decision is not None and decision.guardrails:
        return words("ab_tests.verdict_guardrail", guardrails=_guardrails(decision.guardrails, words))
    if look.verdict is ExperimentVerdict.KEEP_GOING and state.experiment.status is not ExperimentStatus.RUNNING:
        return words("ab_tests.ended_undecided")
    return words(f"ab_tests.verdict_{look.verdict.value}", needed=number(look.more_users_needed))


def _watched(state: ExperimentState, words: Words) -> None:
    """What the monitor has to say beside the verdict, and what it waits for."""
    results, decision = state.results, state.results.decision
    ratio = results.sample_ratio
    if ratio is not None and ratio.is_alarming and ratio.arms:
        each = (
            words("ab_arms.counted", arm=arm_label(name), users=number(one.users), planned=number(one.planned_users))
            for name, one in ratio.arms.items()
        )
        st.error(words("ab_arms.ratio_alarm", counted=", ".join(each)))
    elif ratio is not None and ratio.is_alarming:
        counted = {"a": number(ratio.users_a), "b": number(ratio.users_b), "planned": number(ratio.planned_users_b)}
        st.error(words("ab_tests.ratio_alarm", **counted))
    is_pair = state.experiment.is_pair
    kept = [reading for reading in results.guardrails if not reading.is_breached]
    if kept:
        st.caption(words("ab_tests.guardrails_kept", guardrails=_readings(kept, words, is_pair=is_pair)))
    breached = [] if is_pair else [reading for reading in results.guardrails if reading.is_breached]
    if breached:
        st.warning(words("ab_arms.breached", guardrails=_readings(breached, words, is_pair=False)))
    if decision is None:
        return
    if decision.obstacle is not None:
        st.warning(parts.plain(words("ab_tests.blocked", what=str(decision.obstacle.get("what")))))
    elif decision.carried_out_at is None and state.experiment.status is ExperimentStatus.RUNNING:
        st.warning(parts.plain(words("ab_tests.waits", name=state.experiment.experiment_name)))
    if decision.answer is not None:
        answer = decision.answer
        st.caption(parts.plain(words("ab_tests.answered", actor=answer.actor, reason=answer.reason)))


def _guardrails(names: list[str], words: Words) -> str:
    return ", ".join(words(f"ab_tests.guardrail_{name}") for name in names)


def _readings(readings: list[GuardrailReading], words: Words, *, is_pair: bool) -> str:
    if is_pair:
        return _guardrails([reading.name for reading in readings], words)
    return ", ".join(f"{arm_label(reading.arm)} {_guardrails([reading.name], words)}" for reading in readings)


def _left_out(state: ExperimentState, words: Words) -> None:
    if state.results.mixed_users:
        st.caption(words("ab_arms.mixed_users", mixed=number(state.results.mixed_users)))


def _decision(state: ExperimentState, words: Words) -> None:
    results, look = state.results, state.results.look
    share = state.raters / state.planned_users
    st.progress(
        min(1.0, share),
        text=parts.plain(
            words("ab_tests.raters", raters=number(state.raters), planned=number(state.planned_users))
            + f" ({percent(share, 0)})"
        ),
    )
    icon = ":material/hourglass_top:" if look.verdict is ExperimentVerdict.KEEP_GOING else ":material/flag:"
    st.info(f"**{verdict_sentence(state, words)}**", icon=icon)
    _watched(state, words)
    if (difference := difference_sentence(look, words)) is not None:
        st.markdown(difference)
    if look.basis is DecisionBasis.CONTINUOUS and results.corrected_difference is not None:
        st.markdown(words("ab_tests.corrected", corrected=number(results.corrected_difference, 2)))
    if (time := response_time_sentence(results, words)) is not None:
        st.markdown(time)
    if (classical := fixed_horizon_sentence(results, state.planned_users, words)) is not None:
        st.caption(classical)
    if results.mixed_users:
        st.caption(words("ab_tests.mixed_users", mixed=number(results.mixed_users)))
