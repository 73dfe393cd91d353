"""A judging model scores by the case's rubric, after all answers are in."""

from contracts.evaluation import TestCase
from evaluation.scorers.contains import contains
from evaluation.scorers.score import Score, unusable

RUBRIC = "rubric"
OPTIONS = (RUBRIC,)


def rubric(case: TestCase, answer: str) -> Score:
    """Without a judge: whether an accepted answer stands in it, where the case has one."""
    found = contains(case, answer) if case.accepted_answers else Score(0.0)
    return Score(found.value, "심사 모델 없이 채점함")


def check_rubric(case: TestCase) -> None:
    """Raises InvalidDataError for a case without a rubric."""
    text = case.options.get(RUBRIC)
    if not isinstance(text, str) or not text.strip():
        raise unusable(
            case, f"its option {RUBRIC} says nothing", value=text, allowed="what a good answer has, in words"
        )
