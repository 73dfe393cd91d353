"""A column mapping proposed from a look at the file: to be corrected by a person, then put into the request."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from contracts.datasets import ColumnMapping, MappingProposal, ProposedColumn
from contracts.errors import InvalidDataError
from contracts.record import JsonObject
from data_prep.imports.batches import ParsedRow
from data_prep.imports.input_files import InputFile
from data_prep.imports.keys import ID_NAMES
from data_prep.imports.reading import open_rows
from data_prep.imports.shapes import (
    ANSWER_NAMES,
    CATEGORY_NAMES,
    INPUT_NAMES,
    INSTRUCTION_NAMES,
    KNOWN_SHAPES,
    QUALITY_NAMES,
    QUESTION_NAMES,
    SOURCE_NAMES,
    SYSTEM_NAMES,
    TEXT_NAMES,
    TURNS_NAMES,
    RowReader,
    recognise,
    template_columns,
    wanted_columns,
)
from data_prep.imports.turns import read_turns
from data_prep.rows import Rejection

SAMPLED_ROWS = 500
SHOWN_ROWS = 5
_SHOWN_CHARACTERS = 300

_NAMES = {
    "messages": TURNS_NAMES,
    "question": (*INSTRUCTION_NAMES, *QUESTION_NAMES, "title", "제목"),
    "answer": ANSWER_NAMES,
    "system": SYSTEM_NAMES,
    "context": INPUT_NAMES,
    "category": CATEGORY_NAMES,
    "source": SOURCE_NAMES,
    "quality_score": QUALITY_NAMES,
    "id": ID_NAMES,
    "text": TEXT_NAMES,
    "metadata": ("metadata",),
}
_PASSAGE_NAMES = ("context", "passage", "지문", "paragraph")
_PARTS_OF_NAMES = {
    "question": ("question", "query", "prompt", "질문", "문의", "질의", "ask", "title", "제목"),
    "answer": ("answer", "response", "reply", "completion", "output", "chosen", "답변", "응답", "답"),
    "context": ("context", "passage", "지문"),
    "category": ("category", "label", "class", "topic", "분류", "유형", "카테고리"),
    "source": ("source", "document", "url", "출처", "문서", "파일"),
    "system": ("system",),
    "text": ("text", "body", "content", "sentence", "reason", "summary", "본문", "내용", "문장", "이유", "요약"),
    "id": ("_id", "uuid", "번호", "guid"),
}
_ASKING = ("?", "？", "요.", "줘", "까", "나요", "세요")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    filled: float
    mean: float
    distinct: int
    rows: int
    texts: float
    """Share of the filled cells that are texts."""
    asking: float
    """Share of the filled cells that end like a question."""
    turns: float
    """Share of the filled cells that are conversations."""


def propose_mapping(file: InputFile, columns: ColumnMapping | None = None) -> MappingProposal:
    """What the file's columns hold and what its rows would become, from its first rows.

    With `columns`, a corrected mapping, the rows become what that one makes of them. Raises InvalidDataError when the
    file cannot be read at all.
    """
    mapping = columns or ColumnMapping()
    if mapping.question_template:
        template_columns(mapping.question_template)
    opened = open_rows(file, wanted_columns(mapping))
    values = [row.value for row in islice(opened.rows, SAMPLED_ROWS) if isinstance(row, ParsedRow)]
    opened.batches.close()
    if not values:
        raise InvalidDataError(
            f"{file.name} holds no row from which columns could be told",
            value=file.name,
            allowed=KNOWN_SHAPES,
            next_step="correct the file",
        )
    names = list(dict.fromkeys(name for value in values for name in value))[:200]
    seen = [_look_at(name, values) for name in names]
    known = recognise(names, mapping)
    if isinstance(known, Rejection) and columns is None:
        mapping, proposed = _proposed(seen)
        known = recognise(names, mapping)
    else:
        if columns is None and (passage := _passage(seen)) is not None:
            mapping = passage
        proposed = _recognised(seen, mapping)
    reader = RowReader(mapping)
    rows = [reader.read(value) for value in values]
    return MappingProposal(
        file=file.name,
        format=file.format,
        encoding=opened.encoding,
        shape=None if isinstance(known, Rejection) else known.name,
        columns=proposed,
        mapping=mapping,
        sampled_rows=len(values),
        sample_rows=[_shown(value) for value in values[:SHOWN_ROWS]],
        becomes=[
            {"rejected": row.reason}
            if isinstance(row, Rejection)
            else {"messages": _shown(row.turns), "metadata": _shown(row.metadata), "key": row.key}
            for row in rows[:SHOWN_ROWS]
        ],
        usable=round(sum(not isinstance(row, Rejection) for row in rows) / len(rows), 4),
    )


def _look_at(name: str, values: Sequence[JsonObject]) -> _Column:
    cells = [value[name] for value in values if value.get(name) not in (None, "", [], {})]
    texts = [cell for cell in cells if isinstance(cell, str)]
    written = [cell if isinstance(cell, str) else str(cell) for cell in cells]
    count = max(len(cells), 1)
    conversations = sum(
        not isinstance(read_turns(cell), Rejection)
        for cell in cells[:20]
        if isinstance(cell, list) or (isinstance(cell, str) and cell.lstrip().startswith("["))
    )
    return _Column(
        name=name,
        filled=round(len(cells) / max(len(values), 1), 4),
        mean=round(sum(map(len, written)) / count, 1),
        distinct=len(set(written)),
        rows=len(cells),
        texts=len(texts) / count,
        asking=sum(text.rstrip().endswith(_ASKING) for text in texts) / count,
        turns=conversations / max(min(len(cells), 20), 1),
    )


def _passage(seen: Sequence[_Column]) -> ColumnMapping | None:
    """The mapping for questions and answers about a text that stands beside them; None where there is no such text."""

    def find(names: tuple[str, ...]) -> str | None:
        by_folded = {column.name.strip().casefold(): column.name for column in reversed(seen)}
        return next((by_folded[name] for name in names if name in by_folded), None)

    folded = {column.name.strip().casefold() for column in seen}
    question, answer = find(QUESTION_NAMES), find(ANSWER_NAMES)
    context = find((*_PASSAGE_NAMES, *TEXT_NAMES))
    if question is None or answer is None or context is None or folded & {*TURNS_NAMES, *INSTRUCTION_NAMES}:
        return None
    return ColumnMapping(question=question, answer=answer, context=context)


def _recognised(seen: Sequence[_Column], mapping: ColumnMapping) -> list[ProposedColumn]:
    """The roles that the mapping or the columns' names give."""
    named = {name: role for role, name in mapping.model_dump(exclude_none=True).items() if role != "question_template"}
    taken: set[str] = set(named.values())
    if {"question", "answer", "messages"} & taken:
        taken |= {"text", "context"}
    in_template = template_columns(mapping.question_template) if mapping.question_template else []
    columns = []
    for column in seen:
        role, reason = named.get(column.name), "named in the mapping"
        if role is None and column.name in in_template:
            reason = "stands in the question template"
        elif role is None:
            # a text beside questions or turns is not used
            taken |= {"text"} if {"question", "answer", "messages"} & taken else set()
            folded = column.name.strip().casefold()
            role = next((role for role, names in _NAMES.items() if folded in names and role not in taken), None)
            reason = "known by its name" if role else "not used"
            taken |= {role} if role else set()
        columns.append(_column(column, role, reason))
    return columns


