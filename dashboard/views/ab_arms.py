"""An A/B test with several new models: one verdict in a sentence, and each new model against the present one."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.arms import arm_label
from contracts.experiment_results import ChallengerResult, Outcome
from contracts.experiment_verdicts import DecisionBasis, DecisionLook, ExperimentVerdict
from dashboard import parts
from dashboard.formats import model_label, number, percent

if TYPE_CHECKING:
    from contracts.experiments import ABExperiment
    from dashboard.reading import ExperimentState
    from dashboard.texts import Words

_TONES = {ExperimentVerdict.BETTER_A: "failed", ExperimentVerdict.BETTER_B: "succeeded"}


def arm_title(experiment: ABExperiment, name: str, words: Words) -> str:
    """The arm with its part in the test: A, the present model."""
    key = "control" if name == experiment.control.name else "challenger"
    return words(f"ab_arms.{key}", arm=arm_label(name))


def arms_sentence(state: ExperimentState, words: Words) -> str:
    """The verdict as of now, in one sentence."""
    results = state.results
    decision = results.decision
    winner = results.headline if decision is None or decision.winner is None else decision.winner
    return words(
        f"ab_arms.outcome_{results.outcome.value}",
        control=arm_label(results.experiment.control.name),
        arm=arm_label(winner),
        open=", ".join(arm_label(each.arm) for each in results.open_challengers),
        needed=number(results.more_users_needed),
    )


def show_arms(state: ExperimentState, words: Words) -> None:
    """The sentence, how far the slowest comparison is, and a line for each new model."""
    results = state.results
    share = state.raters / state.planned_users
    st.progress(
        min(1.0, share),
        text=parts.plain(
            words("ab_arms.raters", raters=number(state.raters), planned=number(state.planned_users))
            + f" ({percent(share, 0)})"
        ),
    )
    is_open = results.outcome in {Outcome.OPEN, Outcome.LEADS}
    st.info(f"**{arms_sentence(state, words)}**", icon=":material/hourglass_top:" if is_open else ":material/flag:")
    header = [words(f"ab_arms.{name}") for name in ("arm", "verdict", "difference", "interval", "time", "needed")]
    lines = [_line(state, each, words) for each in results.challengers]
    parts.html(parts.rows(header, lines, numeric=(2, 3, 4, 5)))
    level = next((each.look.bounds.level for each in results.challengers if each.look.bounds is not None), None)
    if level is not None:
        st.caption(words("ab_arms.interval_note", control=arm_label(results.experiment.control.name)))


def arm_line(each: ChallengerResult, words: Words) -> list[str]:
    """A new model's name, verdict, difference and users still needed, in plain text."""
    look = each.look
    return [arm_label(each.arm), _verdict(each, words), number(look.difference, 2), number(look.more_users_needed)]


def _verdict(each: ChallengerResult, words: Words) -> str:
    return words("ab_arms.taken_out" if each.is_taken_out else f"ab_arms.verdict_{each.verdict.value}")


def _line(state: ExperimentState, each: ChallengerResult, words: Words) -> list[str]:
    tone = "failed" if each.is_taken_out else _TONES.get(each.verdict, "neutral")
    arm = state.experiment.arm(each.arm)
    why = ""
    if arm.dropped_at is not None and arm.drop_cause is not None:
        why = f"<br><small>{escape(words(f'ab_arms.dropped_{arm.drop_cause.value}'))}</small>"
    look, time = each.look, each.response_time
    return [
        f"<b>{escape(arm_label(each.arm))}</b> {escape(model_label(state.models[each.arm]))}",
        parts.badge(_verdict(each, words), tone) + why,
        number(look.difference, 2),
        _interval(look, words),
        "–" if time is None else escape(words("ab_arms.times", ratio=number(time.ratio, 2))),
        number(look.more_users_needed),
    ]


def _interval(look: DecisionLook, words: Words) -> str:
    if look.bounds is None:
        return "–"
    told = words("ab_arms.final") if look.basis is DecisionBasis.FINAL else ""
    bounds = look.bounds
    level = percent(bounds.level, 1)
    return (
        f"{number(bounds.lower, 2)} ~ {number(bounds.upper, 2)}<br><small>{escape(f'{level} {told}'.strip())}</small>"
    )
