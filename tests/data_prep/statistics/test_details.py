"""What a Korean reader is told of a removed row."""

import re

import pytest

from contracts.data_policy import QualityPolicy
from data_prep.quality.judging import QualityJudge
from data_prep.quality.length import check_length
from data_prep.quality.score import WEIGHTS
from data_prep.rows import Message, Row
from data_prep.statistics.details import in_korean

POLICY = QualityPolicy(min_korean_share=0.3, remove_refusals=True, remove_truncated=True)


def row(question: str, answer: str, **metadata: float) -> Row:
    return Row("a:1", (Message("user", question), Message("assistant", answer)), {**metadata})


BAD_ROWS = [
    row("짧은 답인가요?", "네."),
    row("네", "질문이 짧으면 이 행은 빠집니다."),
    row("되풀이하나요?", "안내합니다. " * 40),
    row("욕을 하나요?", "이 씨발 새끼야 꺼져 버려라"),
    row("What is this?", "This answer is written in English only, without any Korean letter at all."),
    row("담당 부서는 어디인가요?", "죄송하지만 저는 그 질문에 답변할 수 없습니다."),
    row("언제까지 처리되나요?", "신청서를 접수한 날부터 45일 이내에 결과를 확정", quality_score=0.2),
    row("언제까지 처리되나요?", "신청서를 접수한 날부터 45일 이내에 결과를 확정하며 그 뒤에는 지사의"),
]


@pytest.mark.parametrize("bad", BAD_ROWS, ids=lambda bad: bad.answer[:12])
def test_the_rules_details_read_as_korean(bad):
    (judged,) = QualityJudge(POLICY, 0.7, 5).judge([bad])

    assert judged.removal is not None
    told = in_korean(judged.removal.detail)
    assert re.search("[가-힣]", told), judged.removal.detail
    assert not re.search("[A-Za-z]{3}", told), told


@pytest.mark.parametrize(
    ("detail", "korean"),
    [
        ("same as a.jsonl:4", "a.jsonl:4 행과 같음"),
        ("nearly the same as a.jsonl:4 (0.94)", "a.jsonl:4 행과 거의 같음 (0.94)"),
        ("in tolls v1.2", "tolls v1.2 버전에 있음"),
        ("asks the question of test case reg-7", "평가 문항 reg-7의 질문과 같음"),
        ("asks nearly the question of test case reg-7", "평가 문항 reg-7의 질문과 거의 같음"),
        ("toxicity 0.91, below 0.70 allowed", "유해 점수 0.91, 0.70 미만이어야 함"),
        ("주민등록번호", "주민등록번호"),
    ],
)
def test_details_of_duplicates_and_leaks_read_as_korean(detail, korean):
    assert in_korean(detail) == korean


def test_every_part_of_the_score_has_a_korean_word():
    told = in_korean("quality 0.41 (measured 0.97, " + ", ".join(f"{name} 0.50" for name in WEIGHTS) + ")")

    assert not re.search("[a-z]", told)


def test_a_row_that_is_too_long_says_how_long_it_is():
    found = check_length(row("얼마나 긴가요?", "가" * 200), 5, 100)

    assert found is not None
    assert in_korean(found.detail) == "답변 200자, 100자 이하여야 함"
