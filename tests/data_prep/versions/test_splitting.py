"""The split: stratified, stable, without a lost category."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.enums import Split, SplitUnit
from data_prep.normalisation import question_key
from data_prep.rows import Message, Row
from data_prep.versions.splitting import Ratios, assign_sides, group_of, report_split

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


def split_rows(many: list[Row], ratios: Ratios, seed: int) -> list[Split]:
    """The sides as a preparation gives them where questions are the unit."""
    groups = [group_of("", question_key(one.question), SplitUnit.QUESTION) for one in many]
    return assign_sides([one.category for one in many], groups, ratios, seed)


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


def documents(*sizes: int, name: str = "문서") -> list[str]:
    return [f"document:{name}-{number}" for number, size in enumerate(sizes) for _ in range(size)]


def sides_of_groups(groups, sides):
    found: dict[str, set[Split]] = {}
    for group, side in zip(groups, sides, strict=True):
        found.setdefault(group, set()).add(side)
    return found


def test_no_document_is_on_two_sides():
    groups = documents(*range(1, 60))
    categories = [f"분류-{number % 3}" for number in range(len(groups))]

    sides = assign_sides(categories, groups, RATIOS, 0)

    assert all(len(found) == 1 for found in sides_of_groups(groups, sides).values())


def test_a_dozen_documents_of_different_sizes_come_near_the_ratios():
    groups = documents(40, 35, 30, 25, 20, 15, 12, 10, 8, 6, 5, 4)

    for seed in range(20):
        report = report_split(["a"] * 210, groups, assign_sides(["a"] * 210, groups, RATIOS, seed), RATIOS)
        assert report.even, (seed, report)


def test_every_side_has_rows_of_a_category_of_forty():
    categories = [f"분류-{number % 25}" for number in range(1_000)]
    groups = [f"question:{number}" for number in range(1_000)]

    for seed in range(5):
        sides = assign_sides(categories, groups, RATIOS, seed)
        reached = {(category, side) for category, side in zip(categories, sides, strict=True)}
        assert len(reached) == 25 * 3


def test_a_document_stays_where_the_version_before_had_it_also_when_it_grows():
    before = documents(30, 20, 10, 5, 5)
    sides = assign_sides(["a"] * 70, before, RATIOS, 0)
    previous = dict(zip(before, sides, strict=True))
    after = before + documents(50, 50, 50) + documents(9, 9, 9, name="새 문서")

    grown = assign_sides(["a"] * len(after), after, RATIOS, 0, previous)

    assert all(previous[group] is side for group, side in zip(after, grown, strict=True) if group in previous)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=80),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=80),
    st.integers(0, 3),
)
def test_splitting_is_stable(first, more, seed):
    categories = [str(category) for category, _ in first + more]
    groups = [str(group) for _, group in first + more]
    before = assign_sides(categories[: len(first)], groups[: len(first)], RATIOS, seed)
    previous = dict(zip(groups, before, strict=False))

    after = assign_sides(categories, groups, RATIOS, seed, previous)

    assert after[: len(first)] == before
    assert all(len(found) == 1 for found in sides_of_groups(groups, after).values())
    assert after == assign_sides(categories, groups, RATIOS, seed, previous)


def test_the_order_of_the_rows_does_not_decide_their_sides():
    groups = documents(9, 8, 7, 6, 5, 4, 3, 2, 1)
    categories = ["a"] * len(groups)
    forward = dict(zip(groups, assign_sides(categories, groups, RATIOS, 0), strict=True))

    backward = dict(zip(groups[::-1], assign_sides(categories, groups[::-1], RATIOS, 0), strict=True))

    assert forward == backward


def test_the_report_tells_shares_and_what_is_uneven():
    sides = [Split.TRAIN] * 20 + [Split.TEST] * 10
    report = report_split(["a"] * 20 + ["b"] * 10, [str(number) for number in range(30)], sides, RATIOS)

    assert {name: (side.rows, side.groups) for name, side in report.sides.items()} == {
        "train": (20, 20), "validation": (0, 0), "test": (10, 10),
    }  # fmt: skip
    assert report.largest_deviation == pytest.approx(0.2333, abs=1e-4)
    assert not report.even
    assert set(report.uneven_categories) == {"a", "b"}


def test_rows_alone_without_groups_of_their_own_make_no_error():
    assert assign_sides([], [], RATIOS, 0) == []
    assert assign_sides(["a"], ["x"], RATIOS, 0) == [Split.TRAIN]
    assert set(assign_sides(["a"] * 50, ["one document"] * 50, RATIOS, 0)) == {Split.TRAIN}
