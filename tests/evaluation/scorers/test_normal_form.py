"""Spellings of the same value have one form, and different values never the same. Every form is written by hand."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.scorers.normal_form import comparable, normal_form

FORMS = [
    # Sino-Korean numerals
    ("삼십 일", "30일"),
    ("삼십일", "30일"),
    ("삼십일일", "31일"),
    ("삼십일 명", "31명"),
    ("십일월", "11월"),
    ("이십사시간", "24시간"),
    ("오 년", "5년"),
    ("오년", "5년"),
    ("백이십 킬로미터", "120km"),
    ("천오백 원", "1500원"),
    ("만 원", "10000원"),
    ("오만 원", "50000원"),
    ("이만오천원", "25000원"),
    ("일억 이천만 원", "120000000원"),
    ("삼십오", "35"),
    ("삼십오입니다.", "35"),
    ("천오백", "1500"),
    # digits and letters mixed
    ("1만 5천원", "15000원"),
    ("1만5천 원", "15000원"),
    ("15,000원", "15000원"),
    ("１５，０００원", "15000원"),
    ("3억 2,000만 원", "320000000원"),
    ("2.5억 원", "250000000원"),
    ("35백만원", "35000000원"),
    ("1천2백 명", "1200명"),
    ("3조 5천억 원", "3500000000000원"),
    ("1만 5천", "15000"),
    ("1,234,567.50원", "1234567.5원"),
    # native numerals
    ("하나입니다", "1"),
    ("세 명", "3명"),
    ("스물두 명", "22명"),
    ("열두 시", "12시"),
    ("두 달", "2개월"),
    ("두달", "2개월"),
    ("한 개", "1개"),
    ("쉰다섯 살", "55세"),
    ("사흘", "3일"),
    ("열흘 이내", "10일 이내"),
    ("보름", "15일"),
    ("일주일", "1주"),
    ("2주일", "2주"),
    # units
    ("3.5퍼센트", "3.5%"),
    ("3.5 프로", "3.5%"),
    ("2.50%", "2.5%"),
    ("2 퍼센트포인트", "2%p"),
    ("100 킬로미터", "100km"),
    ("100㎞", "100km"),
    ("85㎡", "85m2"),
    ("85 제곱미터", "85m2"),
    ("5년간", "5년"),
    ("3개년", "3년"),
    ("5,000원정", "5000원"),
    ("₩5,000", "5000원"),
    ("만 65세 이상", "65세 이상"),
    ("만65세", "65세"),
    ("영하 5도", "마이너스5도"),
    ("-5℃", "마이너스5도"),
    ("섭씨 30도", "30도"),
    ("3만여 명", "30000여명"),
    # articles of law keep their form
    ("제5조", "5조"),
    ("제14조의2", "14조의2"),
    ("제 14 조 제2항", "14조 2항"),
    ("3조 2항", "3조 2항"),
    # dates
    ("2026년 3월 1일", "2026년3월1일"),
    ("2026년 03월 01일", "2026년3월1일"),
    ("2026-03-01", "2026년3월1일"),
    ("2026.3.1.", "2026년3월1일"),
    ("2026. 3. 1.", "2026년3월1일"),
    ("2026. 3. 1.(일)", "2026년3월1일"),
    ("2026/3/1", "2026년3월1일"),
    ("26.3.1", "2026년3월1일"),
    ("'26. 3. 1.", "2026년3월1일"),
    ("’26.3.1.", "2026년3월1일"),
    ("26년 3월 1일", "2026년3월1일"),
    ("99.12.31", "1999년12월31일"),
    ("이천이십육년 삼월 일일", "2026년3월1일"),
    ("2026년 3월", "2026년3월"),
    ("2026. 3.", "2026년3월"),
    ("2026-03", "2026년3월"),
    ("03월 01일", "3월1일"),
    ("3. 1.", "3월1일"),
    # no dates
    ("26.13.1", "26.13.1"),
    ("1.10", "1.10"),
    ("3.1", "3.1"),
    ("10-11-12", "10~11~12"),
    ("052-811-4312", "052 811 4312"),
    # times
    ("15:30", "15시30분"),
    ("오후 3시 30분", "15시30분"),
    ("오후 3:30", "15시30분"),
    ("오후 세 시 삼십 분", "15시30분"),
    ("15시 00분", "15시"),
    ("오전 12시", "0시"),
    ("오후 12시", "12시"),
    ("3시간", "3시간"),
    # words that only look like numerals
    ("사건", "사건"),
    ("사원", "사원"),
    ("구조", "구조"),
    ("천사", "천사"),
    ("오일", "오일"),
    ("이 건은", "이 건은"),
    ("만일", "만일"),
    ("이사회", "이사회"),
    ("한국", "한국"),
    ("두부", "두부"),
    ("세대", "세대"),
    # marks and beginnings
    ("정답: 5년", "5년"),
    ("답은 5년", "5년"),
    ("**영업관리처**", "영업관리처"),
    ("- 5년", "5년"),
    ("3~5일", "3~5일"),
    ("3-5일", "3~5일"),
    ("EX-TMS", "ex tms"),
]  # fmt: skip
DIFFERENT = [
    ("30일", "31일"), ("삼십 일", "삼십일 명"), ("15000원", "1500원"), ("5년", "5개월"), ("3%", "3%p"), ("-5℃", "5℃"),
    ("2026-03-01", "2026-01-03"), ("2026년 3월", "2026년 3월 1일"), ("14조의2", "14조 2항"), ("5년 이내", "5년 이상"),
    ("3~5일", "35일"), ("1 5년", "15년"), ("오전 3시", "오후 3시"), ("3만여 명", "3만 명"), ("사건", "4건"),
    ("5영업일", "5일"), ("1.5km", "15km"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "form"), FORMS)
def test_a_value_has_one_form(text, form):
    assert normal_form(text) == form


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_values_have_different_forms(one, other):
    assert comparable(one) != comparable(other)


def test_a_hundred_forms_are_written_out():
    assert len(FORMS) >= 100


texts = st.text(
    st.sampled_from("0123456789.,-~:/%()'’ 년월일시분초원만억조천백십일이삼사오육칠팔구한두세네열스물달개명간의은입니다제호여km㎡℃영하오전후정답") | st.characters(),
    max_size=24,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(texts)
def test_normalising_twice_is_normalising_once(text):
    once = normal_form(text)
    assert normal_form(once) == once


@settings(max_examples=100, deadline=None)
@given(texts)
def test_decomposed_characters_change_nothing(text):
    assert comparable(unicodedata.normalize("NFD", text)) == comparable(unicodedata.normalize("NFC", text))


@settings(max_examples=100, deadline=None)
@given(st.dates())
def test_a_date_has_one_form_however_it_is_written(date):
    year, month, day = date.year, date.month, date.day
    form = f"{year:04d}년{month}월{day}일"
    spellings = [f"{year:04d}-{month:02d}-{day:02d}", f"{year:04d}. {month}. {day}.", f"{year:04d}년 {month}월 {day}일"]
    assert {comparable(spelling) for spelling in spellings} == {comparable(form)}
