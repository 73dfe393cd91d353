"""Taking a new model out of a running A/B test that compares several. Nothing without a confirmation and a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.arms import arm_label
from contracts.enums import ExperimentStatus
from contracts.errors import TunewayError
from contracts.promotions import REASON_LENGTH
from dashboard import parts, writing
from dashboard.formats import model_label
from stages import drop_arms as dropping

if TYPE_CHECKING:
    from dashboard.reading import ExperimentState
    from dashboard.texts import Words
    from dashboard.visits import Visit

ASKED, DONE = "ab-drop", "ab-drop-done"


def show_drop(state: ExperimentState, visit: Visit, words: Words) -> None:
    """The button for whoever may stop the test, while there is a new model that the others can do without."""
    experiment = state.experiment
    if done := st.session_state.pop(DONE, None):
        st.success(done, icon=":material/check_circle:")
    if not _can_drop(state) or not visit.may(ResourceKind.AB_TEST, "stop", experiment.experiment_id):
        return
    number = experiment.experiment_id
    if st.session_state.get(ASKED) == number:
        with st.container(border=True):
            _confirm(state, visit, words)
    else:
        st.button(
            words("ab_drop.drop"), key=f"drop-{number}", icon=":material/person_remove:", on_click=_ask, args=(number,)
        )


def _can_drop(state: ExperimentState) -> bool:
    """It runs, nothing is decided, and somebody would be left to compare."""
    experiment = state.experiment
    return (
        experiment.status is ExperimentStatus.RUNNING
        and len(experiment.open_arms) > dropping.PAIR
        and state.results.decision is None
    )


def _ask(experiment_id: int | None) -> None:
    st.session_state[ASKED] = experiment_id


def _confirm(state: ExperimentState, visit: Visit, words: Words) -> None:
    experiment = state.experiment
    number = experiment.experiment_id
    control, *challengers = (arm.name for arm in experiment.open_arms)

    def describe(name: str) -> str:
        return f"{arm_label(name)} · {model_label(state.models[name])}"

    arm = st.radio(words("ab_drop.which"), challengers, format_func=describe, key=f"drop-arm-{number}")
    st.markdown(f"**{words('model_actions.what_happens')}**")
    effects = [
        words("ab_drop.users_move", arm=arm_label(arm)),
        words("ab_drop.others_go_on", control=arm_label(control)),
        words("ab_drop.for_good"),
    ]
    st.markdown("\n".join(f"- {parts.plain(line)}" for line in effects))
    reason = st.text_input(words("ab_drop.reason"), key=f"drop-reason-{number}", max_chars=REASON_LENGTH)
    with st.container(horizontal=True):
        is_sent = st.button(
            words("ab_drop.drop_now"), key="confirm-drop", type="primary", icon=":material/person_remove:"
        )
        st.button(words("model_actions.cancel"), key="cancel-drop", on_click=_ask, args=(None,))
    if not is_sent:
        return
    if not reason.strip():
        st.warning(words("ab_drop.reason_missing"), icon=":material/edit:")
        return
    try:
        writing.drop_arm(visit, number, arm, reason=reason.strip())
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("error.title"), words)
        return
    st.session_state[ASKED] = None
    st.session_state[DONE] = words("ab_drop.dropped", arm=parts.plain(arm_label(arm)))
    # what was read before it would stand for another second
    st.cache_data.clear()
    st.rerun()
