"""Ratings: one an item and rater, the newest counts."""

import pytest

from contracts.ratings import Rating
from database.unit_of_work import unit_of_work


def rating(item: str, rater: str, value: str, comment: str = "") -> Rating:
    return Rating(
        item_key=item, task="tolls-may", suite_name="regulations", case_id=f"case-{item}", category="tolls", rater=rater,
        value=value, comment=comment, details={"shown_first": "b"},
    )  # fmt: skip


@pytest.fixture
def ratings(database_url):
    with unit_of_work(database_url) as uow:
        yield uow.ratings


def test_a_rater_has_one_rating_an_item_and_the_newest_counts(ratings):
    ratings.rate([rating("1", "김전문", "a"), rating("1", "이전문", "tie"), rating("2", "김전문", "b")])
    assert ratings.rate([rating("1", "김전문", "b", "다시 봄"), rating("1", "김전문", "both_bad", "또 봄")]) == 1
    found = ratings.of_items(["1", "2", "3"])
    assert [(one.item_key, one.rater, one.value, one.comment) for one in found] == [
        ("1", "김전문", "both_bad", "또 봄"),
        ("1", "이전문", "tie", ""),
        ("2", "김전문", "b", ""),
    ]
    assert found[0].details == {"shown_first": "b"}
    assert found[0].rated_at is not None


def test_a_rating_can_be_taken_back(ratings):
    ratings.rate([rating("1", "김전문", "a"), rating("1", "이전문", "b")])
    ratings.take_back("1", "김전문")
    assert ratings.of_rater(["1"], "김전문") == {}
    assert set(ratings.of_rater(["1"], "이전문")) == {"1"}


def test_many_ratings_are_stored_in_one_go(ratings):
    assert ratings.rate(rating(f"{number:04d}", "judge:m:0", "tie") for number in range(1_200)) == 1_200
    assert len(ratings.of_items(f"{number:04d}" for number in range(1_200))) == 1_200
