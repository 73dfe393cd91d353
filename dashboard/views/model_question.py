"""A question to the version's own server: no router in between, so no A/B test counts it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.errors import TunewayError
from dashboard import parts, writing
from dashboard.formats import model_label, number
from stages.ask_model import AnswerState, RunningAnswer

if TYPE_CHECKING:
    from dashboard.reading import ModelStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

LOOK_SECONDS = 0.4
ANSWER = "model-answer"
MOST_CHARACTERS = 20_000


def show(visit: Visit, story: ModelStory, words: Words) -> None:
    """Draw the part."""
    model = story.listing.version
    if story.endpoint is None:
        parts.missing(words("model_question.not_serving", model=model_label(model)))
        return
    st.caption(words("model_question.where", model=parts.plain(model_label(model))))
    running = _answer_of(model.model_id)
    with st.form(f"ask-{model.model_id}"):
        question = st.text_area(
            words("model_question.question"), key=f"question-{model.model_id}", max_chars=MOST_CHARACTERS
        )
        with st.expander(words("model_question.system_prompt")):
            system_prompt = st.text_area(
                words("model_question.system_prompt_help"), key=f"system-{model.model_id}", max_chars=MOST_CHARACTERS
            )
        is_sent = st.form_submit_button(words("model_question.ask"), type="primary", icon=":material/send:")
    if is_sent and not question.strip():
        st.warning(words("model_question.empty"), icon=":material/edit:")
    elif is_sent:
        if running is not None:
            running.stop()
        try:
            running = writing.ask_model(visit, model.model_id, question.strip(), system_prompt.strip())
            st.session_state[ANSWER] = (model.model_id, running)
        except TunewayError as error:
            parts.error_parts(error.as_record(), words("error.title"), words)
            return
    if running is not None:
        _follow(running, words)


def _answer_of(model_id: int) -> RunningAnswer | None:
    kept = st.session_state.get(ANSWER)
    return kept[1] if kept is not None and kept[0] == model_id else None


def _follow(answer: RunningAnswer, words: Words) -> None:
    was_running = answer.is_running

    def draw() -> None:
        if was_running and not answer.is_running:
            # the whole page once more: nothing is left that has to look again
            st.rerun()
        _draw(answer, words)

    st.fragment(draw, run_every=LOOK_SECONDS if was_running else None)()


def _draw(answer: RunningAnswer, words: Words) -> None:
    parts.html(
        f'<div class="tw-turn"><b>{escape(words("model_question.asked"))}</b><div class="tw-text">'
        f"{escape(answer.question)}</div></div>"
        f'<div class="tw-turn assistant" aria-live="polite"><b>{escape(words("model_question.answer"))}</b>'
        f'<div class="tw-text">{escape(answer.text)}</div></div>'
    )
    if answer.is_running:
        st.button(words("model_question.stop"), key="stop-answer", on_click=answer.stop, icon=":material/stop_circle:")
    told = words(f"model_question.{answer.state.value}")
    if answer.state is AnswerState.WHOLE and not answer.text:
        told = words("model_question.said_nothing")
    if answer.first_seconds is not None and answer.seconds is not None:
        told += " " + words(
            "model_question.times",
            first=number(answer.first_seconds, 2),
            whole=number(answer.seconds, 2),
            n=number(len(answer.text)),
        )
    if answer.error is not None:
        parts.error_parts(answer.error.as_record(), words("model_question.failed"), words)
    else:
        st.caption(told)
