"""Rows of a version found by what they are and what they say."""

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.dataset_rows import RowFilter, RowFlag, RowOrder
from contracts.enums import Split
from data_prep.versions.browsing import find_rows
from tests.data_prep.versions.builders import commit, row

ANSWERS = (
    ("통행료는 900원입니다.", Split.TRAIN, 0.90, 0.1),
    ('그는 "끝"이라 했습니다.', Split.TRAIN, 0.70, 0.8),
    ("Role of the Assistant", Split.VALIDATION, 0.95, 0.6),
    ("하이패스 (100%) 등록", Split.TEST, 0.60, 0.2),
    ("통행료를 환불합니다.", Split.TEST, 0.99, 0.5),
)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five rows whose questions are `질문 0` to `질문 4`."""
    content = [
        replace(
            row(str(number), answer, split, number + 1, source="a.md" if number % 2 else "b.md"),
            quality=quality,
            toxicity=toxicity,
        )
        for number, (answer, split, quality, toxicity) in enumerate(ANSWERS)
    ]
    manifest = commit(tmp_path, content)
    return Path(tmp_path, manifest.short)


def numbers(folder: Path, first: int = 0, rows: int = 10, **wanted: object) -> list[int]:
    found = find_rows(folder, RowFilter.model_validate(wanted), first=first, rows=rows)
    return [int(str(one.turns[0]["content"]).split()[1]) for one in found.rows]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"split": Split.TEST}, [3, 4]),
        ({"flag": RowFlag.TOXIC}, [1, 2, 4]),
        ({"flag": RowFlag.LOW_QUALITY}, [1, 3]),
        ({"source": "a.md"}, [1, 3]),
        ({"source": "a.md", "flag": RowFlag.TOXIC}, [1]),
        ({"category": "통행료", "split": Split.TRAIN}, [0, 1]),
        ({"category": "없음"}, []),
        ({"text": "통행료"}, [0, 4]),
        ({"text": "통행료", "split": Split.TEST}, [4]),
        ({"text": '"끝"'}, [1]),
        ({"text": "(100%)"}, [3]),
        ({"text": "assistant"}, [2]),
        ({"text": "content"}, []),
        ({"text": '", "'}, []),
        ({"order": RowOrder.MOST_TOXIC}, [1, 2, 4, 3, 0]),
        ({"order": RowOrder.LOWEST_QUALITY, "flag": RowFlag.TOXIC}, [1, 2, 4]),
    ],
)
def test_rows_are_found_by_what_they_are_and_say(folder, wanted, expected):
    assert numbers(folder, **wanted) == expected


@pytest.mark.parametrize("order", RowOrder)
def test_pages_hold_every_row_once(folder, order):
    whole = numbers(folder, order=order)
    assert sorted(whole) == [0, 1, 2, 3, 4]
    assert [number for first in (0, 2, 4) for number in numbers(folder, first, 2, order=order)] == whole
    assert numbers(folder, 5, 2, order=order) == []


def test_the_number_that_matches_is_that_of_all_pages(folder):
    found = find_rows(folder, RowFilter(flag=RowFlag.TOXIC), first=1, rows=1)
    assert (found.matching, len(found.rows)) == (3, 1)
    assert (found.rows[0].toxicity, found.rows[0].quality_score, found.rows[0].split) == (0.6, 0.95, Split.VALIDATION)
