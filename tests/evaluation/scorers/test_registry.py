"""Every case finds its scorer, and one that cannot be scored is refused before anybody is asked."""

import pytest

from contracts.errors import InvalidDataError
from contracts.evaluation import TestCase
from evaluation.scorers.registry import SCORERS, check_case, is_right, score_answer
from evaluation.scorers.score import RIGHT, WRONG, Score, best


def case(scorer: str = "contains", accepted: tuple[str, ...] = ("5년",), **fields: object) -> TestCase:
    values = {"id": "a-1", "question": "보존 기간은?", "accepted_answers": list(accepted), "scorer": scorer, **fields}
    return TestCase.model_validate(values)


def test_thoughts_are_not_scored():
    assert score_answer(case(), "<think>7년일까?</think> 5년입니다.") == RIGHT
    assert score_answer(case(), "<think>5년이다.</think> 7년입니다.") == WRONG


def test_an_unknown_scorer_is_told_with_those_there_are():
    with pytest.raises(InvalidDataError, match="did you mean contains"):
        check_case(case("contain"))
    with pytest.raises(InvalidDataError, match="does not exist"):
        score_answer(case("contain"), "5년")


def test_an_unknown_option_is_refused():
    with pytest.raises(InvalidDataError, match="tolerence"):
        check_case(case(options={"tolerence": 1}))


@pytest.mark.parametrize("name", [name for name, scorer in SCORERS.items() if scorer.needs_accepted_answers])
def test_a_case_without_an_accepted_answer_is_refused(name):
    with pytest.raises(InvalidDataError, match="no accepted answer"):
        check_case(case(name, (), options={"x": 1}))


def test_a_graded_answer_is_right_from_its_pass_score_on():
    assert is_right(case(pass_score=0.6), Score(0.1 + 0.5))
    assert not is_right(case(pass_score=0.6), Score(0.59))


def test_the_best_of_no_score_is_nothing():
    assert best([]) == WRONG
    assert best([Score(0.2), Score(0.7, "a"), Score(0.7, "b")]) == Score(0.7, "a")
