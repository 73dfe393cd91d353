"""Each scorer against Korean cases whose scores were worked out by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidDataError
from contracts.evaluation import TestCase
from evaluation.scorers.multiple_choice import chosen_choice, question_with_choices
from evaluation.scorers.overlap import counted_f1, longest_common_subsequence, subsequence_f1
from evaluation.scorers.registry import SCORERS, check_case, score_answer


def case(scorer: str, *accepted: str, choices: tuple[str, ...] = (), **options: object) -> TestCase:
    values = {
        "id": "a-1",
        "question": "얼마인가요?",
        "accepted_answers": list(accepted),
        "scorer": scorer,
        "options": options,
        "choices": list(choices),
    }
    return TestCase.model_validate(values)


EXACT_RIGHT = [
    ("5년입니다.", "5년"),
    ("5 년", "5년"),
    ("오 년입니다.", "5년"),
    ("보존 기간은 5년입니다.", "보존 기간은 5년"),
    ("영업관리처", "영업 관리처"),
    ("영업관리처입니다.", "영업관리처"),
    ("영업관리처에서", "영업관리처"),
    ("영업처의 소관", "영업처 소관"),
    ("도로교통법의 제5조", "도로교통법 제5조"),
    ("정답: 삼십 일", "30일"),
    ("1만 5천 원입니다.", "15,000원"),
    ("2026년 3월 1일입니다.", "2026.3.1."),
    ("사흘", "3일"),
    ("오후 세 시", "15:00"),
    ("3.5 퍼센트예요", "3.5%"),
    ("「제14호 서식」", "14호 서식"),
    ("고객지원센터는", "고객 지원 센터"),
]
EXACT_WRONG = [
    ("5년 이내", "5년"),
    ("5년 6개월", "5년"),
    ("15년", "5년"),
    ("영업처장", "영업처"),
    ("영업처가 아닙니다", "영업처"),
    ("담당은 영업처입니다", "영업처"),
    ("영업처와 재무처", "영업처"),
    ("영업처나 재무처", "영업처와 재무처"),
    ("31일", "삼십 일"),
    ("1만 5천 원", "1,500원"),
    ("3.5%", "35%"),
    ("제14조의2", "제14조"),
    ("제14조 2", "제14조의2"),
    ("", "5년"),
]


@pytest.mark.parametrize(("answer", "accepted"), EXACT_RIGHT)
def test_exact_takes_another_spelling(answer, accepted):
    assert score_answer(case("exact", accepted), answer).value == 1


@pytest.mark.parametrize(("answer", "accepted"), EXACT_WRONG)
def test_exact_takes_nothing_else(answer, accepted):
    assert score_answer(case("exact", accepted), answer).value == 0


def test_any_accepted_answer_suffices():
    for scorer in ("exact", "contains", "token_f1", "character_f1", "rouge_l"):
        assert score_answer(case(scorer, "재무처", "영업처"), "영업처").value == 1


def test_contains_all_gives_the_share_and_names_what_is_missing():
    score = score_answer(case("contains_all", "영업처", "재무처", "5년"), "영업처와 협의하여 5년간 보존합니다.")
    assert score.value == pytest.approx(2 / 3)
    assert score.remark == "빠진 답: 재무처"
    assert score_answer(case("contains_all", "영업처", "5년"), "영업처, 5년입니다.").value == 1


@pytest.mark.parametrize(
    ("options", "answer", "value"),
    [
        ({"pattern": r"제\d+조"}, "도로법 제14조에 따릅니다.", 1),
        ({"pattern": r"제\d+조"}, "도로법에 따릅니다.", 0),
        ({"pattern": r"제\d+조", "whole": True}, "제14조", 1),
        ({"pattern": r"제\d+조", "whole": True}, "도로법 제14조", 0),
        ({"pattern": "ex-tms", "ignore_case": True}, "EX-TMS에서 확인합니다.", 1),
        ({"pattern": "ex-tms"}, "EX-TMS에서 확인합니다.", 0),
        ({"pattern": "^(네|예)[,.]? "}, "네, 가능합니다.", 1),
        ({"pattern": r"\p{Hangul}+처"}, "영업처", 1),
    ],
)
def test_regex(options, answer, value):
    checked = case("regex", **options)
    check_case(checked)
    assert score_answer(checked, answer).value == value


def test_a_pattern_that_backtracks_elsewhere_answers_at_once():
    assert score_answer(case("regex", pattern="(a+)+$"), "a" * 5000 + "!").value == 0


NUMBERS = [
    # answer, accepted, options, value
    ("통행료는 15,000원입니다.", "15000원", {}, 1),
    ("1만 5천 원입니다.", "15,000원", {}, 1),
    ("15000", "15,000원", {}, 1),
    ("15,000명입니다.", "15,000원", {}, 0),
    ("14,900원입니다.", "15,000원", {}, 0),
    ("14,900원입니다.", "15,000원", {"tolerance": 100}, 1),
    ("14,899원입니다.", "15,000원", {"tolerance": 100}, 0),
    ("14,900원입니다.", "15,000원", {"relative_tolerance": 0.01}, 1),
    ("14,849원입니다.", "15,000원", {"relative_tolerance": 0.01}, 0),
    ("3.3%입니다.", "3.2%", {"tolerance": 0.1}, 1),
    ("3.31%입니다.", "3.2%", {"tolerance": 0.1}, 0),
    ("90분이 걸립니다.", "1시간 30분", {}, 1),
    ("1시간 30분입니다.", "90분", {}, 1),
    ("일주일 안에", "7일", {}, 1),
    ("2년입니다.", "24개월", {}, 1),
    ("1년 6개월입니다.", "18개월", {}, 1),
    ("한 달입니다.", "30일", {}, 0),
    ("1.2km입니다.", "1,200m", {}, 1),
    ("1.2km입니다.", "1,250m", {"tolerance": 50}, 1),
    ("삼십 일입니다.", "30일", {}, 1),
    ("스물두 명입니다.", "22명", {}, 1),
    ("3일이 아니라 5일입니다.", "3일", {}, 0),
    ("3일이 아니라 5일입니다.", "5일", {}, 1),
    ("3~5일 걸립니다.", "5일", {}, 0),
    ("영하 5도입니다.", "-5℃", {}, 1),
    ("5도입니다.", "-5℃", {}, 0),
    ("제5조에 따라 30일입니다.", "30일", {}, 1),
    ("제30조에 따라 5일입니다.", "30일", {}, 0),
    ("기본 900원, 합계 15,000원입니다.", "15,000원", {}, 1),
    ("기본 900원, 합계 15,000원입니다.", "15,000원", {"which": "last"}, 1),
    ("기본 900원, 합계 15,000원입니다.", "15,000원", {"which": "first"}, 0),
    ("기본 900원, 합계 15,000원입니다.", "15,000원", {"which": "only"}, 0),
    ("15,000원, 곧 1만 5천 원입니다.", "15,000원", {"which": "only"}, 1),
    ("42명입니다.", "42", {"unit": "명"}, 1),
    ("42건입니다.", "42", {"unit": "명"}, 0),
    ("2.5%p 올랐습니다.", "2.5%", {}, 0),
    ("모르겠습니다.", "30일", {}, 0),
    ("0.1초입니다.", "0.3초", {"tolerance": 0.2}, 1),
]


@pytest.mark.parametrize(("answer", "accepted", "options", "value"), NUMBERS)
def test_number(answer, accepted, options, value):
    checked = case("number", accepted, **options)
    check_case(checked)
    assert score_answer(checked, answer).value == value


def test_the_remark_says_which_number_was_read():
    assert score_answer(case("number", "15,000원"), "1만 4천원입니다.").remark == "읽은 수: 1만 4천원"


CHOICES = ("영업처", "재무처", "안전처", "기획처")
READ = [
    ("②", 1),
    ("2", 1),
    ("2번", 1),
    ("2번입니다.", 1),
    ("(2)", 1),
    ("2)", 1),
    ("2. 재무처", 1),
    ("B", 1),
    ("B. 재무처입니다.", 1),
    ("b", 1),
    ("나", 1),
    ("나. 재무처", 1),
    ("ㄴ", 1),
    ("정답은 ②입니다. ①은 틀립니다.", 1),
    ("정답: 2", 1),
    ("답은 2번입니다.", 1),
    ("정답은 **B**입니다.", 1),
    ("재무처", 1),
    ("재무처입니다.", 1),
    ("담당 부서는 재무처이며, 3일 안에 처리합니다.", 1),
    ("제 생각에는 3번이 맞습니다.", 2),
    ("①과 ② 중 하나입니다.", None),
    ("영업처 또는 재무처입니다.", None),
    ("모르겠습니다.", None),
    ("정답은 ①, 정답은 ②", None),
    ("⑨", None),
    ("", None),
]


@pytest.mark.parametrize(("answer", "index"), READ)
def test_the_choice_is_read_from_a_free_answer(answer, index):
    assert chosen_choice(CHOICES, answer) == index


def test_choices_that_are_numbers_are_read_as_texts_first():
    assert chosen_choice(("2년", "3년", "5년"), "3년입니다.") == 1
    assert chosen_choice(("4", "3", "2"), "3") == 1
    assert chosen_choice(("4", "3", "2"), "③") == 2


def test_a_choice_inside_another_choice_is_not_named_by_it():
    assert chosen_choice(("재무처 회계부", "재무처"), "재무처 회계부에서 담당합니다.") == 0


@pytest.mark.parametrize("accepted", ["재무처", "②", "2", "B", "나"])
def test_the_accepted_choice_is_given_by_text_or_label(accepted):
    checked = case("multiple_choice", accepted, choices=CHOICES)
    check_case(checked)
    assert score_answer(checked, "재무처입니다.").value == 1
    wrong = score_answer(checked, "①번")
    assert (wrong.value, wrong.remark) == (0, "고른 보기: 영업처")


def test_choices_are_asked_below_the_question_unless_it_names_them():
    asked = case("multiple_choice", "재무처", choices=CHOICES)
    assert question_with_choices(asked) == "얼마인가요?\n\n1. 영업처\n2. 재무처\n3. 안전처\n4. 기획처"
    named = asked.model_copy(update={"question": "영업처, 재무처, 안전처, 기획처 가운데 어디인가요?"})
    assert question_with_choices(named) == named.question


# morphemes by hand: 재무 처 (+에서 담당 하 ...) — particles, copula and endings are not counted
TOKEN_F1 = [
    ("재무처", "재무처", 1.0),
    ("재무처입니다.", "재무처", 1.0),
    ("영업처", "재무처", 0.5),  # 영업 처 | 재무 처: one of two and two → 2·1/4
    ("고객 센터", "고객 지원 센터", 0.8),  # 2 of 2 and 3 → 2·2/5
    ("고객 지원 센터와 고객 센터", "고객 센터", 4 / 7),  # 2 of 5 and 2
    ("모릅니다", "재무처", 0.0),
    ("30일 이내", "삼십 일 이내", 1.0),
    ("", "재무처", 0.0),
]


@pytest.mark.parametrize(("answer", "accepted", "value"), TOKEN_F1)
def test_token_f1(answer, accepted, value):
    assert score_answer(case("token_f1", accepted), answer).value == pytest.approx(value)


CHARACTER_F1 = [
    ("재무처", "재무처", 1.0),
    ("영업처", "재무처", 1 / 3),  # 처 of 3 and 3 → 2·1/6
    ("재무", "재무처", 0.8),  # 2 of 2 and 3 → 2·2/5
    ("재무 처", "재무처", 1.0),
    ("처처처", "처", 0.5),  # counted once: 2·1/4
    ("삼십 일", "30일", 1.0),
    ("가나다", "라마바", 0.0),
]


@pytest.mark.parametrize(("answer", "accepted", "value"), CHARACTER_F1)
def test_character_f1(answer, accepted, value):
    assert score_answer(case("character_f1", accepted), answer).value == pytest.approx(value)


ROUGE_L = [
    ("재무처", "재무처", 1.0),
    ("센터 지원 고객", "고객 지원 센터", 1 / 3),  # one in order: 2·1/6
    ("고객 센터", "고객 지원 센터", 0.8),
    ("고객 지원 센터", "고객 센터", 0.8),
    ("", "고객", 0.0),
]


@pytest.mark.parametrize(("answer", "accepted", "value"), ROUGE_L)
def test_rouge_l(answer, accepted, value):
    assert score_answer(case("rouge_l", accepted), answer).value == pytest.approx(value)


def test_subsequences_and_counts_of_small_lists():
    assert longest_common_subsequence("abcbdab", "bdcaba") == 4
    assert subsequence_f1("abcbdab", "bdcaba") == pytest.approx(8 / 13)
    assert counted_f1("aab", "abb") == pytest.approx(4 / 6)
    assert longest_common_subsequence("", "a") == 0


words = st.lists(st.sampled_from("가나다라"), max_size=12)


@given(words, words)
def test_f1_is_symmetric_and_between_0_and_1(one, other):
    for f1 in (counted_f1, subsequence_f1):
        assert 0 <= f1(one, other) <= 1
        assert f1(one, other) == f1(other, one)
        assert not one or f1(one, one) == 1


@given(words, words)
def test_the_longest_common_subsequence_is_that_of_the_definition(first, second):
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    assert longest_common_subsequence(first, second) == table[-1][-1]


@pytest.mark.parametrize(
    ("checked", "what"),
    [
        (case("exact", "…"), "no letter and no digit"),
        (case("number", "많음"), "not one number"),
        (case("number", "3~5일"), "not one number"),
        (case("number", "30일", tolerance=-1), "number of at least 0"),
        (case("number", "30일", tolerance="큼"), "number of at least 0"),
        (case("number", "30", unit="뭉치"), "unit is not known"),
        (case("number", "30", which="middle"), "which = middle"),
        (case("regex", "x", pattern="("), "cannot be read"),
        (case("regex", "x"), "pattern is missing"),
        (case("regex", "x", pattern="a", whole="yes"), "whole = yes"),
        (case("multiple_choice", "재무처"), "2 to 10 different choices"),
        (case("multiple_choice", "총무처", choices=CHOICES), "none of the choices"),
        (case("multiple_choice", "재무처", choices=("재무처", "재무처 ")), "2 to 10 different choices"),
        (case("contains", "5년", tolerance=1), "not know an option"),
    ],
)
def test_a_case_that_no_answer_could_be_scored_on_is_refused(checked, what):
    with pytest.raises(InvalidDataError, match=what):
        check_case(checked)


OPTIONS = {"regex": {"pattern": "처"}}
SMALL = {
    name: case(name, "30일", choices=("30일", "5년"), **OPTIONS.get(name, {}))
    for name, scorer in SCORERS.items()
    if not scorer.needs_judge
}


@settings(max_examples=60, deadline=None)
@given(
    st.text(
        st.sampled_from("0123456789.,-~년월일시분원만억조천백십이삼영업재무처가는을①②AB정답은 ") | st.characters(),
        max_size=60,
    )
)
def test_any_answer_can_be_scored_between_0_and_1(answer):
    for checked in SMALL.values():
        assert 0 <= score_answer(checked, answer).value <= 1


@pytest.mark.parametrize("name", list(SMALL))
def test_the_accepted_answer_itself_is_right(name):
    assert score_answer(SMALL[name], "30일처" if name == "regex" else "30일").value == 1
