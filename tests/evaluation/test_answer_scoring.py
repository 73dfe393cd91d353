"""Answers are found as whole words and numbers, however they are spaced."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evaluation.answer_scoring import contains_answer, final_answer, is_correct, normalise_answer

SAID = [
    ("담당 부서는 영업관리처입니다.", "영업관리처"),
    ("영업처에서 담당합니다.", "영업처"),
    ("영업처의 소관이며, 재무처와 협의합니다.", "재무처"),
    ("**영업처**가 맡고 있습니다.", "영업처"),
    ("고객 지원 센터로 연락하십시오.", "고객지원센터"),
    ("안전·보건팀입니다.", "안전보건팀"),
    ("5년입니다.", "5년"),
    ("5 년", "5년"),
    ("５년간 보존합니다.", "5년"),
    ("보존 기간: 5년", "5년"),
    ("1년 6개월입니다.", "1년 6개월"),
    ("접수 후 7일 이내에 처리합니다.", "7일"),
    ("7일이내입니다.", "7일"),
    ("제 14 호 서식입니다.", "제14호"),
    ("14호 서식입니다.", "제14호"),
    ("제14호서식", "제14호"),
    ("제14호의 서식을 씁니다.", "제14호"),
    ("내선 4312번입니다.", "4312"),
    ("052-811-4312로 전화하십시오.", "4312"),
    ("1,200원입니다.", "1200 원"),
    ("3.5 %입니다.", "3.5퍼센트"),
    ("EX-TMS에서 확인합니다.", "ex tms"),
    ("영업처가 아니라 재무처입니다.", "재무처"),
    ("<think>7년일까?</think> 5년입니다.", "5년"),
]
NOT_SAID = [
    ("15년입니다.", "5년"),
    ("5년입니다.", "15년"),
    ("1 5년", "15년"),
    ("제114호", "제14호"),
    ("14312", "4312"),
    ("4312원", "4312"),
    ("3.5일", "5일"),
    ("5%", "5"),
    ("1년 6개월입니다.", "6개월"),
    ("1년 6개월입니다.", "1년"),
    ("3~5일입니다.", "5일"),
    ("3-5일입니다.", "5일"),
    ("3 ~ 5일", "3"),
    ("제14호의2 서식", "제14호"),
    ("제14호의 2 서식", "제14호"),
    ("14, 일요일입니다.", "14일"),
    ("영업처장에게 보고합니다.", "영업처"),
    ("영업처리 기준입니다.", "영업처"),
    ("동영업처입니다.", "영업처"),
    ("제2영업처입니다.", "영업처"),
    ("영업처가 아닙니다.", "영업처"),
    ("<think>5년이다.</think> 7년입니다.", "5년"),
    ("<think>5년인 것 같은데", "5년"),
    ("", "5년"),
]


@pytest.mark.parametrize(("answer", "accepted"), SAID)
def test_an_accepted_answer_is_found_in_natural_sentences(answer, accepted):
    assert contains_answer(answer, accepted)


@pytest.mark.parametrize(("answer", "accepted"), NOT_SAID)
def test_an_accepted_answer_is_not_found_inside_another_word_or_number(answer, accepted):
    assert not contains_answer(answer, accepted)


def test_one_of_several_accepted_answers_suffices():
    assert is_correct("열흘, 곧 10일입니다.", ["열흘", "십일"])
    assert not is_correct("열흘, 곧 10일입니다.", ["보름", "15일"])


def test_an_accepted_answer_without_letters_or_digits_is_never_found():
    assert not contains_answer("…", "…")


def test_the_normal_form_joins_numbers_with_their_units_and_drops_punctuation():
    assert normalise_answer(" 「제 １４ 호」  서식, 1,200 원! ") == "14호 서식 1200원"


def test_thoughts_are_not_part_of_the_answer():
    assert final_answer("<think>\n흠\n</think>\n\n5년입니다.") == "5년입니다."


syllables = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
names = st.text(syllables, min_size=2, max_size=8).map(lambda stem: stem + "처")
units = st.sampled_from(["년", "개월", "일", "시간", "호", "원"])
quantities = st.builds(lambda number, unit: f"{number}{unit}", st.integers(1, 99999), units)
facts = st.one_of(names, quantities)


@given(facts)
def test_every_answer_contains_itself(fact):
    assert contains_answer(fact, fact)


@given(facts, st.sampled_from(["입니다.", "이며", "에서", "의", "으로", "까지", "은", "이 맞습니다", "라고 합니다"]))
def test_a_particle_after_it_does_not_hide_an_answer(fact, particle):
    assert contains_answer(fact + particle, fact)


@given(st.integers(1, 9), quantities)
def test_a_digit_before_it_makes_another_number(digit, quantity):
    assert not contains_answer(f"{digit}{quantity}", quantity)


@given(syllables, names)
def test_a_syllable_before_it_makes_another_name(syllable, name):
    assume(not name.startswith(syllable))
    assert not contains_answer(syllable + name, name)


@given(names, st.sampled_from(["장", "리", "원", "분소"]))
def test_a_syllable_after_it_makes_another_name(name, syllable):
    assert not contains_answer(name + syllable, name)


@given(st.integers(1, 9999), units)
def test_a_space_before_the_unit_changes_nothing(number, unit):
    assert contains_answer(f"답은 {number} {unit}입니다.", f"{number}{unit}")
    assert contains_answer(f"답은 {number}{unit}입니다.", f"{number} {unit}")


@given(facts)
def test_decomposed_and_full_width_characters_change_nothing(fact):
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isdigit() else c for c in fact)
    assert contains_answer(unicodedata.normalize("NFD", fact), fact)
    assert contains_answer(fact, unicodedata.normalize("NFD", fact))
    assert contains_answer(wide, fact)


@given(facts, st.text("“”\"'()[]{}*,:;!?… \n", max_size=5), st.text("“”\"'()[]{}*,:;!?… \n", max_size=5))
def test_punctuation_around_it_changes_nothing(fact, before, after):
    assert contains_answer(f"답{before or ' '}{fact}{after}", fact)


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_text_can_be_scored(answer, accepted):
    assert contains_answer(answer, accepted) in {True, False}


@given(st.text(max_size=60))
def test_normalising_twice_is_normalising_once(text):
    once = normalise_answer(text)
    assert normalise_answer(once) == once
