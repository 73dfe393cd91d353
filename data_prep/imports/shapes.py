"""What a row means: the shapes that are recognised by their column names, and those a request explains."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.datasets import ColumnMapping
from contracts.errors import InvalidDataError, InvalidRequestError
from contracts.record import JsonObject
from data_prep.imports.keys import ID_NAMES, key_of_id, key_of_questions
from data_prep.imports.turns import Turn, read_turns, rendered_turns
from data_prep.rows import Message, Rejection, Row

TURNS_NAMES = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat", "대화")
QUESTION_NAMES = ("question", "q", "query", "prompt", "질문", "질의", "문의", "물음", "input", "user", "human", "입력")
ANSWER_NAMES = (
    "answer", "a", "completion", "response", "output", "답변", "응답", "대답", "답", "출력", "target", "assistant",
)  # fmt: skip
INSTRUCTION_NAMES = ("instruction", "지시문", "명령어", "지시")
INPUT_NAMES = ("input", "입력")
SYSTEM_NAMES = ("system", "system_prompt", "시스템")
TEXT_NAMES = ("text", "content", "본문", "내용", "텍스트")
CATEGORY_NAMES = ("category", "label", "intent", "분류", "카테고리", "유형")
SOURCE_NAMES = ("source", "document", "출처", "문서", "문서명")
QUALITY_NAMES = ("quality_score", "품질점수")
BEGINNING = "beginning"
"""In a template for plain text: its first sentence."""
CONTINUE_TEMPLATE = "다음 글을 이어서 써 주세요.\n\n{beginning}"
"""Asked for plain text where the request has no template."""
MAX_NESTING = 100
"""Levels of objects and lists in the metadata: what reads them later calls itself for each level."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SENTENCE_END = re.compile(r"[.!?。…][\"'”’)\]]*\s+|\n+")
_LEAST_PART = 10
"""Characters of a beginning, and of what follows it."""
KNOWN_SHAPES = (
    "messages (+ metadata); conversations of from and value (ShareGPT); prompt and completion; question and answer "
    "(Q and A, 질문 and 답변); instruction (+ input) and output (Alpaca); text; or the request's `columns`"
)

Build = Callable[[JsonObject], "list[Turn] | Rejection"]


@dataclass(frozen=True, slots=True)
class Shape:
    """How rows with certain columns are read."""

    name: str
    build: Build
    metadata: tuple[tuple[str, str, bool], ...]
    """Key in the metadata, column, and whether the column goes before what the row's own metadata say."""
    metadata_column: str | None
    id_column: str | None


@dataclass(slots=True)
class CanonicalRow:
    """A row in the form in which everything after the import has it."""

    turns: list[Turn]
    metadata: JsonObject
    key: str


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
    for name in wanted_columns(mapping):
        if name not in present:
            close = difflib.get_close_matches(name, present, n=1, cutoff=0.5)
            raise InvalidDataError(
                f"{file_name} has no column {name}" + (f"; did you mean {close[0]}?" if close else ""),
                value=name,
                allowed=f"one of {shown_columns(present)}",
                next_step="correct `columns` in the request",
            )
    if isinstance(recognise(present, mapping), Rejection):
        raise InvalidDataError(
            f"The columns of {file_name} are not recognised",
            value=shown_columns(present),
            allowed=KNOWN_SHAPES,
            next_step='name them in the request, e.g. "columns": {"question": "...", "answer": "..."}',
        )


def wanted_columns(mapping: ColumnMapping) -> list[str]:
    """Every column that a request names."""
    named = [
        mapping.question, mapping.answer, mapping.category, mapping.source, mapping.context, mapping.system,
        mapping.messages, mapping.text, mapping.id,
    ]  # fmt: skip
    wanted = [name for name in named if name]
    if mapping.question_template and not mapping.question:
        wanted += [name for name in template_columns(mapping.question_template) if name != BEGINNING]
    return wanted


def shown_columns(columns: Iterable[str]) -> str:
    """Column names for a message. One that looks like a value (a table without header) is told by its number only."""
    shown = [
        name if len(name) <= 30 and sum(map(str.isdigit, name)) < 5 and "@" not in name else f"(column {number})"
        for number, name in enumerate(columns, 1)
    ]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")


def canonical_row(value: JsonObject, mapping: ColumnMapping, row_id: str) -> Row | Rejection:
    """The row as messages and metadata, or why it cannot be one."""
    read = RowReader(mapping).read(value)
    if isinstance(read, Rejection):
        return read
    messages = tuple(Message(turn.pop("role"), turn.pop("content"), turn) for turn in read.turns)
    return Row(row_id, messages, read.metadata, read.key)


