"""What the name model knows of single words: classes of words that stand among the same words, names and places."""

import zlib
from collections.abc import Mapping

import numpy
from numpy.typing import NDArray

IS_NAME, IS_PLACE = 1, 2
ODDS_STEPS = 40
"""Steps of one natural logarithm."""


class Lexicon:
    """Words by their hash.

    `classes` is (words, columns), coarse to fine; `marks` holds IS_NAME and IS_PLACE; `odds` is the logarithm of how much
    likelier the word is in official texts than in others, in ODDS_STEPS.
    """

    def __init__(
        self,
        keys: NDArray[numpy.uint32],
        classes: NDArray[numpy.uint16],
        marks: NDArray[numpy.uint8],
        odds: NDArray[numpy.int8],
    ) -> None:
        self.keys, self.classes, self.marks, self.odds = keys, classes, marks, odds
        self.columns = classes.shape[1]
        self._known: Mapping[int, tuple[tuple[int, ...], int, int]] = {
            key: (tuple(row), mark, odd)
            for key, row, mark, odd in zip(keys.tolist(), classes.tolist(), marks.tolist(), odds.tolist(), strict=True)
        }
        self._unknown = ((0,) * self.columns, 0, 0)

    def of(self, word: str) -> tuple[tuple[int, ...], str, int]:
        """The word's classes (zeros where it was seen too rarely), `p`, `l` for a known name or place, and its odds."""
        classes, mark, odds = self._known.get(key_of(word), self._unknown)
        return classes, ("p" if mark & IS_NAME else "") + ("l" if mark & IS_PLACE else ""), odds

    def is_name(self, word: str) -> bool:
        """The word is a known given name."""
        return bool(self._known.get(key_of(word), self._unknown)[1] & IS_NAME)


def key_of(word: str) -> int:
    """The hash under which a word is known."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))
