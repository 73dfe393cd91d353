"""Korean numerals: `삼십`, `1만 5천`, `3억 2000만`, `스물두`, each with every place where it may end.

A numeral is read from a place in a text on. Where it ends is not certain before its unit is known: `삼십일` is 31
before a unit (`삼십일 명`) and 30 days without one. So all ends are given, the longest first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_DIGITS = {"일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "륙": 6, "칠": 7, "팔": 8, "구": 9}
_PLACES = {"십": 10, "백": 100, "천": 1000}
_MYRIADS = {"만": 10**4, "억": 10**8, "조": 10**12}
_ARABIC = re.compile(r"\d+(?:\.\d+)?")
_LONGEST_ARABIC = 30
"""Digits; a longer run is an identifier, not a number."""
_NATIVE_TENS = {
    "열": 10, "스물": 20, "스무": 20, "서른": 30, "마흔": 40, "쉰": 50, "예순": 60, "일흔": 70, "여든": 80, "아흔": 90,
}  # fmt: skip
_NATIVE_ONES = {
    "하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "석": 3, "넷": 4, "네": 4, "넉": 4, "다섯": 5, "여섯": 6,
    "일곱": 7, "여덟": 8, "아홉": 9,
}  # fmt: skip
_NATIVE = re.compile(f"(?P<tens>{'|'.join(_NATIVE_TENS)})?(?P<ones>{'|'.join(_NATIVE_ONES)})?")


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number that begins somewhere in a text and ends at `end`."""

    end: int
    value: Fraction
    is_arabic: bool
    """Written with digits only."""
    has_digits: bool
    """At least one digit stands in it: `1만` has, `일만` has not."""
    syllables: int
    """Letters that are no digits."""
    reaches_trillions: bool
    """`조` is read as 10¹², which elsewhere is an article of a law."""


def numerals_at(text: str, start: int) -> list[Numeral]:
    """Every reading of a numeral that begins at `start`, the longest first; none where there is no numeral."""
    readings = list(_sino_korean(text, start))
    native = _native(text, start)
    if native is not None and all(native.end != reading.end for reading in readings):
        readings.append(native)
    return sorted(readings, key=lambda reading: -reading.end)


def _sino_korean(text: str, start: int) -> Iterator[Numeral]:
    total = section = Fraction(0)
    waiting: Fraction | None = None
    last_place, last_myriad = 10**4, 10**16
    is_arabic, has_digits, syllables, trillions = True, False, 0, False
    position = start
    while position < len(text):
        character = text[position]
        if character == " " and position > start:
            position += 1
            if position == len(text) or text[position] == " ":
                return
            continue
        if match := _ARABIC.match(text, position) if character.isdecimal() else None:
            number = Fraction(match.group()) if len(match.group()) <= _LONGEST_ARABIC else None
            if number is None or waiting is not None or (section and number >= last_place):
                return
            if position > start and text[position - 1] == " " and is_arabic:
                return
            waiting, has_digits = number, True
            position = match.end()
        elif character in _DIGITS:
            digit = _DIGITS[character]
            if waiting is not None:
                return
            waiting, is_arabic, syllables = Fraction(digit), False, syllables + 1
            position += 1
        elif character in _PLACES:
            place = _PLACES[character]
            if place >= last_place or waiting == 0 or (section and waiting is not None and waiting >= 10):
                return
            section += (Fraction(1) if waiting is None else waiting) * place
            waiting, last_place, is_arabic, syllables = None, place, False, syllables + 1
            position += 1
        elif character in _MYRIADS:
            myriad = _MYRIADS[character]
            group = section + (waiting or 0)
            if myriad >= last_myriad or (group == 0 and (total or waiting is not None or character != "만")):
                return
            total += (group or 1) * myriad
            section, waiting = Fraction(0), None
            last_place, last_myriad, is_arabic, syllables = 10**4, myriad, False, syllables + 1
            trillions = trillions or character == "조"
            position += 1
        else:
            return
        yield Numeral(position, total + section + (waiting or 0), is_arabic, has_digits, syllables, trillions)


def _native(text: str, start: int) -> Numeral | None:
    match = _NATIVE.match(text, start)
    if match is None or not match.group():
        return None
    value = _NATIVE_TENS.get(match["tens"] or "", 0) + _NATIVE_ONES.get(match["ones"] or "", 0)
    return Numeral(match.end(), Fraction(value), False, False, len(match.group()), False)
