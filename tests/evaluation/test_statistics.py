"""Intervals and tests, against independent golden values and by simulation."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binomtest, norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from evaluation.statistics import (
    cases_to_decide,
    chance_of,
    exact_lower_bound,
    lower_bound,
    mcnemar_exact,
    needed_correct,
    needed_for_lower_bound,
    paired_difference_interval,
    sign_test_worse,
    upper_bound,
    wilson_interval,
)

# scipy 1.17.1: binomtest(k, n).proportion_ci(0.95, method="wilson")
WILSON = [
    (0, 10, 0.0, 0.27753),
    (10, 10, 0.72247, 1.0),
    (7, 20, 0.18119, 0.56715),
    (180, 200, 0.85059, 0.93433),
    (187, 200, 0.89198, 0.96162),
]


@pytest.mark.parametrize(("correct", "n", "lower", "upper"), WILSON)
def test_the_wilson_interval_has_its_golden_values(correct, n, lower, upper):
    interval = wilson_interval(correct, n)
    golden = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert (interval.lower, interval.upper) == pytest.approx((golden.low, golden.high), abs=1e-9)
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper), abs=5e-6)


def test_without_cases_nothing_is_known():
    assert (wilson_interval(0, 0).lower, wilson_interval(0, 0).upper) == (0.0, 1.0)


@pytest.mark.parametrize(("correct", "golden"), [(186, 0.89423), (187, 0.90013), (188, 0.90607), (200, 0.98665)])
def test_the_lower_bound_has_its_golden_values(correct, golden):
    # a two-sided 90 % interval leaves 5 % on each side
    independent = proportion_confint(correct, 200, alpha=0.10, method="wilson")[0]
    assert lower_bound(correct, 200) == pytest.approx(golden, abs=5e-6)
    assert lower_bound(correct, 200) == pytest.approx(independent, abs=1e-9)


def test_187_are_the_fewest_of_200_whose_lower_bound_clears_ninety_percent():
    assert lower_bound(186, 200) < 0.90 < lower_bound(187, 200)
    assert needed_for_lower_bound(200, 0.90) == 187
    assert needed_for_lower_bound(10, 0.90) is None


def test_the_bound_is_where_a_score_test_at_five_percent_turns():
    bound = lower_bound(187, 200)
    z = (187 / 200 - bound) / math.sqrt(bound * (1 - bound) / 200)
    assert norm.sf(z) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(("correct", "golden"), [(187, 0.89864), (188, 0.90460), (200, 0.98513), (0, 0.0)])
def test_the_exact_lower_bound_has_its_golden_values(correct, golden):
    independent = binomtest(correct, 200, alternative="greater").proportion_ci(0.95, method="exact").low
    assert exact_lower_bound(correct, 200) == pytest.approx(golden, abs=5e-6)
    assert exact_lower_bound(correct, 200) == pytest.approx(independent, abs=1e-9)


def test_the_upper_bound_mirrors_the_lower_bound():
    assert upper_bound(170, 200) == pytest.approx(1 - lower_bound(30, 200), abs=1e-12)
    assert upper_bound(200, 200) == 1.0
    assert lower_bound(0, 200) == 0.0


@pytest.mark.parametrize(("won", "lost"), [(3, 9), (0, 1), (9, 3), (4, 4)])
def test_the_sign_test_equals_scipys(won, lost):
    independent = binomtest(lost, won + lost, alternative="greater").pvalue
    assert sign_test_worse(won, lost) == pytest.approx(independent, rel=1e-9)


def test_without_lost_cases_nothing_speaks_for_worse():
    assert sign_test_worse(4, 0) == sign_test_worse(0, 0) == 1.0


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (5, 5), (10, 2), (2, 10), (1, 0), (150, 3)])
def test_mcnemar_equals_the_binomial_sum(won, lost):
    n = won + lost
    tail = sum(Fraction(math.comb(n, k), 2**n) for k in range(min(won, lost) + 1))
    assert mcnemar_exact(won, lost) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-9)


def test_mcnemar_has_its_golden_value():
    assert mcnemar_exact(10, 2) == pytest.approx(mcnemar([[0, 10], [2, 0]], exact=True).pvalue, rel=1e-12)
    assert mcnemar_exact(10, 2) == pytest.approx(0.03857, abs=5e-6)  # R: binom.test(2, 12)$p.value = 0.03857422


@pytest.mark.parametrize(
    ("n", "bar", "needed"), [(200, 0.9, 181), (10, 0.3, 4), (7, 0.9, 7), (100, 0.07, 8), (1, 0.5, 1)]
)
def test_the_needed_right_answers_do_not_suffer_from_rounding(n, bar, needed):
    assert needed_correct(n, bar) == needed


def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(20261122)
    for truth in (0.5, 0.9, 0.97):
        counts = random.binomial(200, truth, size=4000)
        inside = [(i := wilson_interval(int(k), 200)).lower <= truth <= i.upper for k in counts]
        bounded = {k: exact_lower_bound(int(k), 200) for k in set(counts.tolist())}
        below = [bounded[int(k)] <= truth for k in counts]
        assert 0.93 <= np.mean(inside) <= 0.97  # Wilson is right on average, not at each truth
        assert np.mean(below) >= 0.945  # Clopper-Pearson is never below 0.95, simulation error 0.0034


@pytest.mark.parametrize("needed", [needed_correct(200, 0.90), needed_for_lower_bound(200, 0.90)])
@pytest.mark.parametrize("truth", [0.80, 0.85, 0.88, 0.90, 0.92, 0.95, 0.97])
def test_the_gates_pass_rate_at_each_true_accuracy_is_the_binomials(needed, truth):
    right = np.random.default_rng(7).random((20_000, 200)) < truth
    passed = np.mean(right.sum(axis=1) >= needed)
    expected = sum(math.comb(200, k) * truth**k * (1 - truth) ** (200 - k) for k in range(needed, 201))
    assert chance_of(needed, truth, 200) == pytest.approx(expected, rel=1e-9)
    assert passed == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 20_000) + 1e-4)


def test_a_model_on_the_bar_passes_the_lower_bound_rule_about_once_in_twenty():
    assert chance_of(187, 0.90, 200) == pytest.approx(0.05656, abs=5e-6)
    assert chance_of(187, 0.88, 200) == pytest.approx(0.00746, abs=5e-6)


def test_the_number_of_cases_to_decide_is_the_smallest_that_decides():
    total = cases_to_decide(184, 200, 0.90)
    assert total is not None
    assert lower_bound(round(0.92 * total), total) > 0.90
    assert lower_bound(round(0.92 * (total // 2)), total // 2) < 0.90


def test_a_share_on_the_bar_can_never_be_decided():
    assert cases_to_decide(180, 200, 0.90) is None


def score_by_likelihood(n: int, lost: int, won: int, difference: float) -> float:
    """Tango's statistic with its nuisance share found by maximising the likelihood, not by his formula."""

    def minus_log_likelihood(share: float) -> float:
        parts = ((lost, share + difference), (won, share), (n - lost - won, 1 - 2 * share - difference))
        return -sum(count * math.log(max(part, 1e-300)) for count, part in parts if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    share = minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-13}).x
    return float((lost - won - n * difference) / math.sqrt(n * (2 * share + difference * (1 - difference))))


