"""Sufficient statistics by users, against numpy and statsmodels on the raw columns."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ab_testing import comparison, covariate_adjustment, decision, fixed_horizon, moments
from ab_testing.moments import RatioSums, UnitMoments, variance_of
from contracts.errors import InvalidRequestError
from tests.ab_testing.answers import computed

counts_and_sums = st.lists(st.tuples(st.integers(1, 9), st.floats(-50, 50)), min_size=2, max_size=30)


def clustered(seed: int, users: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Users' numbers, and values that are alike within a user."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 9, users)
    clusters = np.repeat(np.arange(users), counts)
    values = 3 + random.normal(0, 0.7, users)[clusters] + random.normal(0, 1, len(clusters))
    return clusters, values


def arm(clusters: np.ndarray, values: np.ndarray) -> UnitMoments:
    return UnitMoments.of_users(
        np.bincount(clusters).astype(float), np.bincount(clusters, weights=values).astype(float)
    )


@pytest.mark.parametrize("seed", range(3))
def test_one_value_a_user_gives_the_error_of_a_mean(seed):
    values = np.random.default_rng(seed).normal(4, 1, 50)
    found = UnitMoments.of_users(np.ones(50), values)
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert variance_of(found) == pytest.approx(values.var(ddof=1) / 50, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_several_values_a_user_give_the_cluster_robust_error_of_statsmodels(seed):
    linear_model = pytest.importorskip("statsmodels.api", reason="statsmodels is in requirements-dev.txt")
    clusters, values = clustered(seed)
    fitted = linear_model.OLS(values, np.ones_like(values)).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    found = arm(clusters, values)
    assert found.mean == pytest.approx(float(fitted.params[0]), rel=1e-9)
    assert variance_of(found) == pytest.approx(float(fitted.bse[0]) ** 2, rel=1e-9)


def test_the_difference_has_the_cluster_robust_error_of_statsmodels():
    linear_model = pytest.importorskip("statsmodels.api", reason="statsmodels is in requirements-dev.txt")
    (users_a, a), (users_b, b) = clustered(7, 60), clustered(8, 60)
    in_b = np.repeat([0.0, 1.0], [len(a), len(b)])
    fitted = linear_model.OLS(np.concatenate([a, b]), np.column_stack([np.ones_like(in_b), in_b])).fit(
        cov_type="cluster", cov_kwds={"groups": np.concatenate([users_a, users_b + 60]), "use_correction": False}
    )
    found = computed(comparison.compare(arm(users_a, a), arm(users_b, b)))
    assert found.value == pytest.approx(float(fitted.params[1]), rel=1e-9)
    # without correction both arms lack their factor n / (n - 1) = 60 / 59
    assert found.variance * 59 / 60 == pytest.approx(float(fitted.bse[1]) ** 2, rel=1e-9)


def test_user_means_count_everybody_the_same():
    found = UnitMoments.of_user_means(users=3, sum_of_means=9.0, sum_of_squared_means=29.0)
    # means 2, 3, 4: variance 1, of the mean 1/3
    assert found.mean == 3
    assert variance_of(found) == pytest.approx(1 / 3)


@given(counts_and_sums)
def test_the_variance_is_never_negative(rows):
    counts, sums = np.array(rows, dtype=float).T
    variance = variance_of(UnitMoments.of_users(counts, sums))
    assert variance is not None
    assert variance >= 0


@given(counts_and_sums, st.floats(0.1, 9), st.floats(-9, 9))
def test_another_unit_moves_mean_and_error_with_it(rows, factor, shift):
    counts, sums = np.array(rows, dtype=float).T
    plain = UnitMoments.of_users(counts, sums)
    other = UnitMoments.of_users(counts, factor * sums + shift * counts)
    assert other.mean == pytest.approx(factor * computed(plain.mean) + shift, abs=1e-9)
    assert variance_of(other) == pytest.approx(factor**2 * computed(variance_of(plain)), rel=1e-6, abs=1e-9)


def test_equal_values_have_no_spread_in_spite_of_rounding():
    assert variance_of(UnitMoments.of_users(np.array([1.0, 2, 3, 7]), 0.1 * np.array([1.0, 2, 3, 7]))) == 0.0


def test_a_single_user_has_no_error():
    assert variance_of(UnitMoments.of_users(np.ones(1), np.ones(1))) is None


def test_bare_values_are_no_statistics_of_an_arm():
    """Here they fail when run; the type checker refuses them before, or the ignored errors would be unused."""
    ratings = np.array([5.0, 4, 3, 5, 1])
    with pytest.raises(TypeError):
        UnitMoments(ratings)  # type: ignore[call-arg, arg-type]
    with pytest.raises(TypeError):
        UnitMoments.of_users(ratings)  # type: ignore[call-arg]
    with pytest.raises((TypeError, AttributeError)):
        comparison.compare(ratings, ratings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "function",
    [comparison.compare, decision.look, fixed_horizon.welch_test, covariate_adjustment.adjust_for_covariate],
)
def test_whatever_compares_arms_takes_moments_of_users_and_nothing_else(function):
    arms = [inspect.signature(function).parameters[name].annotation for name in ("a", "b")]
    assert arms == ["UnitMoments", "UnitMoments"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": -1, "sums": RatioSums(0, 0, 0, 0, 0)},
        {"users": 3, "sums": RatioSums(3, math.nan, 3, 1, 1)},
        # ten values each of one user, the weights summed without squaring them by user
        {"users": 2, "sums": RatioSums(20, 60, 20, 60, 200)},
    ],
)
def test_sums_that_no_users_can_have_are_refused(wrong):
    with pytest.raises(InvalidRequestError):
        UnitMoments(**wrong)


def test_columns_that_are_no_rows_of_users_are_refused():
    for counts, sums in ((np.ones(3), np.ones(2)), (np.zeros(2), np.ones(2)), (np.ones((2, 2)), np.ones((2, 2)))):
        with pytest.raises(InvalidRequestError, match="one row a user"):
            moments.UnitMoments.of_users(counts, sums)
