"""Text that says the same again and again."""

import re
from collections import Counter

from contracts.enums import RemovalReason
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


def check_repetition(row: Row) -> Removal | None:
    """Only the answer counts: a user may well repeat a question."""
    runs, phrases = share_of_runs(row.answer), share_of_repeated_phrases(row.answer)
    if runs > MAX_RUNS:
        return Removal(RemovalReason.REPETITION, f"{runs:.0%} of the answer is one unit again and again")
    if phrases > MAX_REPEATED_PHRASES:
        return Removal(RemovalReason.REPETITION, f"{phrases:.0%} of the answer has been said before")
    return None


def _repeated_phrases(words: list[str]) -> int:
    seen: Counter[tuple[str, ...]] = Counter()
    repeated = [False] * len(words)
    for start in range(len(words) - _PHRASE_WORDS + 1):
        phrase = tuple(words[start : start + _PHRASE_WORDS])
        seen[phrase] += 1
        if seen[phrase] > 1:
            repeated[start : start + _PHRASE_WORDS] = [True] * _PHRASE_WORDS
    return sum(len(word) for word, is_repeated in zip(words, repeated, strict=True) if is_repeated)
