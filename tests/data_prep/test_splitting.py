"""The split: stratified, stable, without a lost category."""

from collections import Counter

import pytest

from contracts.enums import Split
from data_prep.rows import Message, Row
from data_prep.versions.splitting import Ratios, split_rows

RATIOS = Ratios(0.8, 0.1, 0.1)


def rows(count: int, category: str = "tolls", prefix: str = "") -> list[Row]:
    return [
        Row(
            f"{category}:{number}",
            (Message("user", f"{prefix}{category} 질문 {number}"), Message("assistant", "답변입니다.")),
            {"category": category},
        )
        for number in range(count)
    ]


def test_every_category_is_cut_in_the_wanted_ratio_up_to_chance():
    many = rows(2000, "tolls") + rows(500, "safety")

    sides = split_rows(many, RATIOS, seed=0)

    for category, count in (("tolls", 2000), ("safety", 500)):
        part = Counter(side for row, side in zip(many, sides, strict=True) if row.category == category)
        # four standard deviations of a binomial share
        assert abs(part[Split.TRAIN] - 0.8 * count) < 4 * (count * 0.8 * 0.2) ** 0.5
        assert abs(part[Split.TEST] - 0.1 * count) < 4 * (count * 0.1 * 0.9) ** 0.5


def test_a_row_keeps_its_side_when_the_dataset_grows():
    few = rows(300)
    many = rows(300, "safety") + few + rows(900, "tolls", prefix="더 ")

    before = {row.row_id: side for row, side in zip(few, split_rows(few, RATIOS, 0), strict=True)}
    after = [(row, side) for row, side in zip(many, split_rows(many, RATIOS, 0), strict=True) if row in few]

    assert len(after) == 300
    assert all(before[row.row_id] is side for row, side in after)


def test_rows_with_the_same_question_are_on_one_side():
    twice = rows(200) + [
        Row(row.row_id + "b", (row.messages[0], Message("assistant", "다른 답변입니다."))) for row in rows(200)
    ]

    sides = split_rows(twice, RATIOS, 0)

    assert sides[:200] == sides[200:]


def test_another_seed_gives_another_split():
    assert split_rows(rows(100), RATIOS, 0) != split_rows(rows(100), RATIOS, 1)


def test_every_category_has_a_training_row_even_if_it_has_one_row_only():
    many = [row for number in range(50) for row in rows(1, f"category-{number}")]

    sides = split_rows(many, Ratios(0.4, 0.3, 0.3), 0)

    assert sides.count(Split.TRAIN) == 50


@pytest.mark.parametrize("seed", range(5))
def test_small_data_fill_every_wanted_side(seed):
    sides = set(split_rows(rows(12), Ratios(0.9, 0.05, 0.05), seed))

    assert sides == {Split.TRAIN, Split.VALIDATION, Split.TEST}


def test_a_side_that_is_not_wanted_stays_empty():
    assert set(split_rows(rows(100), Ratios(0.9, 0.0, 0.1), 0)) == {Split.TRAIN, Split.TEST}
