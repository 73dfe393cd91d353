"""The model card as the registry writes it now, to read and to take along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import parts, reading

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from dashboard.texts import Words
    from dashboard.visits import Visit


def show(visit: Visit, version: ModelVersion, words: Words) -> None:
    """Draw the part."""
    card = reading.model_card(visit, version.model_id, words.language.value)
    if card is None:
        parts.missing(words("model_card.none"))
        return
    st.download_button(
        words("model_card.download"),
        card,
        file_name=f"{version.model_name}-{version.version}-card.{words.language.value}.md",
        mime="text/markdown",
        icon=":material/download:",
        on_click="ignore",
    )
    with st.container(border=True):
        # what a registrar wrote may name a picture elsewhere: nothing is loaded from outside
        st.markdown(card.replace("![", "\\!["))
    st.caption(words("model_card.caption"))
