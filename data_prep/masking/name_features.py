"""Which properties of a word and its neighbours the name model weighs, as hashes."""

import numpy
from numpy.typing import NDArray

from data_prep.compiled import compiled
from data_prep.masking.name_words import BASE

REACH = 2
_WORD, _PART, _MEANING, _COARSE, _LOOK, _FIRST, _LAST, _FIRST_TWO, _LAST_TWO, _FORM = range(BASE)


def templates(columns: int) -> NDArray[numpy.int64]:
    """(templates, 8): pairs of a number's place and a distance + REACH, then -1. `columns` are those of the lexicon."""
    inside, rest, begun, next_word, word_before, last_word, next_part, outline, register = range(
        BASE + columns, BASE + columns + 9
    )
    every: list[list[tuple[int, int]]] = []
    for away in range(-REACH, REACH + 1):
        every += [[(_WORD, away)], [(_PART, away)], [(_MEANING, away), (_COARSE, away)], [(_LOOK, away)]]
        if abs(away) < REACH:
            every += [[(one, away)] for one in (_FORM, _FIRST, _LAST, _FIRST_TWO, _LAST_TWO)]
            every += [[(inside, away), (_COARSE, away)]]
    every += [
        [(_PART, -1), (_PART, 0)], [(_PART, 0), (_PART, 1)], [(_PART, -1), (_PART, 0), (_PART, 1)],
        [(_PART, 0), (_PART, 1), (_PART, 2)], [(_PART, -2), (_PART, -1)], [(_PART, 1), (_PART, 2)],
        [(_WORD, -1), (_WORD, 0)], [(_WORD, 0), (_WORD, 1)], [(_WORD, 1), (_WORD, 2)], [(_WORD, -2), (_WORD, -1)],
        [(_PART, 0), (_WORD, 1)], [(_WORD, -1), (_PART, 0)],
        [(_MEANING, 0), (_FORM, 0)], [(_MEANING, 0), (_FORM, 0), (inside, 0)], [(_MEANING, 0), (_WORD, 1)],
        [(_FORM, 0), (_WORD, 1)], [(_FORM, 0), (_WORD, -1)], [(_FORM, 0), (_PART, 1)], [(_FORM, 0), (_PART, -1)],
        [(_MEANING, -1), (_MEANING, 0)], [(_MEANING, 0), (_MEANING, 1)],
        [(_COARSE, -1), (_COARSE, 0), (_COARSE, 1), (_COARSE, 2)],
        [(_FORM, 0), (_FORM, 1)], [(_FORM, -1), (_FORM, 0)], [(_FORM, -1), (_FORM, 0), (_FORM, 1)],
        [(inside, 0)], [(rest, 0)], [(begun, 0)], [(next_word, 0)], [(word_before, 0)], [(last_word, 0)],
        [(rest, 0), (_FORM, 0)], [(rest, 0), (next_word, 0)], [(next_word, 0), (_FORM, 0)],
        [(word_before, 0), (_FORM, 0)], [(next_word, 0), (last_word, 0)], [(next_word, 0), (_PART, 0)],
        [(word_before, 0), (_PART, 0)], [(inside, -1), (inside, 0), (inside, 1), (_FORM, 0)],
        [(next_part, 0), (last_word, 0)], [(_LOOK, 0), (_MEANING, 0)], [(_FIRST, 0), (_LOOK, 0)],
        [(_LAST, 0), (_LOOK, 0)], [(_FIRST, 0), (_PART, 0)], [(rest, 0), (_MEANING, 0)],
    ]  # fmt: skip
    every += [[(outline, away)] for away in (-1, 0, 1)]
    every += [[(outline, 0), (other, 0)] for other in (next_word, _PART, inside, word_before, _MEANING, _FORM)]
    every += [[(register, 0)]]
    every += [
        [(register, 0), (other, 0)]
        for other in (_FORM, _PART, _MEANING, BASE, BASE + columns - 2, outline, _LOOK, _WORD, next_word, _FIRST)
    ]
    for column in range(BASE, BASE + columns):
        every += [[(column, away)] for away in range(-REACH, REACH + 1)]
        every += [[(column, 0), (column, 1)], [(column, -1), (column, 0)], [(column, 0), (_PART, 0)]]
        if column == BASE:
            every += [[(column, -1), (column, 0), (column, 1)]]
            every += [[(column, away), (_FORM, 0)] for away in (-1, 0, 1)]
            every += [[(column, away), (_PART, 0)] for away in (-1, 1)]
    made = numpy.full((len(every), 8), -1, dtype=numpy.int64)
    for number, pairs in enumerate(every):
        for place, (one, away) in enumerate(pairs):
            made[number, 2 * place : 2 * place + 2] = one, away + REACH
    return made


@compiled("u4[][]", "i8[]", "i8[][]", "u4[][]!")
def hash_features(
    numbers: NDArray[numpy.uint32],
    starts: NDArray[numpy.int64],
    every: NDArray[numpy.int64],
    hashes: NDArray[numpy.uint32],
) -> None:
    """Fill `hashes` (words, templates). `starts` are the first words of the texts and the number of all words."""
    factor, shift = numpy.uint64(0xBF58476D1CE4E5B9), numpy.uint64(29)
    spread, before, behind = numpy.uint64(0x9E3779B97F4A7C15), numpy.uint64(11), numpy.uint64(12)
    for text in range(len(starts) - 1):
        first, end = starts[text], starts[text + 1]
        for word in range(first, end):
            for template in range(every.shape[0]):
                mixed = numpy.uint64(template + 1) * spread
                for pair in range(0, 8, 2):
                    place = every[template, pair]
                    if place < 0:
                        break
                    there = word + every[template, pair + 1] - 2
                    if there < first:
                        value = before
                    elif there >= end:
                        value = behind
                    else:
                        value = numpy.uint64(numbers[there, place])
                    mixed = (mixed ^ (value + spread)) * factor
                    mixed ^= mixed >> shift
                hashes[word, template] = numpy.uint32(mixed >> numpy.uint64(32))
