"""Near duplicates: what goes, and above all what stays."""

import random

import pytest

from data_prep.duplicates.near import are_near_duplicates, find_near_duplicates, jaccard, shingles
from data_prep.rows import Message, Row

LONG_ANSWER = (
    "미납 통행료의 분할 납부는 영업관리처에서 담당합니다. 신청서와 신분증을 가까운 영업소에 내시면 접수한 날부터 칠 일 "
    "이내에 결과를 알려 드리며, 승인된 뒤에는 매월 말일까지 나누어 내시면 됩니다. 납부를 두 번 거르면 승인이 취소됩니다."
)


def row(question: str, answer: str, row_id: str = "a:1") -> Row:
    return Row(row_id, (Message("user", question), Message("assistant", answer)))


def removed_ids(rows: list[Row], threshold: float = 0.9, scores: list[float] | None = None) -> set[str]:
    found = find_near_duplicates(rows, scores or [1.0] * len(rows), threshold)
    return {rows[index].row_id for index in found}


def test_the_similarity_is_the_shared_share_of_five_character_pieces():
    assert shingles("가나다라마바") == {"가나다라마", "나다라마바"}
    assert jaccard(shingles("가나다라마바"), shingles("나다라마바")) == 0.5


def test_a_changed_syllable_in_a_long_row_makes_a_near_duplicate():
    rows = [row("분할 납부는 어떻게 하나요?", LONG_ANSWER, "a:1")]
    rows.append(row("분할 납부는 어떻게 하나요?", LONG_ANSWER.replace("영업소에", "영업점에"), "a:2"))

    assert removed_ids(rows) == {"a:2"}


@pytest.mark.parametrize("answer", ["담당 부서는 영업관리처입니다.", LONG_ANSWER])
def test_paraphrases_of_one_fact_survive(answer):
    rows = [
        row("미납 통행료 분할 납부는 어느 부서가 담당하나요?", answer, "a:1"),
        row("미납 통행료 분할 납부 담당 부서를 알려 주세요.", answer, "a:2"),
        row("미납된 통행료를 나누어 내려면 어디로 연락해야 합니까?", answer, "a:3"),
    ]

    assert removed_ids(rows) == set()


def test_rows_that_differ_in_a_digit_are_two_facts():
    question = "분할 납부는 어떻게 하나요?"
    rows = [row(question, LONG_ANSWER + " 내선 4312", "a:1"), row(question, LONG_ANSWER + " 내선 4313", "a:2")]

    assert jaccard(shingles(rows[0].answer), shingles(rows[1].answer)) > 0.97
    assert removed_ids(rows) == set()


def test_the_best_row_of_a_cluster_stays_and_is_named():
    rows = [
        row("분할 납부는 어떻게 하나요?", LONG_ANSWER + ending, f"a:{n}") for n, ending in enumerate(["", " 끝", " 끗"])
    ]

    found = find_near_duplicates(rows, [0.8, 0.95, 0.9], 0.9)

    assert {index: removal.detail for index, removal in found.items()} == {
        0: "nearly the same as a:1",
        2: "nearly the same as a:1",
    }


def test_hashing_finds_what_the_exact_rule_finds_in_real_text(shared_data):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(shared_data / "assembly-bills" / "bill_texts_first8000.parquet")
    texts = [text for text in table.column("propose_reason").to_pylist() if text and len(text) > 200][:150]
    rng = random.Random(0)
    rows = [row("제안 이유는?", text[:400], f"a:{n}") for n, text in enumerate(texts)]
    for number, text in enumerate(texts):
        changed = list(text[:400])
        for place in rng.sample(range(len(changed)), 3):
            changed[place] = changed[place] if changed[place].isdigit() else "뷁"
        rows.append(row("제안 이유는?", "".join(changed), f"b:{number}"))

    exact = sum(are_near_duplicates(rows[n], rows[n + len(texts)], 0.9) for n in range(len(texts)))

    assert exact > 100
    assert len(removed_ids(rows)) >= exact


def test_the_result_does_not_depend_on_chance():
    rows = [row("분할 납부는?", LONG_ANSWER + "가" * (number % 3), f"a:{number}") for number in range(30)]

    assert len({frozenset(removed_ids(rows)) for _ in range(3)}) == 1
