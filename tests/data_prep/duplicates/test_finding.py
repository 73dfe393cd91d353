"""Duplicates among many rows, compared with what the plain rule says of every pair."""

import csv
import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest

from contracts.data_policy import DuplicatePolicy
from contracts.enums import DuplicateMode
from data_prep.duplicates.finding import Duplicates, Reason, clusters, find_against, find_duplicates, find_pairs
from data_prep.duplicates.fingerprints import fingerprint_rows
from data_prep.duplicates.near import are_near_duplicates, jaccard, shingles
from data_prep.duplicates.pairs import bands_for
from data_prep.rows import Message, Row

POLICY = DuplicatePolicy()
ANSWER = "미납 통행료의 분할 납부는 영업관리처에서 담당하며 신청서와 신분증을 가까운 영업소에 내시면 됩니다."


def row(question: str, answer: str, row_id: str = "a:1") -> Row:
    return Row(row_id, (Message("user", question), Message("assistant", answer)))


def found_in(
    rows: Sequence[Row],
    scores: Sequence[float] | None = None,
    policy: DuplicatePolicy = POLICY,
    threshold: float = 0.9,
    chunk_rows: int = 1000,
) -> Duplicates:
    chunks = [fingerprint_rows(rows[at : at + chunk_rows], policy) for at in range(0, len(rows), chunk_rows)]
    return find_duplicates(chunks, np.array(scores or [1.0] * len(rows)), rows_of(rows), policy, threshold)


def rows_of(rows: Sequence[Row]):
    def at(indexes: Sequence[int]) -> list[Row]:
        assert list(indexes) == sorted(set(indexes))
        return [rows[index] for index in indexes]

    return at


def exact_pairs(rows: Sequence[Row], threshold: float) -> set[tuple[int, int]]:
    return {
        (first, second)
        for first, second in itertools.combinations(range(len(rows)), 2)
        if are_near_duplicates(rows[first], rows[second], threshold)
    }


def components(size: int, pairs: set[tuple[int, int]]) -> list[int]:
    lowest = list(range(size))
    for _ in range(size):
        before = list(lowest)
        for first, second in pairs:
            lowest[first] = lowest[second] = min(lowest[first], lowest[second])
        if lowest == before:
            break
    return lowest


def bills(shared_data) -> list[Row]:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(shared_data / "assembly-bills" / "bill_texts_first8000.parquet")
    texts = [text[:400] for text in table.column("propose_reason").to_pylist() if text][:250]
    rng = random.Random(0)
    for text in texts[:150]:
        changed = list(text)
        for place in rng.sample(range(len(changed)), min(rng.choice((0, 1, 2, 4, 8, 12)), len(changed))):
            changed[place] = changed[place] if changed[place].isdigit() else "뷁"
        texts.append("".join(changed))
    return [row("제안 이유는?", text, f"b:{number}") for number, text in enumerate(texts)]


def chatbot(shared_data) -> list[Row]:
    with (shared_data / "chatbot" / "ChatbotData.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))[:300]
    pairs = [(line["Q"], line["A"]) for line in lines]
    pairs += [(question, f"{answer} 네") for question, answer in pairs]
    return [row(question, answer, f"c:{number}") for number, (question, answer) in enumerate(pairs)]


def question_pairs(shared_data) -> list[Row]:
    [path] = sorted((shared_data / "question-pair").glob("*test*.csv"))[:1]
    with path.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))[:300]
    texts = [line[name] for line in lines for name in ("question1", "question2")]
    return [row(text, "네", f"q:{number}") for number, text in enumerate(texts)]


@pytest.mark.slow
@pytest.mark.parametrize("rows_in", [bills, chatbot, question_pairs])
@pytest.mark.parametrize("threshold", [0.7, 0.8, 0.9])
def test_every_cluster_of_real_rows_is_that_of_the_exhaustive_comparison(shared_data, rows_in, threshold):
    rows = rows_in(shared_data)
    pairs = exact_pairs(rows, threshold)
    assert pairs

    found = set(find_pairs([fingerprint_rows(rows, POLICY)], rows_of(rows), POLICY, threshold))

    assert found <= pairs
    assert len(found) >= 0.985 * len(pairs)
    assert found_in(rows, threshold=threshold).kept_by.tolist() == components(len(rows), found)


@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
def test_the_outcome_does_not_depend_on_the_chunks(chunk_rows):
    rng = random.Random(3)
    rows = [row("분할 납부는?", ANSWER * 3 + rng.choice("가나다라"), f"a:{number}") for number in range(60)]
    scores = [rng.random() for _ in rows]

    whole, parts = found_in(rows, scores), found_in(rows, scores, chunk_rows=chunk_rows)

    assert (whole.kept_by == parts.kept_by).all()
    assert (whole.similarity == parts.similarity).all()
    assert (whole.reason == parts.reason).all()


def test_the_kept_row_is_the_best_and_of_equal_ones_the_first():
    texts = [ANSWER * 3, ANSWER * 3 + " 끝", ANSWER * 3 + " 끗", ANSWER * 3 + "!"]
    rows = [row("분할 납부는?", text) for text in texts]

    best = found_in(rows, [0.5, 0.9, 0.5, 0.5])
    first = found_in(rows, [0.5, 0.5, 0.5, 0.5])

    assert best.kept_by.tolist() == [1, 1, 1, 1]
    assert best.reason.tolist() == [Reason.NEAR, Reason.NONE, Reason.NEAR, Reason.EXACT]
    assert first.kept_by.tolist() == [0, 0, 0, 0]
    assert [cluster.best_quality for cluster in clusters(best, np.array([0.5, 0.9, 0.5, 0.5]))] == [True]
    [cluster] = clusters(first, np.array([0.5] * 4))
    assert (cluster.kept, cluster.removed, cluster.best_quality) == (0, (1, 2, 3), False)


