"""Which choice a free answer names: by its number or letter, or by its text."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from contracts.enums import CaseFault
from contracts.evaluation import TestCase
from evaluation.answer_scoring import contains_answer
from evaluation.scorers.exact import is_the_same
from evaluation.scorers.score import RIGHT, WRONG, Score, unusable

_LABELS = ("①②③④⑤⑥⑦⑧⑨⑩", "ABCDEFGHIJ", "가나다라마바사아자차", "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊ")
MOST_CHOICES = 10
_LABEL = r"(?:[①-⑩]|[1-9]0?|[A-Ja-j]|[가나다라마바사아자차]|[ㄱ-ㅊ])"
_ENCLOSED = re.compile(rf"^[\s*#>]*[(\[]?({_LABEL})(?:[)\].:]|번|\s*$|\s*(?:입니다|이다|번)?[.\s]*$)")
_STATED = re.compile(
    rf"(?:정답|답|답변|선택|answer)\s*(?:은|는|이|is)?\s*[:：=]?\s*[*\"'“‘(\[]*\s*({_LABEL})(?![^\W_])"
    rf"|(?:정답|답|답변|선택|answer)\s*(?:은|는|이|is)?\s*[:：=]?\s*[*\"'“‘(\[]*\s*({_LABEL})(?=번|입|이)",
    re.IGNORECASE,
)
_CIRCLED = re.compile("[①-⑩]")
_NUMBERED = re.compile(r"(?<![\d.])([1-9]0?)번(?!째)")


def multiple_choice(case: TestCase, answer: str) -> Score:
    """1 where the answer names an accepted choice and no other; the remark says what was read."""
    chosen = chosen_choice(case.choices, answer)
    if chosen is None:
        return Score(0.0, "고른 보기를 알 수 없음")
    right = chosen in {index_of(case.choices, accepted) for accepted in case.accepted_answers}
    return RIGHT if right else Score(WRONG.value, f"고른 보기: {case.choices[chosen]}")


def chosen_choice(choices: Sequence[str], answer: str) -> int | None:
    """Index of the choice that the answer names; None where it names none, or several.

    The answer as a whole being a choice's text comes first, then a label that the answer begins with or states
    (`정답은 ②`), then the only choice whose text is in it, then the only label.
    """
    text = answer.strip()
    same = [index for index, choice in enumerate(choices) if is_the_same(text, choice)]
    if len(same) == 1 and not _CIRCLED.match(text):
        return same[0]
    for pattern in (_STATED, _ENCLOSED):
        stated = _indexes((next(filter(None, match.groups())) for match in pattern.finditer(text)), choices)
        if len(stated) == 1:
            return stated.pop()
        if stated:
            return None
    named = _named(choices, text)
    if len(named) == 1:
        return named[0]
    if named:
        return None
    labels = _indexes((*_CIRCLED.findall(text), *_NUMBERED.findall(text)), choices)
    return labels.pop() if len(labels) == 1 else None


def index_of(choices: Sequence[str], accepted: str) -> int | None:
    """Index of an accepted answer, given as a choice's text or its label; None where it is neither."""
    for index, choice in enumerate(choices):
        if accepted == choice or is_the_same(accepted, choice):
            return index
    match = re.fullmatch(rf"\s*[(\[]?({_LABEL})[)\].]?(?:번)?\s*", accepted)
    labelled = _index_of_label(match[1]) if match is not None else None
    return labelled if labelled is not None and labelled < len(choices) else None


def question_with_choices(case: TestCase) -> str:
    """The question as it is asked: its choices below it, numbered, where it does not name them all itself."""
    if not case.choices or all(choice in case.question for choice in case.choices):
        return case.question
    lines = [f"{number}. {choice}" for number, choice in enumerate(case.choices, start=1)]
    return "\n".join([case.question, "", *lines])


def check_choices(case: TestCase) -> None:
    """Raises InvalidDataError where there are no choices, two are the same, or an accepted answer is none of them."""
    if not 2 <= len(case.choices) <= MOST_CHOICES:
        raise unusable(case, CaseFault.WRONG_CHOICES, value=len(case.choices))
    for index, choice in enumerate(case.choices):
        if not choice.strip() or any(is_the_same(choice, other) for other in case.choices[:index]):
            raise unusable(case, CaseFault.WRONG_CHOICES, value=repr(choice))
    for accepted in case.accepted_answers:
        if index_of(case.choices, accepted) is None:
            raise unusable(case, CaseFault.NOT_A_CHOICE, value=accepted, allowed=" | ".join(case.choices))


def _named(choices: Sequence[str], text: str) -> list[int]:
    """Choices whose text is in the answer; one that is a part of another that is there does not count."""
    found = [index for index, choice in enumerate(choices) if contains_answer(text, choice)]
    return [
        index
        for index in found
        if not any(other != index and contains_answer(choices[other], choices[index]) for other in found)
    ]


def _indexes(labels: Iterable[str], choices: Sequence[str]) -> set[int]:
    found = {_index_of_label(label) for label in labels}
    return {index for index in found if index is not None and index < len(choices)}


def _index_of_label(label: str) -> int | None:
    label = label.strip().upper()
    if label.isascii() and label.isdecimal():
        return int(label) - 1
    for labels in _LABELS:
        if label in labels:
            return labels.index(label)
    folded = unicodedata.normalize("NFKC", label)
    return int(folded) - 1 if folded.isdecimal() else None
