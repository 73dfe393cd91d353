"""The classical tests over users, against scipy on the users' means."""

import numpy as np
import pytest
from scipy import stats

from ab_testing.fixed_horizon import VALIDITY, mann_whitney_test, welch_test
from ab_testing.moments import UnitMoments
from ab_testing.users import UserTotals, gather_users
from contracts.enums import Arm
from contracts.experiment_verdicts import NotComputableReason
from tests.ab_testing.answers import computed, reason


def arms(seed: int) -> tuple[UserTotals, UserTotals]:
    random = np.random.default_rng(seed)
    rows = [
        (f"{arm}{user}", arm, float(min(5, max(1, round(random.normal(3.4 + 0.3 * (arm == "b"), 1.2))))))
        for arm, users in (("a", 40), ("b", 55))
        for user in range(users)
        for _ in range(random.integers(1, 5))
    ]
    gathered = gather_users(rows)
    return gathered.totals(Arm.A), gathered.totals(Arm.B)


@pytest.mark.parametrize("seed", range(5))
def test_welch_on_user_means_equals_scipy(seed):
    a, b = arms(seed)
    expected = stats.ttest_ind(b.means, a.means, equal_var=False)
    interval = expected.confidence_interval(0.95)
    moments = [
        UnitMoments.of_user_means(
            users=len(side.means),
            sum_of_means=float(side.means.sum()),
            sum_of_squared_means=float(side.means @ side.means),
        )
        for side in (a, b)
    ]
    found = computed(welch_test(moments[0], moments[1], planned_users=95))
    assert found.t_statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert found.degrees_of_freedom == pytest.approx(expected.df, rel=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.bounds.lower, found.bounds.upper) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_mann_whitney_equals_scipy(seed):
    a, b = arms(seed)
    expected = stats.mannwhitneyu(b.means, a.means, alternative="two-sided", method="asymptotic")
    found = computed(mann_whitney_test(a, b, planned_users=95))
    assert found.u_statistic == expected.statistic
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.superiority_bounds.lower < found.superiority < found.superiority_bounds.upper


def test_superiority_counts_pairs_of_users_by_hand():
    # of the 4 pairs B wins (5 over 4), (5 over 2), (3 over 2) and loses (3 over 4)
    a, b = (UserTotals(("x", "y"), np.ones(2), np.array(sums)) for sums in ([4.0, 2.0], [5.0, 3.0]))
    assert computed(mann_whitney_test(a, b, planned_users=4)).superiority == 0.75


def test_they_say_that_they_are_valid_once_and_whether_that_moment_has_come():
    a, b = arms(0)
    for planned, reached in ((95, True), (96, False)):
        found = computed(mann_whitney_test(a, b, planned_users=planned))
        assert (found.validity, found.planned_size_reached) == (VALIDITY, reached)
        assert computed(welch_test(a.moments(), b.moments(), planned_users=planned)).planned_size_reached is reached


def test_what_cannot_be_computed_is_an_answer():
    same = UserTotals(("x", "y"), np.ones(2), np.array([3.0, 3.0]))
    one = UserTotals(("x",), np.ones(1), np.ones(1))
    assert reason(mann_whitney_test(same, same, planned_users=4)) is NotComputableReason.NO_SPREAD
    assert reason(welch_test(same.moments(), same.moments(), planned_users=4)) is NotComputableReason.NO_SPREAD
    assert reason(mann_whitney_test(one, same, planned_users=4)) is NotComputableReason.TOO_FEW_USERS
    assert reason(welch_test(one.moments(), same.moments(), planned_users=4)) is NotComputableReason.TOO_FEW_USERS


def test_the_interval_of_superiority_covers_the_truth():
    random = np.random.default_rng(3)
    truth = float(stats.norm.cdf(0.4 / np.sqrt(2)))
    covered = 0
    for _ in range(200):
        a, b = (
            UserTotals(tuple(map(str, range(40))), np.ones(40), random.normal(middle, 1, 40)) for middle in (0, 0.4)
        )
        bounds = computed(mann_whitney_test(a, b, planned_users=80)).superiority_bounds
        covered += bounds.lower <= truth <= bounds.upper
    assert 0.91 <= covered / 200 <= 0.99
