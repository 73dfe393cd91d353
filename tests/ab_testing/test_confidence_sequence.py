"""The always-valid bounds, against the published formula and against the mixture that they come from."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from ab_testing.comparison import Difference
from ab_testing.confidence_sequence import (
    always_valid_p,
    e_value,
    lower_bound,
    mixture_variance,
    one_sided_bound,
    sequence_bounds,
    two_sided_bound,
)

sizes = st.integers(60, 20_000)
alphas = st.floats(0.001, 0.2)


def difference(value: float, error: float, users: int) -> Difference:
    return Difference(value, error**2, users - 2, users // 2, users - users // 2)


@pytest.mark.parametrize(("users", "alpha", "tuned"), [(200, 0.05, 5000), (600, 0.01, 300), (4000, 0.05, 400)])
def test_the_half_width_is_that_of_gbstats(users, alpha, tuned):
    # growthbook packages/stats, frequentist/tests.py: rho and half width as they stand there
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuned)
    per_user = 0.11 * math.sqrt(users)
    half = per_user * math.sqrt(
        2 * (users * rho**2 + 1) / (users**2 * rho**2) * math.log(math.sqrt(users * rho**2 + 1) / alpha)
    )
    bounds = sequence_bounds(difference(0.3, 0.11, users), alpha=alpha, tuned_at_users=tuned)
    assert bounds.upper - 0.3 == pytest.approx(half, rel=1e-12)
    assert 0.3 - bounds.lower == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize(
    ("alpha", "tuned", "users", "rho_squared", "bound"),
    [
        (0.05, 200, 200.0, 0.0396807730086878, 3.0352089903762529),
        (0.01, 300, 600.0, 0.0384458044690507, 3.5956047991328743),
    ],
)
def test_golden_bounds(alpha, tuned, users, rho_squared, bound):
    # the formula with 50 digits (mpmath)
    assert mixture_variance(alpha, tuned) == pytest.approx(rho_squared, rel=1e-13)
    assert two_sided_bound(users, alpha=alpha, rho_squared=rho_squared) == pytest.approx(bound, rel=1e-13)


@pytest.mark.parametrize(("z", "users"), [(0.0, 60), (1.5, 400), (-3.0, 2000), (4.0, 100)])
def test_the_e_value_is_the_likelihood_ratio_averaged_over_its_mixture(z, users):
    spread = math.sqrt(users * mixture_variance(0.05, 400))
    expected, _ = integrate.quad(
        lambda shift: stats.norm.pdf(shift, 0, spread) * math.exp(shift * z - shift**2 / 2), -40, 40, points=[z]
    )
    assert e_value(difference(z, 1, users), alpha=0.05, tuned_at_users=400) == pytest.approx(expected, rel=1e-6)


@given(st.floats(-6, 6), sizes, alphas)
def test_p_is_below_alpha_exactly_when_the_interval_leaves_zero_out(z, users, alpha):
    found = difference(z, 1, users)
    bounds = sequence_bounds(found, alpha=alpha, tuned_at_users=400)
    outside = bounds.lower > 0 or bounds.upper < 0
    p = always_valid_p(found, alpha=alpha, tuned_at_users=400)
    if abs(min(abs(bounds.lower), abs(bounds.upper))) > 1e-9:
        assert (p < alpha) == outside


@given(sizes, alphas)
def test_looking_often_costs_width(users, alpha):
    rho = mixture_variance(alpha, 400)
    assert two_sided_bound(float(users), alpha=alpha, rho_squared=rho) > stats.norm.isf(alpha / 2)
    assert one_sided_bound(float(users), alpha=alpha, rho_squared=mixture_variance(2 * alpha, 400)) > stats.norm.isf(
        alpha
    )


@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_sequence_is_narrowest_where_it_is_tuned(alpha):
    users = np.array([400.0])
    tunings = range(100, 1600, 25)
    bounds = [two_sided_bound(users, alpha=alpha, rho_squared=mixture_variance(alpha, tuned))[0] for tuned in tunings]
    # the closed form is an approximation of the best rho
    assert abs(tunings[int(np.argmin(bounds))] - 400) <= 50


def test_one_side_is_tighter_than_two():
    found = difference(0.3, 0.1, 400)
    two_sided = sequence_bounds(found, alpha=0.05, tuned_at_users=400).lower
    assert two_sided < lower_bound(found, alpha=0.05, tuned_at_users=400) < 0.3


def test_one_sided_bounds_are_crossed_by_no_more_than_alpha():
    random = np.random.default_rng(1)
    users = np.arange(30.0, 2001)
    walks = np.cumsum(random.standard_normal((3000, 2000)), axis=1)[:, 29:] / np.sqrt(users)
    bound = one_sided_bound(users, alpha=0.05, rho_squared=mixture_variance(0.1, 400))
    rate = (walks > bound).any(axis=1).mean()
    assert 0.02 < rate <= 0.05
