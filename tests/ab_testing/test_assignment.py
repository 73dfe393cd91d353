"""Who gets which arm."""

import hashlib
import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from scipy import stats

from ab_testing.assignment import assign_among, assign_arm, assignment_point, exposure_of, user_key
from contracts.enums import Arm, Exposure
from contracts.errors import InvalidRequestError
from contracts.experiments import TrafficSplit
from contracts.traffic import RampStep, TrafficPlan

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


def keyed_hash(text: str, person: bytes) -> float:
    """The point by its definition, made anew each time."""
    key = hashlib.blake2b(SECRET.encode(), digest_size=32).digest()
    digest = hashlib.blake2b(text.encode(), key=key, digest_size=8, person=person).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def test_a_user_is_assigned_by_the_keyed_hash_whoever_came_before():
    chance = random.Random(7)
    for experiment_id in range(1, 500):
        user = "".join(map(chr, chance.choices(range(0xAC00, 0xD7A4), k=chance.randrange(200))))
        names = chance.sample(["now", "large", "small", *"abcdefg"], chance.randint(2, 10))
        shares = {names[0]: 1.0, **{name: chance.choice([0, chance.random()]) for name in names[1:]}}
        waits = {
            arm: -math.log(1 - keyed_hash(f"{experiment_id}\0{arm}\0{user}", b"tuneway-arms")) / share
            for arm, share in shares.items()
            if share
        }
        expected = min(waits.items(), key=lambda wait: wait[1])[0]
        assert assign_among(SECRET, experiment_id, user, shares) == expected
        assert assignment_point(SECRET, experiment_id, user) == keyed_hash(f"{experiment_id}\0{user}", b"tuneway-arm")


@pytest.mark.parametrize("share", [-0.1, math.inf, math.nan])
def test_shares_that_are_none_are_refused(share):
    with pytest.raises(InvalidRequestError, match="No arm can be assigned"):
        assign_among(SECRET, 1, "kim", {"a": 0.5, "b": share})


def exposures(holdout: float, exposed: float) -> list[Exposure]:
    return [exposure_of(SECRET, 1, user, holdout=holdout, exposed=exposed) for user in USERS]


def test_a_ramp_moves_nobody_but_the_users_it_takes_in():
    taking_part: set[str] = set()
    for exposed in (0.02, 0.1, 0.2, 0.5, 1.0):
        found = dict(zip(USERS, exposures(0.1, exposed), strict=True))
        now = {user for user, exposure in found.items() if exposure is Exposure.ASSIGNED}
        assert taking_part < now
        assert stats.binomtest(len(now), len(USERS), exposed * 0.9).pvalue > 0.001
        taking_part = now
    assert set(exposures(0.1, 1.0)) == {Exposure.ASSIGNED, Exposure.HOLDOUT}


def test_the_holdout_is_the_same_at_every_step_of_the_ramp_and_only_grows_with_its_share():
    held = [
        {user for user, found in zip(USERS, exposures(share, step), strict=True) if found is Exposure.HOLDOUT}
        for share, step in ((0.05, 0.1), (0.05, 1.0), (0.2, 1.0))
    ]
    assert held[0] == held[1] < held[2]
    assert stats.binomtest(len(held[0]), len(USERS), 0.05).pvalue > 0.001


def test_who_takes_part_does_not_depend_on_the_arm():
    table = [[0, 0], [0, 0]]
    for arm, exposure in zip(arms(0.5), exposures(0.0, 0.5), strict=True):
        table[arm is Arm.A][exposure is Exposure.ASSIGNED] += 1
    assert stats.chi2_contingency(table).pvalue > 0.001


STARTED = datetime(2026, 11, 1, tzinfo=UTC)
RAMP = [RampStep(share_b=share, after_hours=24 * day) for day, share in enumerate((0.01, 0.05, 0.1, 0.25, 0.5))]


def test_as_many_users_get_the_new_model_as_the_ramp_says():
    plan = TrafficPlan(ramp=RAMP)
    exposed = [
        plan.exposed(0.5, STARTED, STARTED + timedelta(hours=hours)) for hours in (-1, 0, 23, 24, 48, 72, 96, 999)
    ]
    assert exposed == [0.0, 0.02, 0.02, 0.1, 0.2, 0.5, 1.0, 1.0]
    later = TrafficPlan(ramp=RAMP, starts_at=STARTED + timedelta(hours=24))
    assert later.exposed(0.5, STARTED, STARTED + timedelta(hours=25)) == 0.02
    assert TrafficPlan().exposed(0.5, STARTED, STARTED) == 1.0


def test_a_test_is_open_from_its_start_to_its_end():
    plan = TrafficPlan(starts_at=STARTED, ends_at=STARTED + timedelta(hours=2))
    assert [plan.is_open(STARTED + timedelta(hours=hours)) for hours in (-1, 0, 1, 2)] == [False, True, True, False]


@pytest.mark.parametrize(
    "fields",
    [
        {"ramp": [{"share_b": 0.5}, {"share_b": 0.1, "after_hours": 1}]},
        {"ramp": [{"share_b": 0.1}, {"share_b": 0.5}]},
        {"starts_at": STARTED, "ends_at": STARTED},
        {"holdout": 1.0},
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(fields):
    with pytest.raises(ValidationError):
        TrafficPlan.model_validate(fields)
