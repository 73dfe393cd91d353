"""Summary and comparison of the arms, against scipy's own test on the raw ratings."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats

from ab_testing.results import compare_ratings, mean_interval, summarise_experiment
from contracts.enums import Arm, ExperimentStatus
from contracts.experiments import ABExperiment, ArmCounts, TrafficSplit


def counts(ratings: list[int], samples: int | None = None, milliseconds: float = 100.0) -> ArmCounts:
    samples = len(ratings) if samples is None else samples
    return ArmCounts(
        samples=samples,
        ratings=len(ratings),
        sum_rating=float(sum(ratings)),
        sum_squared_rating=float(sum(rating**2 for rating in ratings)),
        sum_response_time_ms=milliseconds * samples,
        users=samples,
    )


def experiment(target_samples: int = 200) -> ABExperiment:
    return ABExperiment(
        experiment_id=1,
        experiment_name="e",
        model_a_id=10,
        model_b_id=20,
        traffic_split=TrafficSplit(),
        target_samples=target_samples,
        success_metric="user_rating",
        status=ExperimentStatus.RUNNING,
        start_date=datetime(2026, 11, 22, tzinfo=UTC),
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_comparison_equals_scipy_on_the_raw_ratings(seed):
    rng = random.Random(seed)
    a = [rng.choice([1, 2, 3, 4, 5]) for _ in range(rng.randint(5, 80))]
    b = [rng.choice([2, 3, 4, 4, 5]) for _ in range(rng.randint(5, 80))]
    expected = stats.ttest_ind(b, a, equal_var=False)
    interval = expected.confidence_interval(0.95)
    got = compare_ratings(counts(a), counts(b), target_samples=200)
    assert got is not None
    assert got.difference == pytest.approx(np.mean(b) - np.mean(a), abs=1e-9)
    assert got.t_statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert got.degrees_of_freedom == pytest.approx(expected.df, abs=1e-9)
    assert got.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    assert (got.interval.lower, got.interval.upper) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_the_interval_of_a_mean_equals_scipy():
    ratings = [5, 4, 4, 3, 5, 2]
    expected = stats.ttest_1samp(ratings, 0).confidence_interval(0.95)
    got = mean_interval(counts(ratings))
    assert got is not None
    assert (got.lower, got.upper) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_textbook_example_by_hand():
    # means 2 and 4, both variances 1, n = 3: t = 2 / sqrt(2/3), 4 degrees of freedom
    got = compare_ratings(counts([1, 2, 3]), counts([3, 4, 5]), target_samples=6)
    assert got is not None
    assert got.t_statistic == pytest.approx(2.449490, abs=1e-6)
    assert got.degrees_of_freedom == pytest.approx(4)
    assert got.p_value == pytest.approx(0.070484, abs=1e-6)


def test_a_comparison_says_that_it_is_valid_once_and_whether_that_moment_has_come():
    early = compare_ratings(counts([1, 2, 3]), counts([3, 4, 5]), target_samples=7)
    due = compare_ratings(counts([1, 2, 3]), counts([3, 4, 5]), target_samples=6)
    assert early is not None
    assert due is not None
    assert early.is_fixed_horizon
    assert (early.planned_size_reached, due.planned_size_reached) == (False, True)


def test_an_experiment_without_ratings_says_what_is_missing():
    results = summarise_experiment(experiment(), {Arm.A: counts([], samples=3), Arm.B: counts([4])})
    assert results.comparison is None
    assert results.missing is not None
    assert "A 0건, B 1건" in results.missing
    assert results.arms[0].mean_rating is None
    assert results.arms[0].mean_response_time_ms == 100.0
    assert results.arms[1].mean_rating == 4.0
    assert results.arms[1].rating_interval is None


def test_equal_ratings_everywhere_are_no_comparison_and_no_error():
    results = summarise_experiment(experiment(), {Arm.A: counts([3] * 7), Arm.B: counts([3] * 9)})
    assert results.comparison is None
    assert results.missing is not None
    assert results.arms[0].rating_interval is not None
    assert results.arms[0].rating_interval.lower == pytest.approx(3.0)


def test_the_summary_names_the_models_of_its_arms():
    results = summarise_experiment(experiment(), {Arm.A: counts([1, 2]), Arm.B: counts([4, 5, 5])})
    assert [(arm.arm, arm.model_id, arm.samples) for arm in results.arms] == [(Arm.A, 10, 2), (Arm.B, 20, 3)]
    assert results.missing is None
