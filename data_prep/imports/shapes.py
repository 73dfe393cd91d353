"""What a row means: the shapes that are recognised by their column names, and those a request explains."""

import difflib
import json
import re
from collections.abc import Iterable
from itertools import pairwise

from pydantic import JsonValue

from contracts.datasets import ColumnMapping
from contracts.errors import InvalidDataError, InvalidRequestError
from contracts.record import JsonObject
from data_prep.imports.encoding import has_undecodable_bytes
from data_prep.rows import ROLES, Message, Rejection, Row

QUESTION_NAMES = ("question", "q", "query", "prompt", "질문", "질의", "문의", "물음")
ANSWER_NAMES = ("answer", "a", "completion", "response", "output", "답변", "응답", "대답", "답")
CATEGORY_NAMES = ("category", "label", "intent", "분류", "카테고리", "유형")
SOURCE_NAMES = ("source", "document", "출처", "문서", "문서명")
QUALITY_NAMES = ("quality_score", "품질점수")

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
KNOWN_SHAPES = (
    "messages (+ metadata); prompt and completion; question and answer (Q and A, 질문 and 답변); "
    "instruction (+ input) and output; or the request's `columns`"
)


def template_columns(template: str) -> list[str]:
    """Column names in braces. Raises InvalidRequestError when there is none, or a brace has no partner."""
    names = [name.strip() for name in _PLACEHOLDER.findall(template)]
    rest = _PLACEHOLDER.sub("", template)
    if not names or not all(names) or "{" in rest or "}" in rest:
        raise InvalidRequestError(
            "columns.question_template must name at least one column in braces",
            value=template,
            allowed="a text such as {bill_name}의 제안 이유를 알려 주세요.",
            next_step="correct columns.question_template",
        )
    return names


def require_columns(mapping: ColumnMapping, columns: Iterable[str], file_name: str) -> None:
    """Raises InvalidDataError when a table lacks a column that the request names, or no shape fits its header."""
    present = list(columns)
    wanted = [name for name in (mapping.question, mapping.answer, mapping.category, mapping.source) if name]
    if mapping.question_template and not mapping.question:
        wanted += template_columns(mapping.question_template)
    for name in wanted:
        if name not in present:
            close = difflib.get_close_matches(name, present, n=1, cutoff=0.5)
            raise InvalidDataError(
                f"{file_name} has no column {name}" + (f"; did you mean {close[0]}?" if close else ""),
                value=name,
                allowed="one of " + ", ".join(present),
                next_step="correct `columns` in the request",
            )
    if not _shape_fits(mapping, present):
        raise InvalidDataError(
            f"The columns of {file_name} are not recognised",
            value=", ".join(present),
            allowed=KNOWN_SHAPES,
            next_step='name them in the request, e.g. "columns": {"question": "...", "answer": "..."}',
        )


def _shape_fits(mapping: ColumnMapping, columns: list[str]) -> bool:
    sample: JsonObject = dict.fromkeys(columns, "")
    has_answer = mapping.answer is not None or _find(sample, ANSWER_NAMES) is not None
    has_question = bool(mapping.question or mapping.question_template) or _find(sample, QUESTION_NAMES) is not None
    names = {column.casefold() for column in columns}
    return (has_answer and has_question) or "messages" in names or {"instruction", "output"} <= names


def canonical_row(value: JsonObject, mapping: ColumnMapping, row_id: str) -> Row | Rejection:
    """The row as messages and metadata, or why it cannot be one."""
    metadata = _metadata(value, mapping)
    if mapping.question or mapping.question_template or mapping.answer:
        messages = _mapped(value, mapping)
    elif (name := _find(value, ("messages",))) is not None:
        messages = _messages(value[name])
    elif (name := _find(value, ("instruction",))) is not None:
        extra = _text(value, _find(value, ("input",)))
        question = _text(value, name) + (f"\n\n{extra}" if extra.strip() else "")
        messages = _pair(question, _text(value, _find(value, ANSWER_NAMES)))
    else:
        question_name, answer_name = _find(value, QUESTION_NAMES), _find(value, ANSWER_NAMES)
        if question_name is None or answer_name is None:
            return Rejection(f"no known shape in the columns {', '.join(value)[:200]}")
        messages = _pair(_text(value, question_name), _text(value, answer_name))
    if isinstance(messages, Rejection):
        return messages
    if any(has_undecodable_bytes(message.content) for message in messages):
        return Rejection("a text holds half of a character (a lone surrogate)")
    return Row(row_id, messages, metadata)


