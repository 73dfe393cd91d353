"""A stream of (user, arm, value), brought to users."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ab_testing.metrics import RESPONSE_TIME, USER_RATING, Aggregation, Metric, metric_named
from ab_testing.moments import UnitMoments
from ab_testing.users import gather_users
from contracts.enums import Arm
from contracts.errors import InvalidRequestError

streams = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), min_size=1, max_size=60)


def of(stream: list[tuple[int, int]]) -> list[tuple[str, str, float]]:
    """Even users see A, odd ones B."""
    return [(str(user), "ab"[user % 2], float(rating)) for user, rating in stream]


@given(streams, st.randoms())
def test_the_order_of_the_ratings_does_not_matter(stream, random):
    shuffled = list(stream)
    random.shuffle(shuffled)
    assert gather_users(of(stream)).moments(Arm.A) == gather_users(of(shuffled)).moments(Arm.A)


@given(streams)
def test_the_running_sums_are_those_of_the_users_columns(stream):
    gathered = gather_users(of(stream))
    for arm in Arm:
        totals = gathered.totals(arm)
        if totals.users:
            assert gathered.moments(arm) == UnitMoments.of_users(totals.counts, totals.sums)


def test_a_user_counts_once_however_often_they_rate():
    gathered = gather_users([("kim", "a", 5), ("kim", "a", 3), ("lee", "A", 1)])
    assert gathered.moments(Arm.A).users == 2
    assert gathered.moments(Arm.A).values == 3
    assert gathered.moments(Arm.A).mean == 3
    assert gathered.moments(Arm.B).users == 0


def test_user_means_are_an_option():
    means = Metric("user_rating", aggregation=Aggregation.USER_MEANS)
    gathered = gather_users([("kim", "a", 5), ("kim", "a", 3), ("lee", "a", 1)], means)
    assert gathered.moments(Arm.A).mean == 2.5
    assert gathered.totals(Arm.A).moments(Aggregation.USER_MEANS) == gathered.moments(Arm.A)


def test_a_user_of_both_arms_is_put_aside():
    gathered = gather_users([("kim", "a", 5), ("kim", "b", 3), ("kim", "a", 4), ("lee", "a", 2)])
    assert gathered.mixed_users == 1
    assert gathered.moments(Arm.A).users == 1
    assert gathered.moments(Arm.A).mean == 2
    assert gathered.moments(Arm.B).users == 0


def test_response_times_are_taken_by_their_logarithm():
    assert gather_users([("kim", "a", 100.0)], RESPONSE_TIME).moments(Arm.A).mean == pytest.approx(np.log(100))
    with pytest.raises(InvalidRequestError, match="logarithm"):
        gather_users([("kim", "a", 0.0)], RESPONSE_TIME)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("kim", "c", 3.0), "no such arm"),
        (("kim", None, 3.0), "no such arm"),
        (("kim", "a", 6.0), "out of its range"),
        (("kim", "a", float("nan")), "out of its range"),
    ],
)
def test_a_row_that_cannot_be_compared_is_refused(row, message):
    with pytest.raises(InvalidRequestError, match=message):
        gather_users([row])


def test_a_covariate_that_a_user_lacks_is_the_mean_of_the_others():
    totals = gather_users([("kim", "a", 5), ("lee", "a", 3), ("park", "a", 1)]).totals(Arm.A)
    covariate = totals.moments(covariate={"kim": 2.0, "lee": 4.0}).covariate
    assert covariate is not None
    assert covariate.covariate == 9.0


def test_metrics_are_found_by_name():
    assert metric_named("user_rating") is USER_RATING
    with pytest.raises(InvalidRequestError, match="no such metric"):
        metric_named("rating")
