"""Sizes of experiments, against the table of the design and against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ab_testing.planner import plan_size
from ab_testing.rating_scale import RatingSpread
from ab_testing.simulation.populations import draw_ratings
from contracts.errors import InvalidRequestError
from contracts.experiment_plans import SizeRequest
from tests.ab_testing.answers import computed


@pytest.mark.parametrize(("effect", "per_arm"), [(0.1, 2291), (0.2, 553), (0.3, 237), (0.5, 78)])
def test_an_even_split_needs_so_many_an_arm(effect, per_arm):
    found = plan_size(SizeRequest(effect=effect))
    assert (found.samples_needed_a, found.samples_needed_b) == (per_arm, per_arm)


@pytest.mark.parametrize(("effect", "total"), [(0.1, 7027), (0.2, 1660), (0.3, 691), (0.5, 213)])
def test_eighty_to_twenty_needs_more(effect, total):
    found = plan_size(SizeRequest(effect=effect, share_b=0.2))
    assert found.samples_needed == pytest.approx(total, abs=1)


def test_five_ratings_a_user_that_are_alike_count_for_less():
    found = plan_size(SizeRequest(effect=0.3, values_per_user=5, icc=0.3))
    assert found.design_effect == pytest.approx(2.2)
    assert found.samples_needed_a == 521
    assert found.users_needed_a == 105
    # numbers of ratings that vary as much as their mean
    assert plan_size(
        SizeRequest(effect=0.3, values_per_user=5, icc=0.3, count_variation=1)
    ).design_effect == pytest.approx(3.7)


def test_two_hundred_in_all_find_0_46_and_not_0_3():
    found = plan_size(SizeRequest(effect=0.3, samples=200, values_per_day=40))
    assert found.detectable_effect == pytest.approx(0.46, abs=0.005)
    assert found.power_at_samples == pytest.approx(0.445, abs=0.005)
    assert found.is_enough is False
    assert found.days_at_samples == 5
    assert found.days_needed == found.samples_needed_with_looks / 40
    assert plan_size(SizeRequest(effect=0.3, samples=474)).is_enough


def test_looking_at_any_time_costs_about_seven_per_cent():
    found = plan_size(SizeRequest(effect=0.3))
    assert 1.04 < found.samples_needed_with_looks / found.samples_needed < 1.10
    outlook = computed(found.outlook)
    assert outlook.power == pytest.approx(0.8, abs=0.005)
    assert outlook.expected_users < found.samples_needed
    assert outlook.false_winners < 0.05


def test_the_planned_size_has_the_planned_power():
    random = np.random.default_rng(2)
    spread = RatingSpread()
    a, b = (draw_ratings(random, each, (4000, 237)) for each in (spread, spread.moved(0.3)))
    found = stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_other_metrics_are_planned_too():
    rate = plan_size(SizeRequest(metric="success_rate", base_rate=0.9, effect=0.05))
    # (1.960 + 0.842)² x (0.09 + 0.0475) / 0.05²
    assert rate.samples_needed_a == 432
    time = plan_size(SizeRequest(metric="response_time_ms", spread=0.5, effect=0.1, samples=864))
    assert time.samples_needed_a == 432
    assert time.detectable_effect == pytest.approx(0.1, abs=0.001)


@settings(max_examples=8)
@given(st.floats(0.15, 1.0), st.floats(0.05, 0.95), st.floats(1, 8), st.floats(0, 1))
def test_a_smaller_effect_an_uneven_split_and_likeness_cost_samples(effect, share, per_user, icc):
    found = plan_size(SizeRequest(effect=effect, share_b=share, values_per_user=per_user, icc=icc))
    smaller = plan_size(SizeRequest(effect=effect * 0.8, share_b=share, values_per_user=per_user, icc=icc))
    single = plan_size(SizeRequest(effect=effect, share_b=share, icc=icc))
    assert smaller.samples_needed > found.samples_needed
    assert single.samples_needed <= found.samples_needed + 1


def test_an_effect_that_cannot_be_is_refused():
    with pytest.raises(InvalidRequestError, match="cannot differ"):
        plan_size(SizeRequest(effect=1.4))
    with pytest.raises(InvalidRequestError, match="no such metric"):
        plan_size(SizeRequest(effect=0.1, metric="clicks"))
    for metric in ("success_rate", "response_time_ms"):
        with pytest.raises(ValueError, match="needs"):
            SizeRequest(effect=0.1, metric=metric)


def test_ratings_move_to_the_wanted_mean_and_no_further_than_the_scale():
    moved = RatingSpread().moved(0.3)
    assert sum(moved.shares) == pytest.approx(1)
    assert moved.mean - RatingSpread().mean == pytest.approx(0.3)
    with pytest.raises(InvalidRequestError, match="cannot move"):
        RatingSpread().moved(1.34)
