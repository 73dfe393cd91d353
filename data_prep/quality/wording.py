"""What an answer is made of, counted in one pass: characters, words, pairs, phrases, and what it takes up of the question."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from data_prep.code_points import CodePointArray, code_points, spaces
from data_prep.compiled import compiled

PHRASE_WORDS = 3
LONGEST_UNIT = 20
"""Characters of a unit that is looked for in a row."""
SHORTEST_RUN = 6
"""Characters of a run."""

_CHARACTERS, _WORDS, _PAIRS, _ASKED, _TAKEN_UP, _REPEATED, _RUNS = range(7)


@dataclass(frozen=True, slots=True)
class Wording:
    """Counts of each text, spaces left out."""

    counts: NDArray[numpy.int64]
    """(texts, 7)"""

    @property
    def characters(self) -> list[int]:
        """Characters that are no space."""
        return self._column(_CHARACTERS)

    @property
    def words(self) -> list[int]:
        """Words, as `str.split` cuts them."""
        return self._column(_WORDS)

    @property
    def distinct_pairs(self) -> list[int]:
        """Different pairs of characters that follow each other, also from word to word."""
        return self._column(_PAIRS)

    @property
    def asked_pairs(self) -> list[int]:
        """Different pairs of characters inside the words of the question."""
        return self._column(_ASKED)

    @property
    def shared_pairs(self) -> list[int]:
        """Those of them that the text has too."""
        return self._column(_TAKEN_UP)

    @property
    def repeated_characters(self) -> list[int]:
        """Characters of words in three-word phrases that stood before; phrases are told apart by 64 bits."""
        return self._column(_REPEATED)

    @property
    def may_hold_runs(self) -> list[bool]:
        """False where surely no unit of up to 20 characters stands four times in a row over 6 characters or more."""
        return [runs > 0 for runs in self._column(_RUNS)]

    def _column(self, number: int) -> list[int]:
        column: list[int] = self.counts[:, number].tolist()
        return column


def read_wording(texts: Sequence[str], questions: Sequence[str] | None = None) -> Wording:
    """The counts of each text; `questions` are what they answer, one each."""
    read = code_points(texts)
    asked = code_points([""] * len(texts) if questions is None else questions)
    counts = numpy.zeros((len(texts), 7), dtype=numpy.int64)
    if len(texts):
        _count(read.codes, read.starts, read.lengths, asked.codes, asked.starts, asked.lengths, spaces(), counts)
    return Wording(counts)


@compiled("u4[]", "i8[]", "i8[]", "u4[]", "i8[]", "i8[]", "b1[]", "i8[][]!")
def _count(
    codes: CodePointArray,
    starts: NDArray[numpy.int64],
    lengths: NDArray[numpy.int64],
    asked_codes: CodePointArray,
    asked_starts: NDArray[numpy.int64],
    asked_lengths: NDArray[numpy.int64],
    is_space: NDArray[numpy.bool_],
    counts: NDArray[numpy.int64],
) -> None:
    most = max(lengths.max(), asked_lengths.max()) + 1
    squeezed = numpy.empty(most, numpy.int64)
    word_lengths, word_hashes = numpy.empty(most, numpy.int64), numpy.empty(most, numpy.int64)
    repeated = numpy.empty(most, numpy.bool_)
    # three open hash tables; a slot counts where its stamp is the text's number
    slots = 2
    while slots < 2 * most:
        slots *= 2
    pairs, asked, phrases = (
        numpy.empty(slots, numpy.int64),
        numpy.empty(slots, numpy.int64),
        numpy.empty(slots, numpy.int64),
    )
    pair_stamps, asked_stamps, phrase_stamps = (
        numpy.full(slots, -1, numpy.int64),
        numpy.full(slots, -1, numpy.int64),
        numpy.full(slots, -1, numpy.int64),
    )
    for text in range(len(starts)):
        # without spaces, and the words
        size = words = 0
        length = word = numpy.int64(0)
        for place in range(starts[text], starts[text] + lengths[text] + 1):
            code = numpy.int64(codes[place])
            if code != 0 and not (code < 0x10000 and is_space[code]):
                squeezed[size] = code
                size += 1
                length += 1
                word = (word ^ code) * 0x100000001B3
                word ^= word >> 29
            elif length > 0:
                word_lengths[words], word_hashes[words] = length, word
                words += 1
                length = word = numpy.int64(0)

        mask = 1
        while mask < 2 * max(size, asked_lengths[text]):
            mask *= 2
        mask -= 1

        distinct = 0
        for place in range(size - 1):
            key = squeezed[place] << 32 | squeezed[place + 1]
            slot = ((key * -7046029254386353131) >> 33) & mask
            while pair_stamps[slot] == text and pairs[slot] != key:
                slot = (slot + 1) & mask
            if pair_stamps[slot] != text:
                pair_stamps[slot], pairs[slot] = text, key
                distinct += 1

        wanted = shared = 0
        before = numpy.int64(0)
        for place in range(asked_starts[text], asked_starts[text] + asked_lengths[text]):
            code = numpy.int64(asked_codes[place])
            if code < 0x10000 and is_space[code]:
                before = numpy.int64(0)
                continue
            if before != 0:
                key = before << 32 | code
                slot = first = ((key * -7046029254386353131) >> 33) & mask
                while asked_stamps[slot] == text and asked[slot] != key:
                    slot = (slot + 1) & mask
                if asked_stamps[slot] != text:
                    asked_stamps[slot], asked[slot] = text, key
                    wanted += 1
                    slot = first
                    while pair_stamps[slot] == text and pairs[slot] != key:
                        slot = (slot + 1) & mask
                    shared += pair_stamps[slot] == text
            before = code

        repeated[:words] = False
        for start in range(words - PHRASE_WORDS + 1):
            key = word_hashes[start]
            for further in range(1, PHRASE_WORDS):
                key = key * -7046029254386353131 + word_hashes[start + further]
                key ^= key >> 31
            slot = ((key * -7046029254386353131) >> 33) & mask
            while phrase_stamps[slot] == text and phrases[slot] != key:
                slot = (slot + 1) & mask
            if phrase_stamps[slot] == text:
                repeated[start : start + PHRASE_WORDS] = True
            else:
                phrase_stamps[slot], phrases[slot] = text, key
        again = 0
        for number in range(words):
            if repeated[number]:
                again += word_lengths[number]

        # four units of `unit` characters: 3 * unit places in a row equal what stands one unit before, one of these among them
        runs = False
        for unit in range(1, LONGEST_UNIT + 1):
            least = max(3 * unit, SHORTEST_RUN - unit)
            for place in range(unit, size, 3 * unit):
                if squeezed[place] != squeezed[place - unit]:
                    continue
                begin = end = place
                while begin > unit and squeezed[begin - 1] == squeezed[begin - 1 - unit]:
                    begin -= 1
                while end + 1 < size and squeezed[end + 1] == squeezed[end + 1 - unit]:
                    end += 1
                if end - begin + 1 >= least:
                    runs = True
                    break
            if runs:
                break

        counts[text, _CHARACTERS], counts[text, _WORDS], counts[text, _PAIRS] = size, words, distinct
        counts[text, _ASKED], counts[text, _TAKEN_UP] = wanted, shared
        counts[text, _REPEATED], counts[text, _RUNS] = again, runs
