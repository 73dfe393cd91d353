"""The answer says an accepted answer as a whole word or number, whatever stands around it."""

from contracts.evaluation import TestCase
from evaluation.answer_scoring import is_correct, normalise_answer
from evaluation.scorers.score import RIGHT, WRONG, Score, unusable


def contains(case: TestCase, answer: str) -> Score:
    """1 where at least one accepted answer is in the answer."""
    return RIGHT if is_correct(answer, case.accepted_answers) else WRONG


def check_has_letters(case: TestCase) -> None:
    """Every accepted answer has a letter or a digit; raises InvalidDataError."""
    for accepted in case.accepted_answers:
        if not normalise_answer(accepted):
            raise unusable(case, "an accepted answer has no letter and no digit", value=repr(accepted))
