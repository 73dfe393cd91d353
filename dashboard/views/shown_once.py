"""A password or key that can be read at one moment only: until the person says that they have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from dashboard.texts import Words

_KEPT = "shown-once"


def keep(title: str, secret: str) -> None:
    """Show it from the next redraw on."""
    st.session_state[_KEPT] = (title, secret)


def show(words: Words) -> None:
    """What was kept, with the button that forgets it."""
    kept = st.session_state.get(_KEPT)
    if kept is None:
        return
    title, secret = kept
    with st.container(border=True):
        st.warning(title, icon=":material/key:")
        st.code(secret, language=None)
        st.button(words("administration.have_it"), key="forget-secret", on_click=_forget)


def _forget() -> None:
    del st.session_state[_KEPT]