class RowReader:
    """Rows in canonical form; the shape of rows with the same columns is worked out once."""

    def __init__(self, mapping: ColumnMapping) -> None:
        self._mapping = mapping
        self._shapes: dict[tuple[str, ...], Shape | Rejection] = {}

    def read(self, value: JsonObject) -> CanonicalRow | Rejection:
        """The row in canonical form, or why it cannot be."""
        columns = tuple(value)
        shape = self._shapes.get(columns)
        if shape is None:
            if len(self._shapes) >= 1000:
                self._shapes.clear()
            shape = self._shapes[columns] = recognise(columns, self._mapping)
        if isinstance(shape, Rejection):
            return shape
        turns = shape.build(value)
        if isinstance(turns, Rejection):
            return turns
        metadata: JsonObject = {}
        if shape.metadata_column is not None:
            given = value[shape.metadata_column]
            if isinstance(given, str):
                given = _json_or_none(given)
            if isinstance(given, dict):
                metadata = dict(given)
        for key, column, first in shape.metadata:
            cell = value[column]
            if cell is not None and (first or key not in metadata):
                metadata[key] = cell
        identity = metadata.get("id") if shape.id_column is None else value[shape.id_column]
        if identity is None or identity == "" or identity.__class__ in _NO_ID:
            key = key_of_questions([turn["content"] for turn in turns if turn["role"] == "user"])
        else:
            key = key_of_id(identity)
        return CanonicalRow(turns, metadata, key)


_NO_ID = (dict, list, bool, float)


def messages_bytes(row: CanonicalRow) -> bytes | Rejection:
    """The turns as the JSON text of the Parquet file."""
    try:
        return orjson.dumps(row.turns)
    except TypeError:
        return _as_json(row.turns)


