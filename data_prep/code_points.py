"""Many texts as one array of code points, so that a batch is read in a few passes instead of character by character."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy
from numpy.typing import NDArray

from data_prep.compiled import compiled

SEPARATOR = 0
"""Stands after each text; no n-gram goes across it."""
FIRST_SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3

CodePointArray = NDArray[numpy.uint32]


@dataclass(frozen=True, slots=True)
class CodePoints:
    """The texts one after the other, each with a separator behind it."""

    codes: CodePointArray
    starts: NDArray[numpy.int64]
    """Where each text begins."""
    lengths: NDArray[numpy.int64]
    """Characters of each text, without the separator."""

    def __len__(self) -> int:
        """How many texts."""
        return len(self.starts)

    @property
    def owners(self) -> NDArray[numpy.int64]:
        """For every code the number of its text; a separator belongs to the text before it."""
        return numpy.repeat(numpy.arange(len(self.starts)), self.lengths + 1)


def code_points(texts: Sequence[str]) -> CodePoints:
    """Any text is taken; a NUL in it is read as U+0001, half a surrogate pair as itself."""
    joined = "\0".join([*texts, ""])
    if joined.count("\0") != len(texts):
        joined = "\0".join([*(text.replace("\0", "\1") for text in texts), ""])
    codes = numpy.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    lengths = numpy.fromiter(map(len, texts), dtype=numpy.int64, count=len(texts))
    ends = numpy.cumsum(lengths + 1)
    return CodePoints(codes, ends - lengths - 1, lengths)


def is_syllable(codes: CodePointArray) -> NDArray[numpy.bool_]:
    """Which codes are composed Hangul syllables."""
    return (codes >= FIRST_SYLLABLE) & (codes <= LAST_SYLLABLE)


@cache
def spaces() -> NDArray[numpy.bool_]:
    """For every code below 0x10000 whether `str.split` takes it for a space; none above is one."""
    found = numpy.array([chr(code).isspace() for code in range(0x10000)])
    found.flags.writeable = False
    return found


def visible_characters(read: CodePoints) -> NDArray[numpy.int64]:
    """How many characters of each text are no space."""
    visible = numpy.zeros(len(read), dtype=numpy.int64)
    _count_visible(read.codes, read.starts, read.lengths, spaces(), visible)
    return visible


@compiled("u4[]", "i8[]", "i8[]", "b1[]", "i8[]!")
def _count_visible(
    codes: CodePointArray,
    starts: NDArray[numpy.int64],
    lengths: NDArray[numpy.int64],
    is_space: NDArray[numpy.bool_],
    visible: NDArray[numpy.int64],
) -> None:
    for text in range(len(starts)):
        for place in range(starts[text], starts[text] + lengths[text]):
            visible[text] += codes[place] >= 0x10000 or not is_space[codes[place]]
