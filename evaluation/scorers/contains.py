"""The answer says accepted answers as whole words or numbers, whatever stands around them."""

from contracts.enums import CaseFault
from contracts.evaluation import TestCase
from evaluation.answer_scoring import contains_answer, is_correct, normalise_answer
from evaluation.scorers.score import RIGHT, WRONG, Score, unusable


def contains(case: TestCase, answer: str) -> Score:
    """1 where at least one accepted answer is in the answer."""
    return RIGHT if is_correct(answer, case.accepted_answers) else WRONG


def contains_all(case: TestCase, answer: str) -> Score:
    """The share of the accepted answers that are in the answer; the remark names those that are not."""
    missing = [accepted for accepted in case.accepted_answers if not contains_answer(answer, accepted)]
    found = len(case.accepted_answers) - len(missing)
    remark = f"빠진 답: {', '.join(missing)}" if missing else ""
    return Score(found / len(case.accepted_answers), remark) if case.accepted_answers else WRONG


def check_has_letters(case: TestCase) -> None:
    """Every accepted answer has a letter or a digit; raises InvalidDataError."""
    for accepted in case.accepted_answers:
        if not normalise_answer(accepted):
            raise unusable(case, CaseFault.NO_LETTERS, value=repr(accepted))
