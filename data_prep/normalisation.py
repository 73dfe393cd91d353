"""One way of writing: composed Hangul, plain spaces, no invisible characters. Words are left as they are."""

import re
import unicodedata
from dataclasses import replace
from hashlib import blake2b

from data_prep.rows import Row

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_REPEATED_SPACES = re.compile(r"(?<=\S)[ \t]{2,}")
_TRAILING_SPACES = re.compile(r"[ \t]+(?=\n)")
_EMPTY_LINES = re.compile(r"\n{3,}")
_NOT_LETTERS = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """NFC, line ends \\n, single spaces inside lines, at most one empty line, nothing invisible."""  # noqa: D301
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    text = _SPACES.sub(" ", _INVISIBLE.sub("", text))
    text = _TRAILING_SPACES.sub("", _REPEATED_SPACES.sub(" ", text))
    return _EMPTY_LINES.sub("\n\n", text).strip()


def normalise_row(row: Row) -> Row:
    """The row with every turn, its category and its source normalised."""
    messages = tuple(replace(message, content=normalise(message.content)) for message in row.messages)
    texts = {key: normalise(value) for key, value in row.metadata.items() if isinstance(value, str)}
    return replace(row, messages=messages, metadata={**row.metadata, **texts})


def comparable(text: str) -> str:
    """The text as it is compared: without case, spaces and punctuation. `담당하나요?` equals `담당 하나요`."""
    return _NOT_LETTERS.sub("", unicodedata.normalize("NFC", text).casefold())


def question_key(question: str) -> int:
    """Equal for questions that are the same but for spaces, case and punctuation; 64 bits."""
    text = comparable(question) or question
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
