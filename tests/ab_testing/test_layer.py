"""Buckets of the layer: whose they are, and who falls into them."""

import pytest

from ab_testing.assignment import assign_arm, bucket_of
from ab_testing.layer import allot_buckets, free_buckets
from contracts.enums import Arm
from contracts.experiments import TrafficSplit
from contracts.layers import CHAT_LAYER, LAYER_BUCKETS, WHOLE_LAYER, BucketRange, share_of

SECRET = "a key of the test"


def test_a_test_gets_the_first_free_buckets_around_those_of_others():
    taken = [BucketRange(first=900, end=1000), BucketRange(first=100, end=300)]
    assert free_buckets(taken) == [BucketRange(first=0, end=100), BucketRange(first=300, end=900)]
    allotted = allot_buckets(taken, 0.25)
    assert allotted == (BucketRange(first=0, end=100), BucketRange(first=300, end=450))
    assert share_of(allotted) == 0.25


@pytest.mark.parametrize(("share", "fits"), [(0.7, True), (0.701, False), (1, False)])
def test_no_more_than_the_whole_layer_is_given(share, fits):
    assert (allot_buckets([BucketRange(first=0, end=300)], share) is not None) is fits


def test_an_empty_layer_can_be_had_whole():
    assert allot_buckets([], 1) == WHOLE_LAYER


def test_users_fall_evenly_into_the_layer_whatever_their_arm_is():
    users = [f"user-{number}" for number in range(20_000)]
    in_first_half = [user for user in users if bucket_of(SECRET, CHAT_LAYER, user) < LAYER_BUCKETS // 2]
    assert len(in_first_half) == pytest.approx(10_000, abs=4 * 71)
    in_a = [user for user in in_first_half if assign_arm(SECRET, 7, user, TrafficSplit()) is Arm.A]
    assert len(in_a) == pytest.approx(len(in_first_half) / 2, abs=4 * 50)
