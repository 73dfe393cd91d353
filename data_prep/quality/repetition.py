"""Text that says the same again and again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from contracts.enums import RemovalReason
from data_prep.quality.code_points import code_points
from data_prep.removal import Removal
from data_prep.rows import Row

MAX_RUNS = 0.5
"""More than half of the answer is one unit said again at once."""
MAX_REPEATED_PHRASES = 0.8
"""FineWeb2 takes 0.2 to 0.37 for Korean web pages, but the articles of a regulation rightly share their phrases:
eight of one form reach 0.64."""

_RUN = re.compile(r"(.{1,20}?)\1{3,}", re.DOTALL)
_MIN_RUN_CHARACTERS = 6
_PHRASE_WORDS = 3
_UNIT_CHARACTERS = 20
_GRAM = 4


def share_of_runs(text: str) -> float:
    """Share of the characters in units of up to 20 that stand four times or more in a row, less the first time."""
    squeezed = "".join(text.split())
    runs = sum(
        len(found[0]) - len(found[1]) for found in _RUN.finditer(squeezed) if len(found[0]) >= _MIN_RUN_CHARACTERS
    )
    return runs / len(squeezed) if squeezed else 0.0


def share_of_repeated_phrases(text: str) -> float:
    """Share of the characters in three-word phrases that the text holds more than once, less the first time.

    After the duplicate n-grams of the Gopher rules, as datatrove has them.
    """
    words = text.split()
    return _repeated_phrases(words) / sum(map(len, words)) if words else 0.0


@dataclass(frozen=True, slots=True)
class Repetition:
    """Shares of an answer that only say again what stands before, each 0 to 1."""

    runs: float
    phrases: float

    @property
    def greater(self) -> float:
        """The graver of the two."""
        return max(self.runs, self.phrases)


def measure_repetition(texts: Sequence[str]) -> list[Repetition]:
    """Both shares of each text of a batch."""
    words = [text.split() for text in texts]
    squeezed = ["".join(found) for found in words]
    return [
        Repetition(
            runs=share_of_runs(text) if may_run else 0.0,
            phrases=_repeated_phrases(found) / len(short) if len(set(found)) < len(found) else 0.0,
        )
        for text, found, short, may_run in zip(texts, words, squeezed, _may_hold_runs(squeezed), strict=True)
    ]


def check_repetition(row: Row) -> Removal | None:
    """Only the answer counts: a user may well repeat a question."""
    return judge_repetition(measure_repetition([row.answer])[0])


def judge_repetition(found: Repetition) -> Removal | None:
    """The verdict on what was measured."""
    if found.runs > MAX_RUNS:
        return Removal(RemovalReason.REPETITION, f"{found.runs:.0%} of the answer is one unit again and again")
    if found.phrases > MAX_REPEATED_PHRASES:
        return Removal(RemovalReason.REPETITION, f"{found.phrases:.0%} of the answer has been said before")
    return None


def _repeated_phrases(words: list[str]) -> int:
    seen: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for start, phrase in enumerate(zip(words, words[1:], words[2:], strict=False)):
        if phrase in seen:
            repeated.update(range(start, start + _PHRASE_WORDS))
        else:
            seen.add(phrase)
    return sum(len(words[place]) for place in repeated)


def _may_hold_runs(squeezed: Sequence[str]) -> list[bool]:
    """False where share_of_runs is 0 for certain.

    In a run of four units, all but the first equal what stands one unit before: at least 3 places in a row (2 for a unit
    of one character) begin four characters that come again at that distance. Every second place is looked at.
    """
    read = code_points(squeezed)
    padded = numpy.concatenate([read.codes, numpy.zeros(_GRAM, dtype=numpy.uint32)]).astype(numpy.uint64)
    grams = numpy.zeros(len(read.codes), dtype=numpy.uint64)
    for offset in range(_GRAM):
        grams = grams * numpy.uint64(0x100000001B3) + padded[offset : offset + len(grams)]
    again = numpy.zeros(len(grams), dtype=bool)
    for distance in range(1, _UNIT_CHARACTERS + 1):
        later = grams[distance:]
        again[: len(later) : 2] |= grams[: len(later) : 2] == later[::2]
    found: list[bool] = numpy.logical_or.reduceat(again, read.starts).tolist() if len(squeezed) else []
    return found
