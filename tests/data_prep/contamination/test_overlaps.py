"""Training rows that hold a test case are found, and no others."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.contamination import ContaminationSettings, SoughtCase
from contracts.enums import OverlapKind, RemovalReason
from data_prep.contamination.overlaps import CaseIndex
from data_prep.rows import Message, Row

LONG = (
    "한국도로공사는 미납 통행료를 세 번 고지한 뒤에도 납부하지 않는 차량에 대하여 부가 통행료를 더하여 받을 수 있으며, "
    "이 경우 차량의 소유자는 고지를 받은 날부터 서면으로 이의를 제기할 수 있다. 이의를 제기하면 징수가 멈추는가?"
)


def case(question: str, *answers: str, case_id: str = "case-0") -> SoughtCase:
    return SoughtCase(id=case_id, question=question, accepted_answers=list(answers))


def row(question: str, answer: str = "네", row_id: str = "a:1") -> Row:
    return Row(row_id, (Message("user", question), Message("assistant", answer)))


def kinds(cases: list[SoughtCase], rows: list[Row], **settings) -> list[OverlapKind]:
    return [found.kind for found in CaseIndex(cases, ContaminationSettings(**settings)).find(rows)]


def test_the_same_question_is_found_but_for_case_spaces_and_punctuation_whatever_its_answer():
    cases = [case("미납 통행료는 어디에 내나요?", "영업소")]

    assert kinds(cases, [row("미납통행료는 어디에 내나요!", "모릅니다.")]) == [OverlapKind.EXACT]


def test_a_question_in_a_few_other_letters_is_found_where_it_leads_to_the_same_answer():
    cases = [case("미납 통행료 분할 납부는 어느 부서가 맡나요?", "영업관리처")]

    assert kinds(cases, [row("미납 통행료 분할 납부는 어느 부서가 맡는지요", "영업관리처입니다.")]) == [
        OverlapKind.NEAR
    ]


def test_the_same_sentence_about_another_thing_is_another_question():
    cases = [case("제설자재 구매 담당 부서는 어디인가요?", "도로관리처")]

    assert kinds(cases, [row("제설장비 구매 담당 부서는 어디인가요?", "기계설비처입니다.")]) == []


def test_a_long_question_with_a_few_changes_is_the_same_whatever_its_answer():
    changed = LONG.replace("서면으로", "문서로").replace("세 번", "세 차례")

    assert kinds([case(LONG, "아니오")], [row(changed, "예")]) == [OverlapKind.NEAR]


@pytest.mark.parametrize(
    "question", ["오늘 날씨는 어떤가요?", "", "!!!", "제13조의 통행료 면제 대상 차량은 무엇인가요?"]
)
def test_other_questions_and_other_numbers_stay(question):
    assert (
        kinds([case("제12조의 통행료 면제 대상 차량은 무엇인가요?", "긴급 자동차")], [row(question, "긴급 자동차")])
        == []
    )


def test_a_question_inside_a_letter_is_found():
    letter = "안녕하세요. 미납된 통행료의 분할 납부는 어느 부서가 담당하는지요? 빠른 답변을 부탁드립니다. 감사합니다."
    cases = [case("미납된 통행료의 분할 납부는 어느 부서가 담당하나요?", "영업관리처")]

    assert kinds(cases, [row(letter, "영업관리처가 담당합니다.")]) == [OverlapKind.CONTAINED]


def test_another_number_inside_a_letter_makes_another_question():
    letter = "안녕하세요. 제13호 서식의 보존 기간은 몇 년인가요? 감사합니다. 제 전화는 12번입니다."

    assert kinds([case("제12호 서식의 보존 기간은 몇 년인가요?", "5년")], [row(letter, "5년입니다.")]) == []


def test_a_passage_that_a_row_quotes_is_found_without_its_question():
    passage = LONG.rpartition(". ")[0]

    assert kinds([case(LONG, "아니오")], [row("다음 글을 요약하세요.\n" + passage, "부가 통행료 안내")]) == [
        OverlapKind.NGRAM
    ]


def test_a_case_of_many_texts_is_found_in_the_plainest_way_and_once_a_row():
    cases = [case("미납 통행료는 어디에 내나요?", "영업소")]
    twice = Row(
        "a:1",
        (
            Message("user", "미납 통행료는 어디에 낼까요?"),
            Message("assistant", "영업소입니다."),
            Message("user", "미납 통행료는 어디에 내나요?"),
            Message("assistant", "영업소입니다."),
        ),
    )

    [found] = CaseIndex(cases).find([twice])

    assert (found.kind, found.similarity) == (OverlapKind.EXACT, 1.0)


def test_a_removal_names_the_case():
    cases = [case("면제되는 차량은 무엇인가요?", "긴급 자동차"), case("환불은 며칠 걸리나요?", "3일", case_id="case-1")]

    [removal, nothing] = CaseIndex(cases).check([row("환불은 며칠 걸리나요"), row("안녕하세요?")])

    assert removal is not None
    assert (removal.reason, removal.detail) == (RemovalReason.LEAKS_TEST_CASE, "asks the question of test case case-1")
    assert nothing is None


def test_without_cases_or_rows_nothing_is_found():
    assert CaseIndex([]).check([row("안녕하세요?")]) == [None]
    assert CaseIndex([case("안녕하세요?")]).check([]) == []


def _edited(text: str, edits: int, rng: random.Random) -> str:
    """So many letters replaced, left out or added; digits stay, because another number is another question."""
    letters = list(text)
    for _ in range(edits):
        place = rng.choice([place for place, letter in enumerate(letters) if letter.isalpha()])
        kind = rng.randrange(3)
        letters[place : place + (kind < 2)] = [] if kind == 1 else [chr(rng.randrange(0xAC00, 0xD7A4))]
    return "".join(letters)


@given(st.integers(0, 2**32), st.integers(20, 120))
def test_no_edit_within_the_limit_hides_a_case(seed, length):
    rng = random.Random(seed)
    letters = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노도로모보소오조초코토포호12"
    text = "".join(rng.choices(letters, k=length))
    edited = _edited(text, int(length * 0.15), rng)

    assert len(kinds([case(text)], [row(edited)])) == 1


def _questions(shared_data) -> dict[str, list[tuple[str, str]]]:
    import csv

    with (shared_data / "chatbot" / "ChatbotData.csv").open(encoding="utf-8-sig") as file:
        chatbot = [(line[0], line[1]) for line in list(csv.reader(file))[1:]]
    with (shared_data / "kobest" / "boolq_dev.tsv").open(encoding="utf-8-sig") as file:
        boolq = [
            (f"{line['Text']} {line['Question']}", line["Answer"]) for line in csv.DictReader(file, delimiter="\t")
        ]
    with (shared_data / "parakqc" / "paraKQC_v1.txt").open(encoding="utf-8-sig") as file:
        parakqc = [(line.rstrip("\n").split("\t")[2], "") for line in file]
    return {"chatbot": chatbot, "boolq": boolq, "parakqc": parakqc}


@pytest.mark.parametrize("name", ["chatbot", "boolq", "parakqc"])
def test_planted_copies_are_all_found_and_edited_ones_nearly_all(shared_data, name):
    rng = random.Random(0)
    every = list(dict.fromkeys(_questions(shared_data)[name]))
    picked = rng.sample([(question, answer) for question, answer in every if len(question) >= 8], 500)
    cases = [
        SoughtCase(id=str(number), question=question, accepted_answers=[answer] if answer else [])
        for number, (question, answer) in enumerate(picked)
    ]
    index = CaseIndex(cases)

    def found_among(rows: list[Row]) -> float:
        return len({overlap.case for overlap in index.find(rows) if overlap.case == overlap.row}) / len(cases)

    copies = [row(question, answer or "네") for question, answer in picked]
    edited = [row(_edited(question, max(1, len(question) // 10), rng), answer or "네") for question, answer in picked]
    assert found_among(copies) == 1
    assert found_among(edited) >= 0.95


def test_unrelated_real_texts_raise_no_alarm(shared_data):
    questions = _questions(shared_data)
    flagged = total = 0
    for name, pairs in questions.items():
        cases = [
            SoughtCase(id=str(number), question=question, accepted_answers=[answer] if answer else [])
            for number, (question, answer) in enumerate(dict.fromkeys(pairs))
        ]
        rows = [
            row(question, answer or "네")
            for other, rest in questions.items()
            if other != name
            for question, answer in rest
        ]
        flagged += len({overlap.case for overlap in CaseIndex(cases).find(rows)})
        total += len(cases)

    assert total > 20_000
    assert flagged / total < 0.001
