"""A conversation as it travels through the preparation."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from contracts.record import JsonObject

OnProgress = Callable[[str, int, int], None]
"""Called with (what is being done, units done, units in all)."""

ROLES = ("system", "user", "assistant")
NO_CATEGORY = "general"
"""Category of a row that names none."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation; the last turn is the assistant's answer."""

    row_id: str
    """`<file name>:<line>`: how reports name the row."""
    messages: tuple[Message, ...]
    metadata: JsonObject = field(default_factory=dict)

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
    return json.dumps([{"role": message.role, "content": message.content} for message in messages], ensure_ascii=False)


def messages_from_json(text: str) -> tuple[Message, ...]:
    """The messages of a text made by `messages_as_json`."""
    return tuple(Message(item["role"], item["content"]) for item in json.loads(text))
