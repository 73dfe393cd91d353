"""How much a text reads like Korean, by a character trigram model with absolute discounting.

    p(c | ab) = (n(abc) - d) / n(ab)   where the trigram was seen, else back-off(ab) · p(c | b), and so on down
    surprise  = mean of -ln p over the Hangul syllables, drawn towards the usual by 6 syllables' worth
    fluency   = 1 at the surprise that 95 % of good text stays below, 0 at that of syllables in random order, linear
                between

Counts are kept by hash, quantised to 1/16 nat; the tables hold no text. A text with fewer than 6 syllables is not
judged (1): what is not Korean is the matter of the language share. The tables ship in `weights/fluency.npz`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from data_prep.code_points import FIRST_SYLLABLE, LAST_SYLLABLE, SEPARATOR, CodePointArray, code_points
from data_prep.compiled import compiled

WEIGHTS_FILE = Path(__file__).parent / "weights" / "fluency.npz"
TRIGRAM_SLOTS, BIGRAM_SLOTS = 1 << 22, 1 << 21
STEP = 1 / 16
"""Nats of one quantum."""
MIN_SYLLABLES = 6
_USUAL_SYLLABLES = 6
_OTHER, _DIGIT, _LATIN = 0x01, 0x30, 0x61
_KEPT = " \n.,?!:()%'\"-~·「」"

Table = NDArray[numpy.uint8]


def alphabet(codes: CodePointArray) -> CodePointArray:
    """Syllables and common marks as they are; digits, Latin letters and all the rest as one sign each."""
    folded: CodePointArray = _folding()[numpy.minimum(codes, 0xFFFF)]
    return folded


@cache
def _folding() -> CodePointArray:
    table = numpy.full(0x10000, _OTHER, dtype=numpy.uint32)
    table[SEPARATOR] = SEPARATOR
    for kept in _KEPT:
        table[ord(kept)] = ord(kept)
    table[ord("\n")] = ord(" ")
    table[ord("0") : ord("9") + 1] = _DIGIT
    table[ord("A") : ord("Z") + 1] = table[ord("a") : ord("z") + 1] = _LATIN
    syllables = numpy.arange(0xAC00, 0xD7A4, dtype=numpy.uint32)
    table[syllables] = syllables
    return table


def bigram_slots(first: CodePointArray, second: CodePointArray) -> NDArray[numpy.uint32]:
    """Where two signs in a row are kept."""
    mixed = (first * numpy.uint32(0x9E3779B1)) ^ (second * numpy.uint32(0x85EBCA6B))
    mixed ^= mixed >> numpy.uint32(15)
    return (mixed * numpy.uint32(0xC2B2AE35)) >> numpy.uint32(32 - 21)


def trigram_slots(first: CodePointArray, second: CodePointArray, third: CodePointArray) -> NDArray[numpy.uint32]:
    """Where three signs in a row are kept."""
    mixed = (first * numpy.uint32(0x9E3779B1)) ^ (second * numpy.uint32(0x85EBCA6B))
    mixed ^= mixed >> numpy.uint32(15)
    mixed = (mixed * numpy.uint32(0xC2B2AE35)) ^ (third * numpy.uint32(0x27D4EB2F))
    mixed ^= mixed >> numpy.uint32(13)
    return (mixed * numpy.uint32(0x165667B1)) >> numpy.uint32(32 - 22)


@dataclass(frozen=True, slots=True)
class FluencyModel:
    """Quantised surprises; 0 in a table means unseen."""

    trigrams: Table
    bigrams: Table
    bigram_backoffs: Table
    """What it costs to leave a bigram as context."""
    unigrams: Table
    """Of every code below 0x10000."""
    unigram_backoffs: Table
    usual: float
    """Mean surprise of good text."""
    good: float
    bad: float
    """The surprises at which fluency is 1 and 0."""

    def surprises(self, texts: Sequence[str]) -> tuple[NDArray[numpy.float64], NDArray[numpy.int64]]:
        """Mean surprise of each text's syllables in nats, and how many there are."""
        read = code_points(texts)
        steps = numpy.zeros(len(texts), dtype=numpy.int64)
        counts = numpy.zeros(len(texts), dtype=numpy.int64)
        _add_steps(
            read.codes,
            read.starts,
            read.lengths,
            _folding(),
            self.trigrams,
            self.bigrams,
            self.bigram_backoffs,
            self.unigrams,
            self.unigram_backoffs,
            steps,
            counts,
        )
        return steps * STEP / numpy.maximum(counts, 1), counts

    def fluency(self, texts: Sequence[str]) -> NDArray[numpy.float64]:
        """Each text's fluency, 0 to 1."""
        surprise, count = self.surprises(texts)
        drawn = (surprise * count + self.usual * _USUAL_SYLLABLES) / (count + _USUAL_SYLLABLES)
        judged = numpy.clip((self.bad - drawn) / (self.bad - self.good), 0, 1)
        fluent: NDArray[numpy.float64] = numpy.where(count < MIN_SYLLABLES, 1.0, judged)
        return fluent


