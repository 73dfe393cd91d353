"""A conversation as it travels through the preparation."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import JsonValue

from contracts.record import JsonObject

OnProgress = Callable[[str, int, int], None]
"""Called with (what is being done, units done, units in all)."""

ROLES = ("system", "user", "assistant", "tool")
NO_CATEGORY = "general"
"""Category of a row that names none."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: str
    content: str
    extra: JsonObject = field(default_factory=dict)
    """What else a turn of the chat format has: `tool_calls`, `tool_call_id`, `name`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation; the last turn is the assistant's answer."""

    row_id: str
    """`<file name>:<line>`: how reports name the row."""
    messages: tuple[Message, ...]
    metadata: JsonObject = field(default_factory=dict)
    """`category`, `source` and `quality_score` are understood; a generated row has its `lineage` here."""
    key: str = ""
    """The row's identity across versions, 16 hex digits: of the id that it came with, else of its questions."""

    @property
    def questions(self) -> list[str]:
        """The user's turns."""
        return [message.content for message in self.messages if message.role == "user"]

    @property
    def question(self) -> str:
        """The user's turns as one text."""
        return "\n".join(self.questions)

    @property
    def answer(self) -> str:
        """The assistant's last turn."""
        return self.messages[-1].content

    @property
    def category(self) -> str:
        """The stratum of the row."""
        value = self.metadata.get("category")
        return NO_CATEGORY if value is None or str(value).strip() == "" else str(value).strip()

    @property
    def source(self) -> str:
        """The document the row came from, or an empty text."""
        value = self.metadata.get("source")
        return "" if value is None else str(value).strip()

    @property
    def given_quality(self) -> float | None:
        """The quality score that came with the row; None where there is none between 0 and 1."""
        value = self.metadata.get("quality_score")
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            score = float(value)
        except ValueError:
            return None
        return score if 0 <= score <= 1 else None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why something was not taken."""

    reason: str


def messages_as_json(messages: Iterable[Message]) -> str:
    """The messages as the JSON text that the Parquet files hold."""
    return _as_json([{"role": message.role, "content": message.content, **message.extra} for message in messages])


_as_json = json.JSONEncoder(ensure_ascii=False).encode
"""`json.dumps` makes an encoder for each call, which takes longer than a row."""


def messages_from_json(text: str) -> tuple[Message, ...]:
    """The messages of a text made by `messages_as_json`."""
    return tuple(Message(turn.pop("role"), turn.pop("content"), turn) for turn in json.loads(text))


def texts_of(row: Row) -> list[tuple[str, str]]:
    """Every text of the row that a person could have written, with its place: what must be free of personal data."""
    return [
        *(
            found
            for index, message in enumerate(row.messages)
            for found in (
                (f"messages[{index}].content", message.content),
                *_strings(message.extra, f"messages[{index}]"),
            )
        ),
        *_strings(row.metadata, "metadata"),
    ]


def written_texts(row: Row) -> list[str]:
    """The texts of `texts_of` without their places, which take most of the time of a million rows."""
    texts: list[str] = []
    for message in row.messages:
        texts.append(message.content)
        if message.extra:
            texts += [text for _, text in _strings(message.extra, "")]
    for value in row.metadata.values():
        text = _as_text(value)
        if text is not None:
            texts.append(text)
        elif isinstance(value, dict | list):
            texts += [text for _, text in _strings(value, "")]
    return texts


def with_texts(row: Row, texts: Sequence[str]) -> Row:
    """The row with other texts in the places that `texts_of` names, in the same order."""
    remaining = iter(texts)
    messages = []
    for message in row.messages:
        content = next(remaining)
        messages.append(Message(message.role, content, _replaced(message.extra, remaining)))
    return replace(row, messages=tuple(messages), metadata=_replaced(row.metadata, remaining))


_IDENTIFIER_LENGTH = 12
_IDENTIFIER = re.compile(rf"(?=[0-9a-f]*[a-f])[0-9a-f]{{{_IDENTIFIER_LENGTH},}}")
"""Hashes and ids made of them: nothing that a person wrote, and a row's lineage hangs on them."""
_LONG_NUMBER = 10**8
"""A number from here on may be a telephone or account number that lost its leading zero."""


def _as_text(value: JsonValue) -> str | None:
    """The value as a text that may hold personal data; None where it cannot."""
    if isinstance(value, str):
        return None if len(value) >= _IDENTIFIER_LENGTH and _IDENTIFIER.fullmatch(value) else value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _LONG_NUMBER:
        return str(value)
    return None


def _strings(value: JsonValue, place: str) -> Iterator[tuple[str, str]]:
    text = _as_text(value)
    if text is not None:
        yield place, text
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, f"{place}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, f"{place}[{index}]")


def _replaced(value: Any, texts: Iterator[str]) -> Any:
    before = _as_text(value)
    if before is not None:
        after = next(texts)
        return value if after == before else after
    if isinstance(value, dict):
        return {name: _replaced(inner, texts) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, texts) for inner in value]
    return value
