"""The answer to an A/B test that waits for a person: approve, or keep the present model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.arms import arm_label
from contracts.enums import ExperimentStatus
from contracts.errors import TunewayError
from contracts.promotions import REASON_LENGTH
from dashboard import parts, writing

if TYPE_CHECKING:
    from contracts.experiment_decisions import ExperimentDecision
    from contracts.experiments import ABExperiment
    from dashboard.texts import Words
    from dashboard.visits import Visit

NOBODY = "-"
"""No arm's name begins so."""
REFUSED, SENT = "answer-refused", "answer-sent"
"""What came of this reader's answer, by experiment: the part of the page draws itself again while the test runs."""


def is_open(experiment: ABExperiment, decision: ExperimentDecision | None) -> bool:
    """A person may answer: it has decided, nobody has answered, and all its models still answer users."""
    return (
        decision is not None
        and decision.answer is None
        and decision.carried_out_at is None
        and experiment.status is ExperimentStatus.RUNNING
    )


def show_answer(experiment: ABExperiment, visit: Visit, words: Words) -> None:
    """Who answers, what, and why; sent once."""
    control, *challengers = (arm.name for arm in experiment.open_arms)

    def describe(choice: str) -> str:
        if choice == NOBODY:
            return words("ab_answer.none")
        return words("ab_answer.keep" if choice == control else "ab_answer.promote", arm=arm_label(choice))

    with st.form(f"answer-{experiment.experiment_id}"):
        chosen = st.radio(
            words("ab_answer.question"),
            [*challengers, control, NOBODY],
            format_func=describe,
            key=f"answer-winner-{experiment.experiment_id}",
        )
        reason = st.text_input(
            words("ab_answer.reason"), key=f"answer-reason-{experiment.experiment_id}", max_chars=REASON_LENGTH
        )
        st.caption(words("ab_answer.once"))
        if not st.form_submit_button(words("ab_answer.send"), type="primary", icon=":material/gavel:"):
            return
    if not reason.strip():
        st.warning(words("ab_answer.missing"), icon=":material/edit:")
        return
    st.session_state.pop(_key(REFUSED, experiment), None)
    winner = None if chosen == NOBODY else chosen
    try:
        with st.spinner(words("ab_answer.sending")):
            writing.answer_experiment(visit, experiment.experiment_id, winner, reason=reason.strip())
    except TunewayError as error:
        st.session_state[_key(REFUSED, experiment)] = error.as_record()
    else:
        st.session_state[_key(SENT, experiment)] = True


def tell_answer(experiment: ABExperiment, words: Words) -> None:
    """What came of the answer that this reader has sent; nothing where none was."""
    if st.session_state.get(_key(SENT, experiment)):
        st.success(words("ab_answer.sent"), icon=":material/check_circle:")
    elif refused := st.session_state.get(_key(REFUSED, experiment)):
        parts.error_parts(refused, words("error.title"), words)


def _key(what: str, experiment: ABExperiment) -> str:
    return f"{what}-{experiment.experiment_id}"
