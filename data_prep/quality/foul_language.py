"""Foul language: a small list of words, found through the usual disguises.

Precision comes first: official Korean is full of harmless words that hold a foul one (다시발급, 날씨발표, 질병신고).
What is not on the list is not found; measuring and widening this is the matter of the toxicity evaluation.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

from contracts.enums import RemovalReason
from data_prep.code_points import CodePoints
from data_prep.removal import Removal
from data_prep.rows import Row
from data_prep.traces import Trace, Traces

_GAP_SIGNS = "0123456789!@#$%^&*~_.,-'\"ㅡ"
_GAP = rf"[{re.escape(_GAP_SIGNS)}]{{0,2}}"
"""What is put between the syllables as a disguise. No space: `날씨 발표` would be found."""


def _disguised(*syllables: str) -> str:
    return _GAP.join(syllables)


_WORDS = (
    rf"(?<![가-힣]){_disguised('[씨시쓰]', '[발벌팔빨]')}(?=[\s!?.,~ㅋㅎㅠ]|놈|년|새끼|아\b|롬|로마|것들|$)",
    rf"(?<![날저글마불솜기가-힣]){_disguised('씨', '[발벌팔빨]')}(?![표생송전행급견굴령주언간열사])",
    rf"{_disguised('개', '[새색]', '[끼키]')}",
    rf"(?<![가-힣]){_disguised('[병빙븅]', '[신싄]')}(?![고청규체세용속호입임경의])",
    rf"{_disguised('지', '랄')}(?=[\s!?.,~하이도을떨맞마ㅋ]|$)",
    r"좆",
    rf"(?<![가-힣]){_disguised('미', '친', '[놈년새]')}",
    rf"{_disguised('씹', '[새할년놈]')}",
    rf"(?<![가-힣]){_disguised('존', '나')}(?=\s|[가-힣]*[게워네])(?!\s?단)",
    rf"{_disguised('니', '[미애]', '[미비]')}(?=[\s!?.,~]|$)",
    r"(?<![가-힣])(?:썅|쌍)(?:놈|년)|(?<![가-힣])썅",
    r"(?<![가-힣])또라이(?=[\s!?.,~가-힣]|$)",
    rf"(?<![ㄱ-ㅎ])(?:{_disguised('ㅅ', 'ㅂ')}|{_disguised('ㅆ', 'ㅂ')}|{_disguised('ㅂ', 'ㅅ')}|{_disguised('ㅈ', 'ㄹ')}|ㅄ)(?![ㄱ-ㅎ])",
    r"\b(?:fuck\w*|shit|bitch\w*|asshole\w*)\b",
)
_FOUL = re.compile("|".join(f"(?:{word})" for word in _WORDS), re.IGNORECASE)


_LOOK_AROUNDS = re.compile(r"\(\?<?[=!][^()]*\)|\\b")


@cache
def _filter() -> Any:
    """The same words without what must stand around them: one automaton, which nearly every text fails."""
    import re2

    return re2.compile("(?i)" + "|".join(f"(?:{_LOOK_AROUNDS.sub('', word)})" for word in _WORDS))


@cache
def _traces() -> Traces:
    syllables = (
        "씨시쓰 발벌팔빨",
        "개 새색",
        "병빙븅 신싄",
        "지 랄",
        "미 친",
        "씹 새할년놈",
        "존 나",
        "니 미애",
        "쌍 놈년",
        "또 라",
    )
    letters = ("ㅅㅆㅈ ㅂㄹ", "ㅂ ㅅ", "fF uU", "sSſ hH", "bB iI", "aA sSſ")
    pairs = [first + second for one in (*syllables, *letters) for first, second in product(*one.split())]
    return Traces([Trace("좆썅ㅄ", pairs)], fillers=_GAP_SIGNS)


def texts_that_may_be_foul(read: CodePoints) -> list[bool]:
    """False for texts that surely hold no foul word."""
    (found,) = _traces().found(read)
    return [bool(one) for one in found]


def foul_words(text: str) -> int:
    """How many foul words the text holds."""
    if _filter().search(text.encode("utf-8", "replace").decode()) is None:
        return 0
    return sum(1 for _ in _FOUL.finditer(text))


def check_foul_language(row: Row) -> Removal | None:
    """Question and answer count: a model is to learn neither."""
    return judge_foul_language(row, [foul_words(message.content) for message in row.messages])


def judge_foul_language(row: Row, found: Sequence[int]) -> Removal | None:
    """The verdict on the foul words of each turn."""
    for message, words in zip(row.messages, found, strict=True):
        if words:
            return Removal(RemovalReason.FOUL_LANGUAGE, f"{words} foul words in the {message.role}'s turn")
    return None
