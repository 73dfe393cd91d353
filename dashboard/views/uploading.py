"""A file from the reader's own machine: sent, looked at, mapped, and made into a dataset version while they watch."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.errors import TunewayError
from contracts.uploads import DESCRIPTION_LENGTH, UploadState
from dashboard import parts, reading
from dashboard.formats import NOTHING, duration, gigabytes, number, percent
from dashboard.links import chosen_key
from dashboard.uploader import upload_field
from dashboard.views.importing import corrected_mapping, dataset_name
from dashboard.writing import forget_upload, go_on_with_upload, make_dataset
from stages.uploads import most_upload_bytes

if TYPE_CHECKING:
    from contracts.uploads import DatasetUpload
    from dashboard.texts import Words
    from dashboard.visits import Visit

WORKING = frozenset({UploadState.IMPORTING, UploadState.PREPARING})
STEPS = (UploadState.RECEIVING, UploadState.IMPORTING, UploadState.PREPARING, UploadState.READY)
LOOKED_EVERY_SECONDS = 1.0


def show(visit: Visit, words: Words) -> None:
    """The field, the file that has arrived, and what is being made."""
    _, refused = upload_field(most_upload_bytes(visit.settings), words, "upload-field")
    if isinstance(refused, dict):
        parts.error_parts(refused, words("dataset_upload.refused"), words)
    sent = reading.my_uploads(visit)
    whole = [upload for upload in sent if _is_whole(upload)]
    for upload in whole[:1]:
        try:
            _arrived(visit, upload, words)
        except TunewayError as error:
            parts.error_parts(error.as_record(), words("imports.refused"), words)
    _others([upload for upload in sent if upload not in whole[:1]], visit, words)


def _is_whole(upload: DatasetUpload) -> bool:
    """The file has arrived and waits for its reader's word."""
    return upload.state is UploadState.RECEIVING and 0 < upload.received_bytes == upload.size_bytes


def _arrived(visit: Visit, upload: DatasetUpload, words: Words) -> None:
    st.subheader(parts.plain(upload.file_name))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(words("dataset_upload.arrived", size=gigabytes(upload.received_bytes)))
        _forget_button(upload, "dataset_upload.discard", visit, words)
    mapping = corrected_mapping(
        lambda columns: reading.upload_proposal(visit, upload, columns), upload.upload_id, words
    )
    name = dataset_name(upload.name if upload.name != "unnamed" else "", upload.upload_id, words)
    description = st.text_input(
        words("dataset_upload.description"),
        max_chars=DESCRIPTION_LENGTH,
        key=f"upload-description-{upload.upload_id}",
        placeholder=words("dataset_upload.description_help"),
    )
    pressed = st.button(words("dataset_upload.make"), key="upload-make", type="primary", disabled=name is None)
    if pressed and name is not None:
        make_dataset(visit, upload, name, description.strip() or None, mapping)
        st.rerun()


def _others(uploads: list[DatasetUpload], visit: Visit, words: Words) -> None:
    if any(upload.state in WORKING for upload in uploads):
        watch = partial(parts.guarded, partial(_watched, visit, words), words)
        st.fragment(watch, run_every=LOOKED_EVERY_SECONDS)()
    for upload in uploads:
        if upload.state not in WORKING:
            _ended(upload, visit, words)


def _watched(visit: Visit, words: Words) -> None:
    """Looks again each second, until what is made is made: then the page has a version more."""
    working = [upload for upload in reading.my_uploads(visit) if upload.state in WORKING]
    for upload in working:
        with st.container(border=True):
            go_on_with_upload(visit, upload.upload_id)
            _steps(upload, words)
    if not working:
        st.rerun()


def _steps(upload: DatasetUpload, words: Words) -> None:
    place = STEPS.index(upload.state)
    steps = " › ".join(
        f"<b>{escape(words.of(step))}</b>"
        if number_ == place
        else f'<span class="quiet">{escape(words.of(step))}</span>'
        for number_, step in enumerate(STEPS)
    )
    took = duration(datetime.now(UTC) - upload.created_at, words)
    rows = words("unit.rows", n=number(upload.rows)) if upload.rows is not None else NOTHING
    parts.html(
        f"{parts.badge(words.of(upload.state), 'running')} <b>{escape(upload.name)}</b> "
        f"<small>{escape(upload.file_name)} · {gigabytes(upload.size_bytes or 0)}</small>"
        f"<p>{steps}</p><small>{escape(words('dataset_upload.so_far', rows=rows, took=took))}</small>"
    )


def _ended(upload: DatasetUpload, visit: Visit, words: Words) -> None:
    with st.container(border=True):
        if upload.error is not None:
            parts.error_parts(upload.error, words("dataset_upload.failed", name=upload.file_name), words)
            _forget_button(upload, "dataset_upload.dismiss", visit, words)
            return
        if upload.dataset is None:
            share = upload.received_bytes / upload.size_bytes if upload.size_bytes else 0.0
            told = words(
                "dataset_upload.partial",
                name=parts.plain(upload.file_name),
                received=gigabytes(upload.received_bytes),
                size=gigabytes(upload.size_bytes or 0),
                share=percent(share, 0),
            )
            st.markdown(told)
            _forget_button(upload, "dataset_upload.discard", visit, words)
            return
        made = upload.dataset
        told = words(
            "dataset_upload.ready",
            version=f"{made.name} {made.version}",
            rows=number(upload.rows),
            kept=number(made.total_samples),
            broken=number(upload.broken_rows),
        )
        st.success(told, icon=":material/task_alt:")
        with st.container(horizontal=True):
            st.button(
                words("dataset_upload.look"),
                key=f"upload-look-{upload.upload_id}",
                icon=":material/arrow_forward:",
                on_click=_look_at,
                args=(made.dataset_id,),
            )
            _forget_button(upload, "dataset_upload.dismiss", visit, words)


def _look_at(dataset_id: int) -> None:
    st.session_state[chosen_key("dataset")] = dataset_id
    st.query_params["dataset"] = str(dataset_id)


def _forget_button(upload: DatasetUpload, label: str, visit: Visit, words: Words) -> None:
    st.button(
        words(label),
        key=f"upload-forget-{upload.upload_id}",
        type="tertiary",
        icon=":material/close:",
        on_click=_forget,
        args=(visit, upload.upload_id),
    )


def _forget(visit: Visit, upload_id: str) -> None:
    try:
        forget_upload(visit, upload_id)
    except TunewayError as error:
        parts.refuse(error)
