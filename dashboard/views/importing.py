"""Files of the server's folders brought in: what they would become, the mapping corrected by hand, the import started."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from contracts.datasets import DATASET_NAME_PATTERN, ColumnMapping, ImportedDataset, ImportRequest
from contracts.errors import InvalidRequestError, TunewayError
from dashboard import parts, reading
from dashboard.formats import NOTHING, number, percent
from dashboard.writing import import_dataset
from data_prep.imports.inbox import dataset_name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.datasets import MappingProposal
    from contracts.record import JsonObject
    from dashboard.reading import ListedFile
    from dashboard.texts import Words
    from dashboard.visits import Visit

FIELDS = ("messages", "question", "answer", "context", "system", "text", "category", "source", "id")
"""Of ColumnMapping, those that name one column."""
LISTED_BROKEN = 10
_NAMEABLE = re.compile(r"[^{}\n]{1,100}")
_DONE = "import-done"


def show(visit: Visit, words: Words) -> None:
    """A file to choose, then its preview and the import."""
    st.caption(words("imports.where", folder=parts.plain(str(visit.settings.data_dir / "inbox"))))
    files = {file.path: file for file in reading.input_files(visit)}
    if not files:
        parts.missing(words("imports.no_files"))
        return
    chosen = st.selectbox(
        words("imports.file"),
        list(files),
        index=None,
        format_func=lambda path: _described(files[path]),
        placeholder=words("imports.choose"),
        key="import-file",
    )
    if chosen is None:
        return
    try:
        _file(visit, files[chosen], words)
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("imports.refused"), words)


def _described(file: ListedFile) -> str:
    path = Path(file.path)
    return f"{path.parent.name}/{path.name} · {number(file.size_bytes / 1000, 1)} kB"


def _file(visit: Visit, file: ListedFile, words: Words) -> None:
    mapping = corrected_mapping(lambda columns: reading.import_proposal(visit, file, columns), file.path, words)
    _start(visit, file, mapping, words)


def corrected_mapping(
    propose: Callable[[ColumnMapping | None], MappingProposal], key: str, words: Words
) -> ColumnMapping:
    """What a file's rows would become, and the mapping as a person leaves it; `key` tells one file's fields from another's."""
    proposal = propose(None)
    # rows of a known shape need no mapping; one that is guessed wants a look
    guessed = proposal.shape is None or proposal.mapping != ColumnMapping()
    correcting = st.toggle(words("imports.correct"), value=guessed, key=f"import-correct-{key}")
    mapping = proposal.mapping
    if correcting:
        mapping = _mapping(proposal, key, words)
        proposal = propose(mapping)
    _proposal(proposal, words)
    return mapping


def dataset_name(proposed: str, key: str, words: Words) -> str | None:
    """What the dataset shall be called; None while that is no name."""
    name: str = st.text_input(
        words("imports.name"), value=proposed, max_chars=63, help=words("imports.name_help"), key=f"import-name-{key}"
    )
    if re.fullmatch(DATASET_NAME_PATTERN, name) is None:
        st.warning(words("imports.name_help"), icon=":material/edit:")
        return None
    return name


def _mapping(proposal: MappingProposal, key: str, words: Words) -> ColumnMapping:
    """The mapping as a person has it; it begins as what is proposed."""
    names = [column.name for column in proposal.columns if _NAMEABLE.fullmatch(column.name)]
    roles = {column.role: column.name for column in proposal.columns}
    given: dict[str, str] = {}
    columns = st.columns(3)
    for place, field in enumerate(FIELDS):
        proposed = getattr(proposal.mapping, field) or roles.get(field)
        with columns[place % 3]:
            name = st.selectbox(
                words(f"imports.role_{field}"),
                names,
                index=names.index(proposed) if proposed in names else None,
                placeholder=words("imports.no_column"),
                key=f"import-{field}-{key}",
            )
        if name is not None:
            given[field] = name
    template = st.text_input(
        words("imports.template"),
        value=proposal.mapping.question_template or "",
        max_chars=300,
        help=words("imports.template_help"),
        key=f"import-template-{key}",
    )
    return ColumnMapping(**given, question_template=template.strip() or None)


def _proposal(proposal: MappingProposal, words: Words) -> None:
    sampled = words("imports.of", n=number(proposal.sampled_rows))
    parts.html(
        parts.figures(
            [
                (words("imports.format"), proposal.format),
                (words("imports.encoding"), proposal.encoding or NOTHING),
                (words("imports.shape"), words("imports.known" if proposal.shape else "imports.unknown")),
                (words("imports.usable"), percent(proposal.usable), sampled),
            ]
        )
    )
    lines = [
        [
            escape(column.name),
            escape(words(f"imports.role_{column.role}") if column.role else words("imports.unused")),
            percent(column.filled, 0),
            number(column.mean_characters),
            number(column.distinct),
        ]
        for column in proposal.columns
    ]
    head = [words(f"imports.{name}") for name in ("column", "role", "filled", "characters", "distinct")]
    parts.html(parts.rows(head, lines, numeric=(2, 3, 4)))
    st.caption(words("imports.preview"))
    parts.html("".join(_row(row, words) for row in proposal.becomes))


def _row(row: JsonObject, words: Words) -> str:
    turns = row.get("messages")
    if not isinstance(turns, list):
        reason = escape(str(row.get("rejected", "")))
        return f'<div class="tw-case">{parts.badge(words("imports.rejected"), "failed")} {reason}</div>'
    spoken = [
        f"<small>{escape(words.named('turn_role', str(turn.get('role'))))}</small> {escape(str(turn.get('content')))}"
        for turn in turns
        if isinstance(turn, dict)
    ]
    return f'<div class="tw-case">{"<br>".join(spoken)}</div>'


def _start(visit: Visit, file: ListedFile, mapping: ColumnMapping, words: Words) -> None:
    name = dataset_name(_name_of(file), file.path, words)
    pressed = st.button(words("imports.start"), key="import-start", type="primary", disabled=name is None)
    if pressed and name is not None:
        request = ImportRequest(dataset_name=name, input_files=[file.path], columns=mapping)
        bar = st.progress(0.0, text=words("imports.working"))

        def tell(_: str, done: int, total: int) -> None:
            bar.progress(min(1.0, done / total) if total else 0.0, text=words("imports.working"))

        imported = import_dataset(visit, request, tell)
        bar.empty()
        st.session_state[_DONE] = (request, imported)
    done: tuple[ImportRequest, ImportedDataset] | None = st.session_state.get(_DONE)
    if done is not None and done[0].input_files == [file.path]:
        _imported(*done, words)


def _name_of(file: ListedFile) -> str:
    try:
        return dataset_name_of(Path(file.path))
    except InvalidRequestError:
        return ""


def _imported(request: ImportRequest, imported: ImportedDataset, words: Words) -> None:
    st.success(
        words("imports.done", rows=number(imported.total_rows), broken=number(imported.broken_rows)),
        icon=":material/task_alt:",
    )
    if imported.broken_rows:
        st.caption(words("imports.broken"))
        lines = [
            [escape(file), number(line), escape(reason)]
            for file, line, reason in reading.broken_rows(imported, LISTED_BROKEN)
        ]
        parts.html(parts.rows([words(f"imports.{head}") for head in ("file", "line", "reason")], lines, numeric=(1,)))
    st.markdown(words("imports.next"))
    st.code(f"tuneway dataset prepare {imported.import_id}", language="bash")
    st.markdown(words("imports.next_dag"))
    started = request.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    st.code(json.dumps(started, ensure_ascii=False, indent=2), language="json")
