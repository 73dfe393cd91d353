"""A plan's behaviour by integration, against simulation and against the classical test."""

import numpy as np
import pytest
from scipy import stats

from ab_testing.boundary_crossing import characteristics_by_drift, corrected_difference, plan_characteristics
from ab_testing.confidence_sequence import mixture_variance, two_sided_bound
from contracts.experiment_verdicts import (
    Bounds,
    DecisionBasis,
    DecisionLook,
    DecisionPlan,
    ExperimentVerdict,
)
from tests.ab_testing.answers import computed

PLAN = DecisionPlan(planned_users=600)


def walks(drift: float, experiments: int = 4000) -> np.ndarray:
    """The z value after each user from the 60th to the 600th."""
    steps = np.random.default_rng(11).standard_normal((experiments, 600)) / np.sqrt(600) + drift / 600
    return (np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, 601) / 600))[:, 59:]


@pytest.mark.parametrize("drift", [0.0, 1.5, 3.15])
def test_power_and_users_are_those_of_a_simulation(drift):
    z = walks(drift)
    users = np.arange(60.0, 601)
    rho = mixture_variance(PLAN.continuous_alpha, PLAN.tuning)
    crossed = np.abs(z) > two_sided_bound(users, alpha=PLAN.continuous_alpha, rho_squared=rho)
    stopped = np.where(crossed.any(axis=1), users[crossed.argmax(axis=1)], 600)
    won = crossed.any(axis=1) | (np.abs(z[:, -1]) > stats.norm.isf(PLAN.final_alpha / 2))
    found = plan_characteristics(PLAN, drift)
    # 3 standard errors of 4,000 experiments, and 0.003 for the grid
    assert found.power == pytest.approx(won.mean(), abs=3 * won.std() / 4000**0.5 + 0.003)
    assert found.expected_users == pytest.approx(stopped.mean(), abs=3 * stopped.std() / 4000**0.5 + 1)


def test_a_plan_that_spends_nothing_on_looks_is_the_classical_test():
    classical = DecisionPlan(planned_users=600, continuous_alpha=1e-9, final_alpha=0.05)
    nothing, wanted = characteristics_by_drift(classical, (0.0, 2.8015852))
    assert nothing.power == pytest.approx(0.05, abs=5e-4)
    assert wanted.power == pytest.approx(0.80, abs=2e-3)
    assert wanted.expected_users == pytest.approx(600, abs=1)


def test_the_error_rate_is_kept_for_every_size_of_plan():
    for users in (60, 100, 1000, 20_000):
        assert plan_characteristics(DecisionPlan(planned_users=users), 0.0).power <= 0.05


def early(difference: float, error: float, users: int, basis: DecisionBasis) -> DecisionLook:
    return DecisionLook(
        verdict=ExperimentVerdict.BETTER_B,
        basis=basis,
        users_a=users // 2,
        users_b=users // 2,
        difference=difference,
        standard_error=error,
        bounds=Bounds(lower=0.1, upper=1, level=0.99),
    )


def test_an_early_winner_is_shrunk_and_keeps_its_direction():
    look = early(0.6, 0.15, 200, DecisionBasis.CONTINUOUS)
    corrected = computed(corrected_difference(PLAN, look))
    assert 0.2 < corrected < 0.6
    mirrored = look.model_copy(update={"difference": -0.6})
    assert corrected_difference(PLAN, mirrored) == pytest.approx(-corrected)


def test_a_difference_far_beyond_its_bound_is_not_shrunk_for_having_come_early():
    """Looks come in batches: the first one can be clear by a wide margin."""
    assert corrected_difference(PLAN, early(2.0, 0.15, 80, DecisionBasis.CONTINUOUS)) == pytest.approx(2.0, rel=0.15)
    at_bound = computed(corrected_difference(PLAN, early(0.6, 0.15, 200, DecisionBasis.CONTINUOUS)))
    beyond = computed(corrected_difference(PLAN, early(0.8, 0.15, 200, DecisionBasis.CONTINUOUS)))
    assert at_bound / 0.6 < beyond / 0.8 <= 1


def test_a_result_at_the_planned_size_hardly_moves():
    corrected = corrected_difference(PLAN, early(0.25, 0.1, 600, DecisionBasis.FINAL))
    assert corrected == pytest.approx(0.25, abs=0.02)


def test_what_was_not_selected_for_being_large_is_not_shrunk():
    still_open = DecisionLook(
        verdict=ExperimentVerdict.KEEP_GOING, users_a=100, users_b=100, difference=0.2, standard_error=0.15
    )
    assert corrected_difference(PLAN, still_open) == 0.2
    assert corrected_difference(PLAN, still_open.model_copy(update={"difference": None})) is None
