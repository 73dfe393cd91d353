"""Many texts as one array of code points, so that a batch is read in a few passes instead of character by character."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

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

    @property
    def owners(self) -> NDArray[numpy.int64]:
        """For every code the number of its text; a separator belongs to the text before it."""
        return numpy.repeat(numpy.arange(len(self.starts)), self.lengths + 1)


def code_points(texts: Sequence[str]) -> CodePoints:
    """Any text is taken; a NUL in it is read as a space, half a surrogate pair as itself."""
    joined = "".join([text.replace("\0", " ") + "\0" for text in texts])
    codes = numpy.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    lengths = numpy.array([len(text) for text in texts], dtype=numpy.int64)
    ends = numpy.cumsum(lengths + 1)
    return CodePoints(codes, ends - lengths - 1, lengths)


def is_syllable(codes: CodePointArray) -> NDArray[numpy.bool_]:
    """Which codes are composed Hangul syllables."""
    return (codes >= FIRST_SYLLABLE) & (codes <= LAST_SYLLABLE)


def portions(texts: Sequence[str], characters: int) -> Iterator[tuple[int, int]]:
    """Cut a batch into ranges of about so many characters, which fit a processor's cache."""
    start = size = 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= characters:
            yield start, index + 1
            start, size = index + 1, 0
    if start < len(texts):
        yield start, len(texts)
