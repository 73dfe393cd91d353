"""Which texts a pattern can match at all, by characters and pairs of characters without which it cannot.

A regular expression walks through every text; most texts show at a glance that it will find nothing. All patterns of a
`Traces` cost one pass over the code points together, about 1 ns a character.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from data_prep.code_points import CodePointArray, CodePoints
from data_prep.compiled import compiled

MOST_PATTERNS = 6
_BEGINS_PAIR, _FILLER = 1 << 6, 1 << 7
_MOST_FILLERS = 2
_PAIR_BITS = 14
_BEYOND = 0xFFFF
"""Stands for every character beyond the basic plane."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a text must show for a pattern: one of these characters, or one of these pairs."""

    characters: str = ""
    pairs: Sequence[str] = ()
    """Two characters, with at most two fillers between them."""
    beyond: bool = False
    """Any character above U+FFFF will do as well."""


class Traces:
    """The traces of several patterns. A trace that is found means nothing; one that is not found means no match."""

    def __init__(self, patterns: Sequence[Trace], fillers: str = "") -> None:
        assert len(patterns) <= MOST_PATTERNS
        self._roles = numpy.zeros(_BEYOND + 1, dtype=numpy.uint8)
        self._pairs = numpy.zeros(1 << _PAIR_BITS, dtype=numpy.uint8)
        self._roles[[ord(character) for character in fillers]] |= _FILLER
        for number, pattern in enumerate(patterns):
            self._roles[[ord(character) for character in pattern.characters]] |= 1 << number
            self._roles[_BEYOND] |= pattern.beyond << number
            for pair in pattern.pairs:
                first, second = map(ord, pair)
                self._roles[first] |= _BEGINS_PAIR
                self._pairs[_slot(first, second)] |= 1 << number
        self._count = len(patterns)

    def found(self, read: CodePoints) -> list[NDArray[numpy.bool_]]:
        """For each pattern, which texts show its trace."""
        bits = numpy.zeros(len(read), dtype=numpy.uint8)
        _find(read.codes, read.starts, read.lengths, self._roles, self._pairs, bits)
        return [(bits & (1 << number)) > 0 for number in range(self._count)]


def _slot(first: int, second: int) -> int:
    return ((first * 0x9E3779B1 ^ second * 0x85EBCA6B) >> 9) & ((1 << _PAIR_BITS) - 1)


@compiled("u4[]", "i8[]", "i8[]", "u1[]", "u1[]", "u1[]!")
def _find(
    codes: CodePointArray,
    starts: NDArray[numpy.int64],
    lengths: NDArray[numpy.int64],
    roles: NDArray[numpy.uint8],
    pairs: NDArray[numpy.uint8],
    bits: NDArray[numpy.uint8],
) -> None:
    for text in range(len(starts)):
        found = 0
        end = starts[text] + lengths[text]
        for place in range(starts[text], end):
            first: Any = numpy.int64(codes[place])
            first = min(first, _BEYOND)
            role = roles[first]
            if role == 0:
                continue
            found |= role & (_BEGINS_PAIR - 1)
            if role & _BEGINS_PAIR:
                for other in range(place + 1, min(place + 2 + _MOST_FILLERS, end)):
                    second: Any = numpy.int64(codes[other])
                    second = min(second, _BEYOND)
                    # as _slot has it
                    found |= pairs[((first * 0x9E3779B1 ^ second * 0x85EBCA6B) >> 9) & ((1 << _PAIR_BITS) - 1)]
                    if not roles[second] & _FILLER:
                        break
        bits[text] = found
