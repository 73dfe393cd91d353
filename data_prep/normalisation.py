"""One way of writing: composed Hangul, plain spaces, no invisible characters. Words are left as they are."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from hashlib import blake2b

import numpy
from numpy.typing import NDArray

from data_prep.code_points import CodePointArray, code_points
from data_prep.compiled import compiled
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


def normalise_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows with every turn, their category and their source normalised; rows that are so already as they are."""
    texts = [text for row in rows for text in _texts_of(row)]
    read = code_points(texts)
    unusual = numpy.empty(len(read), dtype=numpy.bool_)
    _find_unusual(read.codes, read.starts, read.lengths, _kinds(), unusual)
    for place in numpy.flatnonzero(unusual).tolist():
        text = normalise(texts[place])
        unusual[place] = text != texts[place]
        texts[place] = text
    counts = numpy.fromiter((len(_texts_of(row)) for row in rows), dtype=numpy.int64, count=len(rows))
    ends = numpy.cumsum(counts)
    changed = numpy.concatenate(([0], numpy.cumsum(unusual)))
    normalised = list(rows)
    for index in numpy.flatnonzero(changed[ends] > changed[ends - counts]).tolist():
        normalised[index] = _with_texts(rows[index], texts[int(ends[index] - counts[index]) : int(ends[index])])
    return normalised


def _texts_of(row: Row) -> list[str]:
    return [
        *[message.content for message in row.messages],
        *[value for value in row.metadata.values() if isinstance(value, str)],
    ]


def _with_texts(row: Row, texts: Sequence[str]) -> Row:
    contents, values = texts[: len(row.messages)], iter(texts[len(row.messages) :])
    return replace(
        row,
        messages=tuple(
            replace(message, content=content) for message, content in zip(row.messages, contents, strict=True)
        ),
        metadata={name: next(values) if isinstance(value, str) else value for name, value in row.metadata.items()},
    )


_PLAIN, _SPACE, _LINE_END, _UNUSUAL = 0, 1, 2, 3
_FIRST_EMOJI, _LAST_EMOJI = 0x1F000, 0x1FAFF


@cache
def _kinds() -> NDArray[numpy.uint8]:
    """What a character below 0x10000 means for normalising."""
    characters = [chr(code) for code in range(0x10000)]
    replaced = {*_INVISIBLE.findall("".join(characters)), *_SPACES.findall("".join(characters))}
    kinds = numpy.array(
        [
            _UNUSUAL if character in replaced or character.isspace() or not stands_alone(character) else _PLAIN
            for character in characters
        ],
        dtype=numpy.uint8,
    )
    kinds[[ord(" "), ord("\n")]] = _SPACE, _LINE_END
    kinds.flags.writeable = False
    return kinds


def stands_alone(character: str) -> bool:
    """NFC leaves the character as it is, whatever stands beside it; False also for some of which that is true."""
    may_compose = "\u1100" <= character <= "\u11ff" or unicodedata.category(character)[0] == "M"
    return not may_compose and unicodedata.is_normalized("NFC", character)


@compiled("u4[]", "i8[]", "i8[]", "u1[]", "b1[]!")
def _find_unusual(
    codes: CodePointArray,
    starts: NDArray[numpy.int64],
    lengths: NDArray[numpy.int64],
    kinds: NDArray[numpy.uint8],
    unusual: NDArray[numpy.bool_],
) -> None:
    """False for texts that `normalise` surely leaves as they are."""
    for text in range(len(starts)):
        found = False
        before, line_ends = _PLAIN, 0
        for place in range(starts[text], starts[text] + lengths[text]):
            code = codes[place]
            if code < 0x10000:
                kind = kinds[code]
            elif _FIRST_EMOJI <= code <= _LAST_EMOJI:
                kind = _PLAIN
            else:
                kind = _UNUSUAL
            line_ends = line_ends + 1 if kind == _LINE_END else 0
            if kind == _UNUSUAL or line_ends > 2 or (kind != _PLAIN and before == _SPACE):
                found = True
                break
            before = kind
        if lengths[text] > 0:
            first = codes[starts[text]]
            found = found or before != _PLAIN or first == 32 or first == 10
        unusual[text] = found


def comparable(text: str) -> str:
    """The text as it is compared: without case, spaces and punctuation. `담당하나요?` equals `담당 하나요`."""
    return _NOT_LETTERS.sub("", unicodedata.normalize("NFC", text).casefold())


def question_key(question: str) -> int:
    """Equal for questions that are the same but for spaces, case and punctuation; 64 bits."""
    text = comparable(question) or question
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
