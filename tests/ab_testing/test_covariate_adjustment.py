"""CUPED, against least squares and by what it saves."""

import numpy as np
import pytest

from ab_testing.covariate_adjustment import adjust_for_covariate
from ab_testing.decision import begin, look_at
from ab_testing.moments import UnitMoments
from contracts.experiment_verdicts import DecisionPlan, ExperimentVerdict, NotComputableReason
from tests.ab_testing.answers import computed, reason


def arms(seed: int, users: int = 200, effect: float = 0.2):
    random = np.random.default_rng(seed)
    found = []
    for shift in (0.0, effect):
        x = random.normal(3, 1, users)
        found.append((shift + 0.8 * x + random.normal(0, 0.6, users), x))
    return found


def moments(y: np.ndarray, x: np.ndarray | None) -> UnitMoments:
    return UnitMoments.of_users(np.ones(len(y)), y, x)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_classical_cuped_of_the_columns(seed):
    (y_a, x_a), (y_b, x_b) = arms(seed)
    # one slope for both arms: covariance by variance, each arm's own mean taken out
    slope = (np.cov(x_a, y_a)[0, 1] + np.cov(x_b, y_b)[0, 1]) / (x_a.var(ddof=1) + x_b.var(ddof=1))
    left_a, left_b = y_a - slope * x_a, y_b - slope * x_b
    found = computed(adjust_for_covariate(moments(y_a, x_a), moments(y_b, x_b)))
    assert found.slope == pytest.approx(slope, rel=1e-9)
    assert found.adjusted.value == pytest.approx(left_b.mean() - left_a.mean(), rel=1e-9)
    assert found.adjusted.variance == pytest.approx((left_a.var(ddof=1) + left_b.var(ddof=1)) / 200, rel=1e-9)


def test_it_is_the_slope_and_difference_of_least_squares():
    (y_a, x_a), (y_b, x_b) = arms(3)
    in_b = np.repeat([0.0, 1.0], 200)
    design = np.column_stack([np.ones(400), in_b, np.concatenate([x_a, x_b])])
    _, difference, slope = np.linalg.lstsq(design, np.concatenate([y_a, y_b]), rcond=None)[0]
    found = computed(adjust_for_covariate(moments(y_a, x_a), moments(y_b, x_b)))
    assert (found.adjusted.value, found.slope) == pytest.approx((difference, slope), rel=1e-9)


def test_a_covariate_that_explains_saves_users():
    (y_a, x_a), (y_b, x_b) = arms(4, effect=0.35)
    found = computed(adjust_for_covariate(moments(y_a, x_a), moments(y_b, x_b)))
    assert found.variance_saved == pytest.approx(0.64, abs=0.08)
    plan = DecisionPlan(planned_users=800)
    assert look_at(begin(plan), found.adjusted).verdict is ExperimentVerdict.BETTER_B
    assert look_at(begin(plan), found.unadjusted).verdict is ExperimentVerdict.KEEP_GOING


def test_ratio_metrics_are_adjusted_by_their_linear_part():
    random = np.random.default_rng(6)
    found = []
    for _ in range(2):
        x = random.normal(0, 1, 300)
        counts = random.integers(1, 6, 300).astype(float)
        found.append(UnitMoments.of_users(counts, counts * (3 + 0.9 * x) + random.normal(0, 0.3, 300), x))
    adjusted = computed(adjust_for_covariate(*found))
    assert adjusted.variance_saved > 0.5
    assert abs(adjusted.adjusted.value) < 4 * adjusted.adjusted.standard_error


def test_without_a_covariate_there_is_nothing_to_adjust():
    (y_a, x_a), (y_b, _) = arms(5)
    assert reason(adjust_for_covariate(moments(y_a, x_a), moments(y_b, None))) is NotComputableReason.NO_COVARIATE
    flat = np.ones(200)
    assert reason(adjust_for_covariate(moments(y_a, flat), moments(y_b, flat))) is NotComputableReason.NO_COVARIATE
