"""Non-inferiority, the Bayesian view, novelty."""

import numpy as np
import pytest
from scipy import integrate, stats

from ab_testing.bayesian_view import bayesian_view
from ab_testing.comparison import Difference
from ab_testing.metrics import RESPONSE_TIME, USER_RATING
from ab_testing.non_inferiority import NonInferiority, check_non_inferiority
from ab_testing.novelty import Trend, check_novelty
from contracts.enums import Arm
from contracts.errors import InvalidRequestError
from contracts.experiment_verdicts import NotComputable, NotComputableReason
from tests.ab_testing.answers import computed, reason


def difference(value: float, error: float = 0.1, users: int = 400) -> Difference:
    return Difference(value, error**2, users - 2.0, users // 2, users - users // 2)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, NonInferiority.NON_INFERIOR), (-0.25, NonInferiority.NOT_SHOWN), (-0.6, NonInferiority.INFERIOR)],
)
def test_a_model_may_be_a_margin_worse(value, shown):
    assert computed(check_non_inferiority(difference(value), USER_RATING, margin=0.3)).shown is shown
    # slower is worse
    assert computed(check_non_inferiority(difference(-value), RESPONSE_TIME, margin=0.3)).shown is shown


def test_at_every_look_it_takes_more():
    once = computed(check_non_inferiority(difference(-0.1), USER_RATING, margin=0.3))
    always = computed(check_non_inferiority(difference(-0.1), USER_RATING, margin=0.3, tuned_at_users=400))
    assert (once.shown, always.shown) == (NonInferiority.NON_INFERIOR, NonInferiority.NOT_SHOWN)
    assert (once.holds_at_every_look, always.holds_at_every_look) == (False, True)
    assert once.at_least == pytest.approx(-0.1 - stats.t.isf(0.05, 398) * 0.1, rel=1e-9)


def test_non_inferiority_needs_a_margin_and_data():
    with pytest.raises(InvalidRequestError, match="margin"):
        check_non_inferiority(difference(0.1), USER_RATING, margin=0)
    nothing = NotComputable(reason=NotComputableReason.TOO_FEW_USERS, users_a=0, users_b=0)
    assert check_non_inferiority(nothing, USER_RATING, margin=0.3) == nothing


def test_the_posterior_is_that_of_the_integral():
    view = bayesian_view(difference(0.15), USER_RATING, prior_spread=0.3)

    def weight(effect: float) -> float:
        return float(stats.norm.pdf(effect, 0, 0.3) * stats.norm.pdf(0.15, effect, 0.1))

    whole = integrate.quad(weight, -2, 2)[0]
    assert view.probability_b_is_better == pytest.approx(integrate.quad(weight, 0, 2)[0] / whole, rel=1e-6)
    loss = integrate.quad(lambda effect: -effect * weight(effect), -2, 0)[0] / whole
    assert view.expected_loss_of_b == pytest.approx(loss, rel=1e-6)
    assert view.posterior_mean < 0.15
    assert view.decides is False
    assert bayesian_view(difference(0.15), RESPONSE_TIME).probability_b_is_better < 0.5


def days(seed: int, *, fading: float, users: int = 80) -> list[tuple[str, Arm, int, float]]:
    random = np.random.default_rng(seed)
    rows = []
    for arm in Arm:
        for user in range(users):
            liking = random.normal(0, 0.5)
            for day in range(6):
                effect = (0.8 - fading * day) if arm is Arm.B else 0.0
                rows.append((f"{arm}{user}", arm, day, 3.5 + liking + effect + random.normal(0, 0.8)))
    return rows


def test_an_effect_that_fades_is_told_from_a_steady_one():
    fading = computed(check_novelty(days(1, fading=0.2)))
    assert fading.trend is Trend.FADING
    assert fading.bounds.lower < -0.2 < fading.bounds.upper
    assert [day.day for day in fading.days] == list(range(6))
    assert fading.days[0].difference == pytest.approx(0.8, abs=0.3)
    assert computed(check_novelty(days(2, fading=0.0))).trend is Trend.STEADY
    assert computed(check_novelty(days(3, fading=-0.2))).trend is Trend.GROWING


def test_the_slopes_errors_are_the_cluster_robust_ones_of_statsmodels():
    linear_model = pytest.importorskip("statsmodels.api", reason="statsmodels is in requirements-dev.txt")
    rows = days(4, fading=0.1)
    slope, variance = {}, 0.0
    for arm in Arm:
        of_arm = [row for row in rows if row[1] is arm]
        groups = np.unique([row[0] for row in of_arm], return_inverse=True)[1]
        design = linear_model.add_constant(np.array([row[2] for row in of_arm], dtype=float))
        fitted = linear_model.OLS([row[3] for row in of_arm], design).fit(
            cov_type="cluster", cov_kwds={"groups": groups}
        )
        slope[arm] = float(fitted.params[1])
        variance += float(fitted.bse[1]) ** 2
    found = computed(check_novelty(rows))
    assert found.change_a_day == pytest.approx(slope[Arm.B] - slope[Arm.A], rel=1e-9)
    assert (found.bounds.upper - found.change_a_day) / stats.norm.isf(0.025) == pytest.approx(variance**0.5, rel=1e-9)


def test_a_trend_takes_users_and_days():
    assert reason(check_novelty([])) is NotComputableReason.TOO_FEW_USERS
    first_day = [row for row in days(5, fading=0.0) if row[2] == 0]
    assert reason(check_novelty(first_day)) is NotComputableReason.TOO_FEW_DAYS
