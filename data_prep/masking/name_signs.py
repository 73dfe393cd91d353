"""Which texts may hold a name that `find_names` finds: one pass over the characters of many texts.

A name by its surroundings begins with a surname, and either a title, a copula or a possessive follows it, or a label or
an identifier stands beside it. Most texts show nothing of the kind, and need none of the six patterns.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy
from numpy.typing import NDArray

from data_prep.code_points import FIRST_SYLLABLE, LAST_SYLLABLE, CodePointArray, code_points, spaces
from data_prep.compiled import compiled
from data_prep.masking.names import DOUBLE_SURNAMES, LABELS, SURNAMES, TITLES

_COPULAS = ("입니", "이고", "이며", "라고", "라는", "인데", "에요", "예요", "합니")
_SURNAME, _DOUBLE, _TITLE, _PARTICLE, _SIGN = 1, 2, 4, 8, 16
_PAIR_BITS = 14
_BASIC_PLANE = 0x10000
_I, _EUN, _UI = map(ord, "이은의")
_GROUP = re.compile(r"\([^()]*\)")


def may_hold_names(texts: Sequence[str]) -> list[bool]:
    """False where `find_names` surely finds nothing."""
    roles, behind, labels = _tables()
    read = code_points(texts)
    found = numpy.zeros(len(texts), dtype=numpy.bool_)
    _find(read.codes, read.starts, read.lengths, spaces(), roles, behind, labels, found)
    return [shown or "\0" in text for shown, text in zip(found.tolist(), texts, strict=True)]


@cache
def _tables() -> tuple[NDArray[numpy.uint8], NDArray[numpy.bool_], NDArray[numpy.bool_]]:
    """What single characters may be, which pairs stand behind a name, and which pairs end a label."""
    roles = numpy.zeros(_BASIC_PLANE, dtype=numpy.uint8)
    titles = _GROUP.sub("", TITLES).split("|")
    for characters, role in (
        ([*SURNAMES, *(double[0] for double in DOUBLE_SURNAMES)], _SURNAME),
        ([double[0] for double in DOUBLE_SURNAMES], _DOUBLE),
        ([title for title in titles if len(title) == 1], _TITLE),
        ("은는이가", _PARTICLE),
        (":=(", _SIGN),
    ):
        roles[[ord(character) for character in characters]] |= role
    labels = [label.replace(r"\s?", "") for label in LABELS.split("|")]
    return (
        roles,
        _table([*(title[:2] for title in titles if len(title) > 1), *_COPULAS]),
        _table(label[-2:] for label in labels),
    )


def _table(pairs: Iterable[str]) -> NDArray[numpy.bool_]:
    table = numpy.zeros(1 << _PAIR_BITS, dtype=numpy.bool_)
    for pair in pairs:
        first, second = map(ord, pair)
        table[((first * 0x9E3779B1 ^ second * 0x85EBCA6B) >> 9) & ((1 << _PAIR_BITS) - 1)] = True
    return table


@compiled("u4[]", "i8[]", "i8[]", "b1[]", "u1[]", "b1[]", "b1[]", "b1[]!")
def _find(
    codes: CodePointArray,
    starts: NDArray[numpy.int64],
    lengths: NDArray[numpy.int64],
    is_space: NDArray[numpy.bool_],
    roles: NDArray[numpy.uint8],
    behind: NDArray[numpy.bool_],
    labels: NDArray[numpy.bool_],
    found: NDArray[numpy.bool_],
) -> None:
    slots = (1 << _PAIR_BITS) - 1
    most = lengths.max() + 8 if len(lengths) else 8
    text_codes = numpy.zeros(most, numpy.int64)  # of one text, with eight separators behind it
    for text in range(len(starts)):
        size = lengths[text]
        for place in range(size):
            code: Any = numpy.int64(codes[starts[text] + place])
            text_codes[place] = min(code, _BASIC_PLANE - 1)
        text_codes[size : size + 8] = 0
        for place in range(size):
            if not roles[text_codes[place]] & _SURNAME:
                continue
            before = text_codes[place - 1] if place else numpy.int64(0)

            # a title, a copula or a possessive behind three syllables, or four
            if not FIRST_SYLLABLE <= before <= LAST_SYLLABLE or before == _EUN:
                syllables = 1
                while syllables < 4 and FIRST_SYLLABLE <= text_codes[place + syllables] <= LAST_SYLLABLE:
                    syllables += 1
                for length in range(3, syllables + 1):
                    if length == 4 and not roles[text_codes[place]] & _DOUBLE:
                        break
                    end = place + length
                    if text_codes[end] == _UI and is_space[text_codes[end + 1]]:
                        found[text] = True
                    for gap in range(2):
                        first, second = text_codes[end + gap], text_codes[end + gap + 1]
                        slot = ((first * 0x9E3779B1 ^ second * 0x85EBCA6B) >> 9) & slots
                        if behind[slot] or roles[first] & _TITLE:
                            found[text] = True
                        if not is_space[first] and first != _I:
                            break

            # a label before it
            last = place - 1
            while last >= 0 and is_space[text_codes[last]]:
                last -= 1
            if last >= 0 and roles[text_codes[last]] & _SIGN:
                last -= 1
                while last >= 0 and is_space[text_codes[last]]:
                    last -= 1
            elif last == place - 1:
                continue
            for particle in range(2):
                label_end = last - particle
                earlier = label_end - 1
                while earlier >= 0 and is_space[text_codes[earlier]]:
                    earlier -= 1
                if earlier < 0:
                    break
                first, second = text_codes[earlier], text_codes[label_end]
                if labels[((first * 0x9E3779B1 ^ second * 0x85EBCA6B) >> 9) & slots]:
                    found[text] = True
                if not roles[text_codes[last]] & _PARTICLE:
                    break
            if found[text]:
                break
