"""Who gets which arm."""

import pytest
from pydantic import ValidationError
from scipy import stats

from ab_testing.assignment import assign_arm, assignment_point, user_key
from contracts.enums import Arm
from contracts.experiments import TrafficSplit

SECRET = "a secret of the test"
USERS = [f"user-{number}" for number in range(20_000)]


def arms(split_a: float, experiment_id: int = 1) -> list[Arm]:
    split = TrafficSplit(a=split_a, b=1 - split_a)
    return [assign_arm(SECRET, experiment_id, user, split) for user in USERS]


def test_the_same_user_gets_the_same_arm_every_time():
    assert arms(0.5) == arms(0.5)


def test_points_are_uniform():
    points = [assignment_point(SECRET, 1, user) for user in USERS]
    assert min(points) >= 0
    assert max(points) < 1
    assert stats.kstest(points, "uniform").pvalue > 0.001


@pytest.mark.parametrize("share", [0.5, 0.8, 0.05])
def test_the_shares_are_those_of_the_split(share):
    got = arms(share).count(Arm.A)
    assert stats.binomtest(got, len(USERS), share).pvalue > 0.001


def test_a_change_of_the_split_moves_only_the_users_it_must():
    before, after = arms(0.5), arms(0.6)
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old is not new]
    assert {(Arm.B, Arm.A)} == set(moved)
    assert len(moved) == after.count(Arm.A) - before.count(Arm.A)


def test_the_whole_traffic_can_go_to_one_arm():
    assert set(arms(1.0)) == {Arm.A}
    assert set(arms(0.0)) == {Arm.B}


def test_two_experiments_split_the_same_users_independently():
    table = [[0, 0], [0, 0]]
    for first, second in zip(arms(0.5, 1), arms(0.5, 2), strict=True):
        table[first is Arm.A][second is Arm.A] += 1
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_another_secret_gives_another_assignment_and_another_pseudonym():
    assert assignment_point(SECRET, 1, "kim") != assignment_point("other", 1, "kim")
    assert user_key(SECRET, "kim") != user_key("other", "kim")


def test_a_pseudonym_is_stable_and_does_not_contain_the_user():
    assert user_key(SECRET, "kim") == user_key(SECRET, "kim")
    assert user_key(SECRET, "kim") != user_key(SECRET, "lee")
    assert "kim" not in user_key(SECRET, "kim")
    assert len(user_key(SECRET, "김철수" * 100)) == 32


def test_a_split_that_does_not_sum_to_one_is_refused():
    with pytest.raises(ValidationError, match="must be 1"):
        TrafficSplit(a=0.5, b=0.6)