def metadata_bytes(row: CanonicalRow) -> bytes | Rejection:
    """The metadata as the JSON text of the Parquet file."""
    if not row.metadata:
        return b"{}"
    for value in row.metadata.values():
        if value.__class__ in _NESTED and _nesting(value) > MAX_NESTING:
            return Rejection(f"the metadata are nested deeper than {MAX_NESTING} levels")
    try:
        return orjson.dumps(row.metadata, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _as_json(row.metadata)


_NESTED = (dict, list)


def _as_json(value: Any) -> bytes | Rejection:
    """For what orjson does not write: numbers beyond 64 bits."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=isinstance(value, dict), allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return Rejection("a text holds half of a character (a lone surrogate)")
    except (TypeError, ValueError, RecursionError):
        return Rejection("the row holds a value that cannot be written as JSON")


def _nesting(value: Any) -> int:
    deepest = 0
    waiting = [(value, 1)]
    while waiting:
        inner, level = waiting.pop()
        deepest = max(deepest, level)
        if level > MAX_NESTING:
            return deepest
        if isinstance(inner, dict | list):
            waiting += [(item, level + 1) for item in (inner.values() if isinstance(inner, dict) else inner)]
    return deepest


def recognise(columns: Sequence[str], mapping: ColumnMapping) -> Shape | Rejection:
    """How rows with these columns are read, or why they cannot be."""
    by_folded = {column.strip().casefold(): column for column in reversed(columns)}

    def find(names: tuple[str, ...]) -> str | None:
        return next((by_folded[name] for name in names if name in by_folded), None)

    missing = [name for name in wanted_columns(mapping) if name not in columns]
    if missing:
        close = difflib.get_close_matches(missing[0], columns, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        return Rejection(f"no column {', '.join(missing)} among {shown_columns(columns)}{hint}")
    found = _turns_shape(find, mapping)
    if isinstance(found, Rejection):
        return Rejection(found.reason or f"no known shape in the columns {shown_columns(columns)}")
    name, build = found
    metadata = []
    for key, explicit, names in (
        ("category", mapping.category, CATEGORY_NAMES),
        ("source", mapping.source, SOURCE_NAMES),
        ("quality_score", None, QUALITY_NAMES),
        ("id", mapping.id, ID_NAMES),
        ("tools", None, ("tools",)),
    ):
        column = explicit or find(names)
        if column is not None:
            metadata.append((key, column, explicit is not None))
    return Shape(name, build, tuple(metadata), find(("metadata",)), mapping.id or find(ID_NAMES))


def _turns_shape(
    find: Callable[[tuple[str, ...]], str | None], mapping: ColumnMapping
) -> tuple[str, Build] | Rejection:
    system = mapping.system or find(SYSTEM_NAMES)
    history = find(("history",))
    if mapping.messages:
        return "messages", _turns_builder(mapping.messages, system)
    if mapping.text:
        return "text", _text_builder(mapping.text, mapping.question_template, system)
    question, answer = find(QUESTION_NAMES), find(ANSWER_NAMES)
    if mapping.question or mapping.question_template or mapping.answer:
        answer = mapping.answer or answer
        if answer is None:
            return Rejection("no column for the answer: name it in columns.answer")
        if mapping.question_template and not mapping.question:
            return "template and answer", _template_builder(mapping.question_template, answer, mapping.context, system)
        question = mapping.question or question
        if question is None:
            return Rejection(
                "no column for the question: name it in columns.question, or give columns.question_template"
            )
        return "question and answer", _pair_builder(question, answer, mapping.context, system)
    if (column := find(TURNS_NAMES)) is not None:
        return "messages" if column.strip().casefold() == "messages" else "conversations", _turns_builder(
            column, system
        )
    if (instruction := find(INSTRUCTION_NAMES)) is not None and answer is not None:
        context = mapping.context or find(INPUT_NAMES)
        return "instruction and output", _pair_builder(instruction, answer, context, system, history)
    if question is not None and answer is not None:
        return f"{question} and {answer}", _pair_builder(question, answer, mapping.context, system, history)
    if (column := find(TEXT_NAMES)) is not None:
        return "text", _text_builder(column, None, system)
    return Rejection("")


def _turns_builder(column: str, system: str | None) -> Build:
    def build(value: JsonObject) -> list[Turn] | Rejection:
        return read_turns(value[column], _text(value, system) if system is not None else "", column)

    return build


def _pair_builder(
    question: str, answer: str, context: str | None, system: str | None, history: str | None = None
) -> Build:
    def build(value: JsonObject) -> list[Turn] | Rejection:
        asked, told = value[question], value[answer]
        if asked.__class__ is not str or told.__class__ is not str:
            if isinstance(asked, list) or isinstance(told, list):
                return _joined_turns(asked, told)
            asked, told = _text(value, question), _text(value, answer)
        assert isinstance(asked, str)
        assert isinstance(told, str)
        if context is not None and (extra := _text(value, context)) and not extra.isspace():
            asked = f"{asked}\n\n{extra}"
        if not asked or asked.isspace():
            return Rejection("the question is empty")
        if not told or told.isspace():
            return Rejection("the answer is empty")
        turns: list[Turn] = [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]
        if history is not None and isinstance(before := value[history], list) and before:
            earlier = _history(before)
            if earlier is None:
                return Rejection(f"`{history}` is not a list of pairs of question and answer")
            turns = earlier + turns
        if system is not None and (said := _text(value, system)) and not said.isspace():
            turns.insert(0, {"role": "system", "content": said})
        return turns

    return build


def _joined_turns(asked: Any, told: Any) -> list[Turn] | Rejection:
    """A prompt and a completion that are turns themselves; either may be a plain text."""
    before = asked if isinstance(asked, list) else [{"role": "user", "content": asked}]
    after = told if isinstance(told, list) else [{"role": "assistant", "content": told}]
    return read_turns([*before, *after], what="prompt and completion")


def _history(given: list[Any]) -> list[Turn] | None:
    turns: list[Turn] = []
    for pair in given:
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(text, str) and text.strip() for text in pair)
        ):
            return None
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return turns


def _template_builder(template: str, answer: str, context: str | None, system: str | None) -> Build:
    names = template_columns(template)

    def build(value: JsonObject) -> list[Turn] | Rejection:
        asked = _filled(template, names, value)
        if isinstance(asked, Rejection):
            return asked
        return _pair_builder("question", "answer", "context", "system")(
            {
                "question": asked,
                "answer": _text(value, answer),
                "context": _text(value, context),
                "system": _text(value, system),
            }
        )

    return build


def _text_builder(column: str, template: str | None, system: str | None) -> Build:
    asked_with = template or CONTINUE_TEMPLATE
    names = template_columns(asked_with)

    def build(value: JsonObject) -> list[Turn] | Rejection:
        text = _text(value, column).strip()
        if not text:
            return Rejection("the text is empty")
        if template is None and (rendered := rendered_turns(text)) is not None:
            return rendered
        answer = text
        if BEGINNING in names:
            cut = _beginning_end(text)
            if cut is None:
                return Rejection("the text is too short to be continued: give columns.question_template")
            value = {**value, BEGINNING: text[:cut].strip()}
            answer = text[cut:].strip()
        asked = _filled(asked_with, names, value)
        if isinstance(asked, Rejection):
            return asked
        turns: list[Turn] = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        if said := _text(value, system).strip():
            turns.insert(0, {"role": "system", "content": said})
        return turns

    return build


def _beginning_end(text: str) -> int | None:
    """Where the first sentence ends, or where words part, with enough on both sides."""
    for found in _SENTENCE_END.finditer(text, _LEAST_PART):
        if len(text) - found.end() < _LEAST_PART:
            break
        return found.end()
    space = text.find(" ", max(_LEAST_PART, len(text) // 3))
    return space + 1 if space > 0 and len(text) - space > _LEAST_PART else None


def _filled(template: str, names: Sequence[str], value: JsonObject) -> str | Rejection:
    texts = {name: _text(value, name) for name in names}
    for name, text in texts.items():
        if not text or text.isspace():
            return Rejection(f"the column {name} is empty")
    return _PLACEHOLDER.sub(lambda found: texts[found[1].strip()], template)


def _text(value: JsonObject, name: str | None) -> str:
    cell = value.get(name) if name is not None else None
    return "" if cell is None or isinstance(cell, dict | list) else str(cell)


def _json_or_none(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None
