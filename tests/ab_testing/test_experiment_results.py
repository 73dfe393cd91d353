"""Summary and comparison of the arms, from sums by user."""

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats

from ab_testing.results import compare_ratings, mean_interval, moments_of, plan_of, summarise_experiment
from contracts.enums import Arm, ExperimentStatus
from contracts.experiment_results import ExperimentResults
from contracts.experiment_verdicts import ExperimentVerdict
from contracts.experiments import ABExperiment, ArmCounts, ExperimentUsers, TrafficSplit, UserSums, two_arms
from tests.ab_testing.answers import computed


def by_user(ratings: list[list[float]]) -> UserSums:
    """From a list of each user's ratings."""
    counts, sums = np.array([len(each) for each in ratings], dtype=float), np.array([sum(each) for each in ratings])
    return UserSums(
        users=len(ratings),
        weight=counts.sum(),
        value=sums.sum(),
        weight_squared=counts @ counts,
        weight_value=counts @ sums,
        value_squared=sums @ sums,
    )


def experiment(target_samples: int = 200) -> ABExperiment:
    return ABExperiment(
        experiment_id=1,
        experiment_name="e",
        model_a_id=10,
        model_b_id=20,
        arms=two_arms(10, 20, TrafficSplit()),
        traffic_split={"a": 0.5, "b": 0.5},
        target_samples=target_samples,
        success_metric="user_rating",
        status=ExperimentStatus.RUNNING,
        start_date=datetime(2026, 11, 22, tzinfo=UTC),
    )


def counts(ratings: list[list[float]]) -> ArmCounts:
    flat = [rating for each in ratings for rating in each]
    return ArmCounts(
        samples=len(flat),
        ratings=len(flat),
        sum_rating=sum(flat),
        sum_squared_rating=sum(rating**2 for rating in flat),
        sum_response_time_ms=100.0 * len(flat),
        users=len(ratings),
    )


def results(
    a: list[list[float]], b: list[list[float]], *, times: tuple[float, float] = (100.0, 100.0), target: int = 200
) -> ExperimentResults:
    spread = np.random.default_rng(1).normal(0, 0.2, 400)
    milliseconds = [np.log(time) + spread[: len(arm)] for time, arm in zip(times, (a, b), strict=True)]
    return summarise_experiment(
        experiment(target),
        {Arm.A: counts(a), Arm.B: counts(b)},
        ExperimentUsers(
            ratings={Arm.A: by_user(a), Arm.B: by_user(b)},
            log_response_times={
                arm: by_user([[value] for value in values]) for arm, values in zip(Arm, milliseconds, strict=True)
            },
            mixed_users=3,
        ),
    )


def single(*ratings: float) -> list[list[float]]:
    return [[rating] for rating in ratings]


def moments(*ratings: float):
    return moments_of(by_user(single(*ratings)))


def test_with_one_rating_a_user_the_comparison_equals_scipy():
    random = np.random.default_rng(2)
    a, b = random.integers(1, 6, 40).astype(float), random.integers(2, 6, 55).astype(float)
    expected = stats.ttest_ind(b, a, equal_var=False)
    found = computed(compare_ratings(moments(*a), moments(*b), planned_users=200))
    assert found.t_statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    interval = computed(mean_interval(moments(*a)))
    wanted = stats.ttest_1samp(a, 0).confidence_interval(0.95)
    assert (interval.lower, interval.upper) == pytest.approx((wanted.low, wanted.high), rel=1e-9)


def test_a_textbook_example_by_hand():
    # means 2 and 4, both variances 1, n = 3: t = 2 / sqrt(2/3), 4 degrees of freedom
    found = computed(compare_ratings(moments(1, 2, 3), moments(3, 4, 5), planned_users=6))
    assert found.t_statistic == pytest.approx(2.449490, abs=1e-6)
    assert found.degrees_of_freedom == pytest.approx(4)
    assert found.p_value == pytest.approx(0.070484, abs=1e-6)
    assert found.is_fixed_horizon
    assert found.planned_size_reached


def test_ten_equal_ratings_of_a_user_are_not_ten_users():
    once = results(single(1, 2, 3), single(3, 4, 5))
    often = results([[1] * 10, [2] * 10, [3] * 10], [[3] * 10, [4] * 10, [5] * 10])
    assert computed(often.comparison).p_value == pytest.approx(computed(once.comparison).p_value)
    assert often.look.users_a + often.look.users_b == 6


def test_a_clear_difference_is_a_verdict_with_a_corrected_effect():
    found = results(single(*[2, 3] * 20), single(*[4, 5] * 20))
    assert found.look.verdict is ExperimentVerdict.BETTER_B
    assert found.look.difference == 2.0
    assert 1.7 < computed(found.corrected_difference) <= 2.0
    assert found.missing is None
    assert found.mixed_users == 3


def test_the_target_is_the_planned_number_of_users():
    assert plan_of(experiment(600)).planned_users == 600
    assert plan_of(experiment(10)).planned_users == 60
    few = results(single(*[3, 4] * 20), single(*[3, 4] * 20), target=80)
    assert few.look.verdict is ExperimentVerdict.INCONCLUSIVE


def test_response_times_are_compared_by_their_ratio():
    slower = results(single(*[3, 4] * 50), single(*[3, 4] * 50), times=(100.0, 130.0))
    found = computed(slower.response_time)
    assert found.ratio == pytest.approx(1.3)
    assert 1 < found.lower < 1.3 < found.upper
    assert results(single(1, 2, 3), single(3, 4, 5)).response_time is None


def test_an_experiment_without_ratings_says_what_is_missing():
    found = results([], single(4))
    assert found.comparison is None
    assert found.look.verdict is ExperimentVerdict.KEEP_GOING
    assert "A 0명, B 1명" in computed(found.missing)
    assert found.arms[0].mean_rating is None
    assert found.arms[1].mean_rating == 4.0
    assert found.arms[1].rating_interval is None


def test_equal_ratings_everywhere_are_no_comparison_and_no_error():
    found = results(single(*[3] * 7), single(*[3] * 9))
    assert found.comparison is None
    assert "같은 값" in computed(found.missing)
    assert computed(found.arms[0].rating_interval).lower == pytest.approx(3.0)


def test_the_summary_names_the_models_of_its_arms():
    found = results(single(1, 2), single(4, 5, 5))
    assert [(arm.arm, arm.model_id, arm.samples) for arm in found.arms] == [(Arm.A, 10, 2), (Arm.B, 20, 3)]
