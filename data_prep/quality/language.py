"""What the characters of a text are: their scripts, and what is spoilt among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy
from numpy.typing import NDArray

from data_prep.code_points import CodePointArray, code_points
from data_prep.compiled import compiled


class Script(IntEnum):
    """The script of a character, as far as it matters here."""

    SPACE = 0
    HANGUL = 1
    LATIN = 2
    HAN = 3
    KANA = 4
    OTHER = 5
    """Letters of any other script."""
    DIGIT = 6
    MARK = 7
    """Punctuation, symbols, emoji."""
    SPOILT = 8
    """U+FFFD, private use, jamo that belong to no syllable (`ㅋㅋ` and `ㅠㅠ` are laughter and tears, not spoilt)."""


@dataclass(frozen=True, slots=True)
class Scripts:
    """How many characters of each script the texts hold."""

    counts: NDArray[numpy.int64]
    """(texts, scripts)"""

    @property
    def letters(self) -> NDArray[numpy.int64]:
        """Letters of any script."""
        letters: NDArray[numpy.int64] = self.counts[:, Script.HANGUL : Script.DIGIT].sum(axis=1)
        return letters

    @property
    def visible(self) -> NDArray[numpy.int64]:
        """Characters that are no space."""
        visible: NDArray[numpy.int64] = self.counts[:, Script.HANGUL :].sum(axis=1)
        return visible

    @property
    def korean_share(self) -> NDArray[numpy.float64]:
        """Share of Hangul among the letters; 1 where there is no letter."""
        letters = self.letters
        share: NDArray[numpy.float64] = numpy.where(
            letters > 0, self.counts[:, Script.HANGUL] / numpy.maximum(letters, 1), 1.0
        )
        return share

    def foreign_share(self, beside: "Scripts") -> NDArray[numpy.float64]:
        """Share of letters in a script that neither Korean prose (Hangul, Latin) nor the text beside has."""
        unknown = self.counts[:, Script.HAN : Script.DIGIT] * (beside.counts[:, Script.HAN : Script.DIGIT] == 0)
        share: NDArray[numpy.float64] = unknown.sum(axis=1) / numpy.maximum(self.letters, 1)
        return share


def scripts_of(texts: Sequence[str]) -> Scripts:
    """Count the scripts of a batch."""
    read = code_points(texts)
    counts = numpy.zeros((len(texts), len(Script)), dtype=numpy.int64)
    if _count(read.codes, read.starts, read.lengths, _kinds(), counts):
        beyond = numpy.flatnonzero(read.codes > _BASIC)
        owners = numpy.searchsorted(read.starts, beyond, side="right") - 1
        kinds = numpy.array([_kind(chr(code)) for code in read.codes[beyond].tolist()])
        numpy.add.at(counts, (owners, kinds), 1)
    return Scripts(counts)


_BASIC = 0xFFFF
"""The last character of the basic plane."""


@compiled("u4[]", "i8[]", "i8[]", "u1[]", "i8[][]!")
def _count(
    codes: CodePointArray,
    starts: NDArray[numpy.int64],
    lengths: NDArray[numpy.int64],
    kinds: NDArray[numpy.uint8],
    counts: NDArray[numpy.int64],
) -> int:
    """Count the scripts of the basic plane; says how many characters lie beyond it."""
    beyond = 0
    for text in range(len(starts)):
        for place in range(starts[text], starts[text] + lengths[text]):
            if codes[place] > _BASIC:
                beyond += 1
            else:
                counts[text, kinds[codes[place]]] += 1
    return beyond


@cache
def _kinds() -> NDArray[numpy.uint8]:
    kinds = numpy.array([_kind(chr(code)) for code in range(_BASIC + 1)], dtype=numpy.uint8)
    kinds.flags.writeable = False
    return kinds


_RANGES = (
    (0xAC00, 0xD7A3, Script.HANGUL),
    (0x1100, 0x11FF, Script.SPOILT),
    (0x3131, 0x318E, Script.SPOILT),
    (0xE000, 0xF8FF, Script.SPOILT),
    (0xD800, 0xDFFF, Script.SPOILT),
    (0xFFFD, 0xFFFD, Script.SPOILT),
    (0x3041, 0x30FF, Script.KANA),
    (0x3400, 0x9FFF, Script.HAN),
    (0xF900, 0xFAFF, Script.HAN),
    (0x20000, 0x3FFFF, Script.HAN),
    (0x41, 0x5A, Script.LATIN),
    (0x61, 0x7A, Script.LATIN),
    (0xC0, 0x24F, Script.LATIN),
)
_GREEK = (0x370, 0x3FF)
"""Formulas have Greek letters in any language."""
_LAUGHTER = "ㅋㅎㅠㅜㆍ"


def _kind(character: str) -> Script:
    code = ord(character)
    if character in _LAUGHTER or _GREEK[0] <= code <= _GREEK[1]:
        return Script.MARK
    for first, last, script in _RANGES:
        if first <= code <= last and not (script is Script.LATIN and not character.isalpha()):
            return script
    if character.isspace() or code == 0:
        return Script.SPACE
    if character.isdigit():
        return Script.DIGIT
    return Script.OTHER if character.isalpha() else Script.MARK
