"""The field by which a person sends a file: chooser, drop zone and progress bar, in the browser's own script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.receiving import PART_BYTES, UPLOADS
from data_prep.imports.input_files import COMPRESSIONS, FORMATS

if TYPE_CHECKING:
    from contracts.record import JsonObject
    from dashboard.texts import Words

HTML = """
<div class="field" role="group">
  <p class="hint"></p>
  <label class="choose"><span></span><input type="file"></label>
  <div class="sending" hidden>
    <div class="told"><b class="name"></b> <span class="amount"></span><button type="button"></button></div>
    <div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><i></i></div>
  </div>
  <p class="problem" role="alert" hidden></p>
</div>
"""
_field = st.components.v2.component(
    "tuneway_uploader",
    html=HTML,
    css=Path(__file__).with_suffix(".css").read_text(encoding="utf-8"),
    js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
)
TEXTS = ("hint", "choose", "stop", "amount", "waits", "empty", "format", "too_large", "stopped", "lost", "logged_out")


def upload_field(most_bytes: int, words: Words, key: str) -> tuple[str | None, JsonObject | None]:
    """The id of the upload whose file has arrived, and the error by which the last one was refused."""
    endings = [ending + packed for ending in FORMATS for packed in ("", *COMPRESSIONS)]
    texts = {name: words(f"dataset_upload.field_{name}") for name in TEXTS}
    told = _field(
        key=key,
        data={
            "texts": texts,
            "address": UPLOADS,
            "part_bytes": PART_BYTES,
            "most_bytes": most_bytes,
            "most": f"{most_bytes / 1_000_000:,.0f} MB",
            "endings": endings,
        },
        default={"upload": None, "refused": None},
        on_upload_change=lambda: None,
        on_refused_change=lambda: None,
    )
    return told.upload, told.refused
