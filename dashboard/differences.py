"""Two texts side by side, with the words marked that only one of them has."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from html import escape

_WORD = re.compile(r"\s+|[^\s]+")
MOST_WORDS = 1500
"""Longer texts are shown without marks: finding them takes the square of the length."""


def marked(first: str, second: str) -> tuple[str, str]:
    """Both as markup, escaped."""
    one, two = _WORD.findall(first.strip()), _WORD.findall(second.strip())
    if max(len(one), len(two)) > MOST_WORDS or one == two:
        return escape(first.strip()), escape(second.strip())
    left, right = [], []
    for kind, start, end, other_start, other_end in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        left.append(_part(one[start:end], is_same=kind == "equal"))
        right.append(_part(two[other_start:other_end], is_same=kind == "equal"))
    return "".join(left), "".join(right)


def _part(words: list[str], *, is_same: bool) -> str:
    text = escape("".join(words))
    return text if is_same or not text.strip() else f"<mark>{text}</mark>"