@pytest.mark.parametrize(("n", "lost", "won"), [(50, 12, 2), (200, 9, 3), (200, 1, 1), (40, 5, 5)])
def test_the_interval_of_a_paired_difference_is_where_the_score_test_does_not_reject(n, lost, won):
    found = paired_difference_interval(n, lost, won)
    observed = (lost - won) / n
    lower = brentq(lambda difference: score_by_likelihood(n, lost, won, difference) - 1.959963984540054, -0.9, observed)
    upper = brentq(lambda difference: score_by_likelihood(n, lost, won, difference) + 1.959963984540054, observed, 0.9)
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=1e-5)
    mirrored = paired_difference_interval(n, won, lost)
    assert (mirrored.lower, mirrored.upper) == pytest.approx((-found.upper, -found.lower), abs=1e-12)


def test_where_no_answer_differs_the_difference_is_small_and_not_nothing():
    interval = paired_difference_interval(200, 0, 0)
    # Tango's closed form without discordant pairs: z^2 / (n + z^2)
    assert interval.upper == pytest.approx(1.959963984540054**2 / (200 + 1.959963984540054**2), abs=1e-9)
    assert interval.lower == -interval.upper
    assert (paired_difference_interval(0, 0, 0).lower, paired_difference_interval(0, 0, 0).upper) == (-1.0, 1.0)
    assert paired_difference_interval(5, 5, 0).upper == pytest.approx(1.0)


@pytest.mark.parametrize(("lost", "won"), [(0.06, 0.03), (0.03, 0.0), (0.12, 0.12)])
def test_the_interval_of_a_paired_difference_covers_the_truth_as_often_as_it_says(lost, won):
    """4,000 evaluations of 200 questions; 95 % less three standard errors of the simulation, and half a point of it."""
    rng = np.random.default_rng(5)
    counts = rng.multinomial(200, [lost, won, 1 - lost - won], size=4000)
    intervals = {pair: paired_difference_interval(200, *pair) for pair in {(int(a), int(b)) for a, b, _ in counts}}
    covered = [intervals[int(a), int(b)] for a, b, _ in counts]
    share = np.mean([interval.lower <= lost - won <= interval.upper for interval in covered])
    assert share > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 4000) - 0.005