def test_of_rows_that_say_the_same_the_best_stays_and_is_named():
    rows = [
        row("담당 부서는?", "영업관리처입니다.", "a:1"),
        row("담당부서는", "영업관리처입니다!", "a:2"),
        row("담당 부서는?", "재무처입니다.", "a:3"),
    ]

    found = found_in(rows, [0.8, 0.9, 0.9])

    assert found.kept_by.tolist() == [1, 1, 2]
    assert found.reason.tolist() == [Reason.EXACT, Reason.NONE, Reason.NONE]


def test_a_decimal_point_tells_two_answers_apart():
    found = found_in([row("비율은?", "3.5퍼센트입니다."), row("비율은?", "35퍼센트입니다.")])

    assert found.kept_by.tolist() == [0, 1]


def test_the_similarity_is_that_with_the_row_that_stays():
    rows = [row("분할 납부는?", ANSWER * 3), row("분할 납부는?", ANSWER * 3 + " 끝")]

    found = found_in(rows)

    texts = ["\n".join(message.content for message in one.messages) for one in rows]
    assert found.similarity.tolist() == pytest.approx([1, jaccard(shingles(texts[0]), shingles(texts[1]))])


def test_thousands_of_equal_rows_are_one_cluster():
    rows = [row("분할 납부는?", ANSWER * 2 + "." * (number % 2)) for number in range(5000)]

    assert set(found_in(rows).kept_by.tolist()) == {0}


def test_thousands_of_nearly_equal_rows_are_one_cluster():
    rows = [row("분할 납부는?", ANSWER * 4 + chr(0xAC00 + number)) for number in range(3000)]

    assert set(found_in(rows).kept_by.tolist()) == {0}


@pytest.mark.slow
def test_thousands_of_questions_with_one_answer_stay_but_for_those_that_are_nearly_the_same():
    rng = random.Random(5)
    questions = ["".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(20)) for _ in range(1500)]
    answer = "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(800))
    rows = [row(question, answer, f"a:{number}") for number, question in enumerate(questions)]
    rows += [row(question + "요", answer, f"b:{number}") for number, question in enumerate(questions)]

    kept = found_in(rows).kept_by.tolist()

    assert kept[:1500] == list(range(1500))
    assert sum(kept[1500 + number] == number for number in range(1500)) >= 0.985 * 1500


def test_rows_with_different_numbers_never_meet():
    rows = [row("내선은?", ANSWER * 4 + f" 내선 {number}") for number in range(2000)]

    assert found_in(rows).kept_by.tolist() == list(range(2000))
    assert set(found_in(rows, policy=DuplicatePolicy(numbers_differ=False)).kept_by.tolist()) == {0}


@pytest.mark.parametrize(("mode", "kept"), [(DuplicateMode.QUESTION, [0, 0, 2]), (DuplicateMode.ANSWER, [0, 1, 0])])
def test_questions_alone_and_answers_alone_can_be_compared(mode, kept):
    rows = [row("분할 납부는?", ANSWER), row("분할 납부는", "모릅니다"), row("면제되는 차량은?", ANSWER)]

    assert found_in(rows, policy=DuplicatePolicy(mode=mode)).kept_by.tolist() == kept


def test_rows_without_a_question_are_no_duplicates_of_each_other_by_question():
    rows = [Row("a:1", (Message("assistant", "첫째"),)), Row("a:2", (Message("assistant", "둘째"),))]

    assert found_in(rows, policy=DuplicatePolicy(mode=DuplicateMode.QUESTION)).kept_by.tolist() == [0, 1]


def test_short_and_empty_rows_follow_the_plain_rule():
    texts = ["", "", "!!!", "???", "가", "나", "가.", "가나다라", "가나다라마"]
    rows = [row(text, text) for text in texts]

    assert found_in(rows).kept_by.tolist() == components(len(rows), exact_pairs(rows, 0.9))


@pytest.mark.parametrize("count", [0, 1])
def test_no_rows_and_one_row_have_no_duplicates(count):
    assert found_in([row("가", "나")] * count).kept_by.tolist() == list(range(count))
    assert clusters(found_in([row("가", "나")] * count), np.ones(count)) == []


def test_rows_of_another_version_are_found_with_the_most_similar_row():
    mine = [row("분할 납부는?", ANSWER * 3 + "끝"), row("분할 납부는?", ANSWER * 3), row("날씨는?", "맑습니다.")]
    others = [row("휴게소는?", "없습니다."), row("분할 납부는?", ANSWER * 3 + "끝나"), row("분할 납부는", ANSWER * 3)]

    found = find_against(
        [fingerprint_rows(mine[:1], POLICY), fingerprint_rows(mine[1:], POLICY)],
        [fingerprint_rows(others, POLICY)],
        rows_of(mine),
        rows_of(others),
        POLICY,
        0.9,
    )

    assert found.other.tolist() == [1, 2, -1]
    assert found.reason.tolist() == [Reason.NEAR, Reason.EXACT, Reason.NONE]
    assert found.similarity[2] == 0


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_pairs_at_the_threshold_meet_in_a_band(threshold):
    bands, width = bands_for(threshold)

    assert bands * width <= 128
    assert 1 - (1 - threshold**width) ** bands >= 0.998
