"""Numbers that a word processor sets itself: they stand in no text, but `제3조` is what people ask about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_GANADA = "가나다라마바사아자차카타파하"
_JAMO = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"
_CIRCLED_GANADA = "㉮㉯㉰㉱㉲㉳㉴㉵㉶㉷㉸㉹㉺㉻"
_DIGITS = "영일이삼사오육칠팔구"
_HANJA = "〇一二三四五六七八九"
_ROMAN = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
    (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip
_MAX_NUMBER = 9999


@dataclass(frozen=True, slots=True)
class LevelFormat:
    """How the numbers of one level are written."""

    style: str
    """A name of `written`."""
    pattern: str
    """`제%1조`: %1 is the number of the first level."""
    start: int = 1


class Counter:
    """Counts the paragraphs of one list."""

    def __init__(self, levels: Mapping[int, LevelFormat]) -> None:
        self._levels = levels
        self._counts: dict[int, int] = {}

    def next_label(self, level: int) -> str:
        """The label of the next paragraph of this level (from 0); empty where the level has none."""
        written_as = self._levels.get(level)
        if written_as is None:
            return ""
        self._counts = {at: count for at, count in self._counts.items() if at <= level}
        self._counts[level] = self._counts.get(level, written_as.start - 1) + 1
        if written_as.style == "none":
            return ""
        if written_as.style == "bullet":
            return "-"

        def number(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            form = self._levels.get(at)
            return written(self._counts.get(at, form.start), form.style) if form is not None else ""

        return re.sub(r"%(\d{1,2})", number, written_as.pattern).strip()


def written(number: int, style: str) -> str:
    """The number in a style: decimal, circled, ganada, jamo, circled_ganada, roman, ROMAN, latin, LATIN, korean, hanja."""
    number = max(0, min(number, _MAX_NUMBER))
    if style == "circled":
        for first, last, code in ((1, 20, 0x2460), (21, 35, 0x3251), (36, 50, 0x32B1)):
            if first <= number <= last:
                return chr(code + number - first)
    for name, letters in (("ganada", _GANADA), ("jamo", _JAMO), ("circled_ganada", _CIRCLED_GANADA)):
        if style == name and 1 <= number <= len(letters):
            return letters[number - 1]
    if style.lower() == "roman" and number:
        roman, rest = "", number
        for value, sign in _ROMAN:
            roman += sign * (rest // value)
            rest %= value
        return roman if style.isupper() else roman.lower()
    if style.lower() == "latin" and 1 <= number <= 26:
        return chr((65 if style.isupper() else 97) + number - 1)
    if style in {"korean", "hanja"} and 1 <= number <= 99:
        digits, ten = (_DIGITS, "십") if style == "korean" else (_HANJA, "十")
        tens, ones = divmod(number, 10)
        return (digits[tens] if tens > 1 else "") + (ten if tens else "") + (digits[ones] if ones else "")
    return str(number)
