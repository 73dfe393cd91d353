"""Test questions are found in rows, also nearly the same ones."""

import random

import pytest

from contracts.enums import RemovalReason
from data_prep.duplicates.leakage import TestQuestionIndex, check_leakage
from data_prep.duplicates.near import digits
from data_prep.normalisation import comparable
from data_prep.rows import Message, Row


def row(*questions: str) -> Row:
    turns = [message for text in questions for message in (Message("user", text), Message("assistant", "네"))]
    return Row("a:1", tuple(turns))


def index_of(*questions: str) -> TestQuestionIndex:
    return TestQuestionIndex({comparable(text): f"case-{number}" for number, text in enumerate(questions)})


def three_grams(text: str) -> set[str]:
    compared = comparable(text)
    return {compared[at : at + 3] for at in range(max(len(compared) - 2, 1))}


def test_the_same_question_leaks_as_the_plain_rule_says():
    index = index_of("미납 통행료는 어디에 내나요?")

    [found] = index.check([row("미납 통행료는 어디에 내나요")])

    assert found == check_leakage(
        row("미납통행료는 어디에 내나요!"), {comparable("미납 통행료는 어디에 내나요?"): "case-0"}
    )


def test_a_question_with_another_ending_leaks():
    index = index_of("면제되는 차량은 무엇인가요?", "미납된 통행료의 분할 납부는 어느 부서가 담당하나요?")

    [found] = index.check([row("안녕하세요", "미납된 통행료의 분할 납부는 어느 부서가 담당하나요")])
    [near] = index.check([row("미납된 통행료의 분할 납부는 어느 부서가 담당하는가?")])

    assert found is not None
    assert near is not None
    assert (near.reason, near.detail) == (
        RemovalReason.LEAKS_TEST_CASE,
        "asks nearly the question of test case case-1",
    )


@pytest.mark.parametrize(
    "question", ["오늘 날씨는 어떤가요?", "", "!!!", "제13조의 통행료 면제 대상 차량은 무엇인가요?"]
)
def test_other_questions_and_other_numbers_stay(question):
    assert index_of("제12조의 통행료 면제 대상 차량은 무엇인가요?").check([row(question)]) == [None]


def test_without_test_questions_nothing_leaks():
    assert TestQuestionIndex({}).check([row("안녕하세요?")]) == [None]
    assert index_of("안녕하세요?").check([]) == []


def test_every_similar_question_is_found_and_no_other():
    rng = random.Random(0)
    words = ["통행료", "차량", "면제", "영업소", "고지서", "납부", "12", "환불", "할인", "신청"]
    questions = [" ".join(rng.choices(words, k=7)) for _ in range(60)]
    rows = [
        row(" ".join(rng.choices(words, k=1)) + question if number % 2 else question[:-1])
        for number, question in enumerate(questions * 2)
    ]

    found = index_of(*questions).check(rows)

    for one, removal in zip(rows, found, strict=True):
        alike = any(
            len(three_grams(text) & three_grams(one.question)) / len(three_grams(text) | three_grams(one.question))
            >= 0.8
            and "".join(digits(row(text))) == "".join(digits(one))
            for text in questions
        )
        assert (removal is not None) == alike
