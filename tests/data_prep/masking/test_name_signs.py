"""No name is lost to the look at a text that comes before the patterns."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.masking import names
from data_prep.masking.masker import IDENTIFIED
from data_prep.masking.name_signs import may_hold_names

PARTS = [
    *("김민수", "남궁민수", "제갈량", "박서준", "이", "홍 길 동", "고객", "담당자", "성명", "받는 분", "받는사람", "이름은", "저는", "전", "님", "씨"),
    *("팀장", "대표이사", "의", "입니다", "라고", "라는", "합니다", "은", "는", "가", ":", "=", "(", ")", " ", "  ", "\n", ",", IDENTIFIED, "연락처", "가나다"),
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)
PATTERNS = [
    names._AFTER_LABEL, names._BEFORE_TITLE, names._INTRODUCTION, names._POSSESSIVE, names._BEFORE_IDENTIFIER, names._SPACED_NAME,
]  # fmt: skip


@given(st.lists(TEXTS, max_size=4))
@settings(max_examples=200)
def test_a_text_that_is_passed_over_holds_no_name(texts):
    for text, may_be_named in zip(texts, may_hold_names(texts), strict=True):
        assert may_be_named or not list(names.find_names(text))


@pytest.mark.parametrize("number", range(len(PATTERNS)))
@given(data=st.data())
def test_no_pattern_finds_a_name_in_a_text_that_is_passed_over(number, data):
    text = data.draw(st.from_regex(re.compile(PATTERNS[number].pattern)))

    assert may_hold_names([text])[0] or not list(names.find_names(text))


def test_most_texts_are_passed_over():
    texts = ["통행료는 영업소에서 냅니다.", "이사회는 정관을 고쳤다.", "김치찌개를 주문했다.", ""]

    assert may_hold_names(texts) == [False] * 4
    assert may_hold_names(["김민수 팀장에게 물었다."]) == [True]