def _column(column: _Column, role: str | None, reason: str) -> ProposedColumn:
    return ProposedColumn(
        name=column.name,
        role=role,
        reason=reason,
        filled=column.filled,
        mean_characters=column.mean,
        distinct=column.distinct,
    )


def _proposed(seen: Sequence[_Column]) -> tuple[ColumnMapping, list[ProposedColumn]]:
    """Roles guessed from names and contents, the surest first."""
    roles: dict[str, tuple[str, str]] = {}

    def give(role: str, column: _Column | None, reason: str) -> None:
        if column is not None and role not in {given for given, _ in roles.values()} and column.name not in roles:
            roles[column.name] = (role, reason)

    free = [column for column in seen if column.filled > 0]
    give(
        "messages",
        max(free, key=lambda column: column.turns, default=None) if any(c.turns > 0.5 for c in free) else None,
        "holds lists of turns",
    )
    has_turns = bool(roles)
    for role in ("question", "answer", "context", "category", "source", "system", "id", "text"):
        if has_turns and role in {"question", "answer", "context", "text"}:
            continue
        for column in free:
            if column.name not in roles and _name_says(column, role):
                give(role, column, f"its name says {role}")
                break
    given = {role: name for name, (role, _) in roles.items()}
    prose = sorted(
        (column for column in free if column.name not in roles and column.texts > 0.5 and _is_prose(column)),
        key=lambda column: -column.mean,
    )
    if not has_turns:
        if "answer" not in given and "text" in given and "question" in given:
            name = given["text"]
            roles[name] = ("answer", "a long text beside a question")
        if "question" not in given:
            asking = max(prose, key=lambda column: column.asking, default=None)
            if asking is not None and asking.asking > 0.5:
                give("question", asking, f"{asking.asking:.0%} of its texts end like a question")
        given = {role: name for name, (role, _) in roles.items()}
        if "answer" not in given and "text" not in given and prose:
            longest = next((column for column in prose if column.name not in roles), None)
            role = "answer" if "question" in given else "text"
            give(role, longest, "the longest texts of the file")
        given = {role: name for name, (role, _) in roles.items()}
        if "question" in given and "answer" in given and "text" in given:
            del roles[given["text"]]
        if "question" in given and "answer" not in given:
            del roles[given["question"]]
    if "category" not in {role for role, _ in roles.values()}:
        few = [
            column
            for column in free
            if column.name not in roles
            and 1 < column.distinct <= max(2, min(50, column.rows // 5))
            and column.mean <= 30
        ]
        give("category", min(few, key=lambda column: column.distinct, default=None), "few different values")
    mapping = {role: name for name, (role, _) in roles.items()}
    if "answer" in mapping and "question" not in mapping and "text" not in mapping:
        # a text without a question: the user asks to go on, until a person gives a template
        name = mapping.pop("answer")
        mapping["text"] = name
        roles[name] = ("text", f"{roles[name][1]}; there is no question, so the user asks to go on with it")
    if not has_turns and "text" not in mapping and not {"question", "answer"} <= mapping.keys():
        mapping, roles = {}, {}
    usable = {role: name for role, name in mapping.items() if len(name) <= 100 and not set("{}\n") & set(name)}
    return ColumnMapping(**usable), [_column(column, *(roles.get(column.name, (None, "not used")))) for column in seen]


def _name_says(column: _Column, role: str) -> bool:
    name = column.name.strip().casefold()
    if not any(part in name for part in _PARTS_OF_NAMES[role]):
        return False
    if role in {"question", "answer", "context", "text", "system"}:
        return column.texts > 0.5
    # an identity that repeats is none; a category of which each row has its own is none
    return (
        column.distinct == column.rows
        if role == "id"
        else column.distinct <= max(2, column.rows // 2) or role == "source"
    )


def _is_prose(column: _Column) -> bool:
    return column.mean >= 5 and column.distinct > column.rows / 10


def _shown(value: Any) -> Any:
    """The value with long texts cut, as plain JSON."""
    if isinstance(value, str):
        text = value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…"
        return text.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {str(_shown(name)): _shown(inner) for name, inner in list(value.items())[:50]}
    if isinstance(value, list):
        return [_shown(inner) for inner in value[:20]]
    try:
        orjson.dumps(value)
    except TypeError:
        return str(value)[:_SHOWN_CHARACTERS]
    return value