@compiled("u4[]", "i8[]", "i8[]", "u4[]", "u1[]", "u1[]", "u1[]", "u1[]", "u1[]", "i8[]!", "i8[]!")
def _add_steps(
    codes: CodePointArray,
    starts: NDArray[numpy.int64],
    lengths: NDArray[numpy.int64],
    folding: CodePointArray,
    trigrams: Table,
    bigrams: Table,
    bigram_backoffs: Table,
    unigrams: Table,
    unigram_backoffs: Table,
    steps: NDArray[numpy.int64],
    counts: NDArray[numpy.int64],
) -> None:
    """The quanta of every syllable of a text after the two signs before it, and how many syllables there are."""
    word = 0xFFFFFFFF
    for text in range(len(starts)):
        first = second = numpy.int64(ord(" "))
        for place in range(starts[text], starts[text] + lengths[text]):
            code: Any = numpy.int64(codes[place])
            third: Any = numpy.int64(folding[min(code, 0xFFFF)])
            if FIRST_SYLLABLE <= third <= LAST_SYLLABLE:
                # the slots of `bigram_slots` and `trigram_slots`
                mixed = ((first * 0x9E3779B1) ^ (second * 0x85EBCA6B)) & word
                mixed ^= mixed >> 15
                longer = ((mixed * 0xC2B2AE35) ^ (third * 0x27D4EB2F)) & word
                longer ^= longer >> 13
                seen: Any = numpy.int64(trigrams[((longer * 0x165667B1) & word) >> 10])
                if seen == 0:
                    left: Any = numpy.int64(bigram_backoffs[((mixed * 0xC2B2AE35) & word) >> 11])
                    mixed = ((second * 0x9E3779B1) ^ (third * 0x85EBCA6B)) & word
                    mixed ^= mixed >> 15
                    seen = numpy.int64(bigrams[((mixed * 0xC2B2AE35) & word) >> 11])
                    if seen == 0:
                        seen = numpy.int64(unigram_backoffs[second]) + numpy.int64(unigrams[third])
                    seen += max(left - 1, 0)
                steps[text] += seen - 1
                counts[text] += 1
            first, second = second, third


@cache
def load_fluency_model() -> FluencyModel:
    """The model that ships."""
    with numpy.load(WEIGHTS_FILE, allow_pickle=False) as stored:
        return FluencyModel(
            trigrams=_spread(stored["trigram_gaps"], stored["trigram_steps"], TRIGRAM_SLOTS),
            bigrams=_spread(stored["bigram_gaps"], stored["bigram_steps"], BIGRAM_SLOTS),
            bigram_backoffs=_spread(stored["backoff_gaps"], stored["backoff_steps"], BIGRAM_SLOTS),
            unigrams=stored["unigrams"],
            unigram_backoffs=stored["unigram_backoffs"],
            usual=float(stored["levels"][0]),
            good=float(stored["levels"][1]),
            bad=float(stored["levels"][2]),
        )


def _spread(gaps: NDArray[numpy.uint16], steps: Table, size: int) -> Table:
    """A table of which only the used slots were stored."""
    table = numpy.zeros(size, dtype=numpy.uint8)
    table[numpy.cumsum(gaps.astype(numpy.int64))] = steps
    return table