def _mapped(value: JsonObject, mapping: ColumnMapping) -> tuple[Message, ...] | Rejection:
    answer_name = mapping.answer or _find(value, ANSWER_NAMES)
    question_name = mapping.question or (None if mapping.question_template else _find(value, QUESTION_NAMES))
    wanted = [answer_name or "an answer"]
    if question_name:
        wanted.append(question_name)
    elif mapping.question_template:
        wanted += template_columns(mapping.question_template)
    else:
        wanted.append("a question")
    missing = [name for name in wanted if name not in value]
    if missing:
        close = difflib.get_close_matches(missing[0], list(value), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        return Rejection(f"no column {', '.join(missing)} among {', '.join(value)[:200]}{hint}")
    if question_name:
        question = _text(value, question_name)
    else:
        assert mapping.question_template is not None
        names = template_columns(mapping.question_template)
        empty = [name for name in names if not _text(value, name).strip()]
        if empty:
            return Rejection(f"the column {empty[0]} is empty")
        question = _PLACEHOLDER.sub(lambda found: _text(value, found[1].strip()), mapping.question_template)
    return _pair(question, _text(value, answer_name))


def _pair(question: str, answer: str) -> tuple[Message, ...] | Rejection:
    if not question.strip():
        return Rejection("the question is empty")
    if not answer.strip():
        return Rejection("the answer is empty")
    return Message("user", question), Message("assistant", answer)


def _messages(given: JsonValue) -> tuple[Message, ...] | Rejection:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except json.JSONDecodeError:
            return Rejection("`messages` is a text that is not JSON")
    if not isinstance(given, list) or not given:
        return Rejection("`messages` is not a list of turns")
    messages = []
    for index, turn in enumerate(given):
        if not isinstance(turn, dict):
            return Rejection(f"messages[{index}] is not an object")
        role, content = turn.get("role"), turn.get("content")
        if role not in ROLES:
            return Rejection(f"messages[{index}].role is {role!r}; allowed: {', '.join(ROLES)}")
        if not isinstance(content, str) or not content.strip():
            return Rejection(f"messages[{index}].content is empty or not a text")
        messages.append(Message(role, content))
    spoken = [message.role for message in messages if message.role != "system"]
    if spoken[-1:] != ["assistant"]:
        return Rejection("the last turn is not the assistant's")
    if spoken[0] != "user" or any(a == b for a, b in pairwise(spoken)):
        return Rejection("user and assistant do not take turns")
    if any(message.role == "system" for message in messages[1:]):
        return Rejection("a system message stands after the first turn")
    return tuple(messages)


def _metadata(value: JsonObject, mapping: ColumnMapping) -> JsonObject:
    name = _find(value, ("metadata",))
    given = value[name] if name else None
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except json.JSONDecodeError:
            given = None
    metadata: JsonObject = dict(given) if isinstance(given, dict) else {}
    for key, explicit, names in (
        ("category", mapping.category, CATEGORY_NAMES),
        ("source", mapping.source, SOURCE_NAMES),
        ("quality_score", None, QUALITY_NAMES),
    ):
        column = explicit or _find(value, names)
        if column is not None and value.get(column) is not None and (explicit or key not in metadata):
            metadata[key] = value[column]
    return metadata


def _find(value: JsonObject, names: tuple[str, ...]) -> str | None:
    """The first of the names that the row has, in any case."""
    by_folded = {column.strip().casefold(): column for column in value}
    return next((by_folded[name] for name in names if name in by_folded), None)


def _text(value: JsonObject, name: str | None) -> str:
    cell = value.get(name) if name is not None else None
    return "" if cell is None or isinstance(cell, dict | list) else str(cell)
