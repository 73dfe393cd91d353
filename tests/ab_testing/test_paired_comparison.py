"""Two models on the same questions."""

import math

import numpy as np
import pytest
from scipy import stats

from ab_testing.paired_comparison import WHOLE_ALPHA, alpha_of, compare_pairs, detectable_difference, sign_flip_p
from contracts.errors import InvalidRequestError
from contracts.experiment_verdicts import ExperimentVerdict


def test_all_replays_of_a_test_together_spend_one_error_rate():
    assert alpha_of(1) == pytest.approx(0.04)
    assert alpha_of(2) == pytest.approx(0.008)
    for challengers in (1, 3):
        spent = math.fsum(alpha_of(number, challengers) for number in range(1, 50)) * challengers
        assert spent == pytest.approx(WHOLE_ALPHA)


def test_a_users_questions_count_as_one():
    once = compare_pairs([(f"user-{n}", 1.0) for n in range(30)], alpha=0.05, margin=0.1)
    many = compare_pairs([(f"user-{n}", 1.0) for n in range(30) for _ in range(20)], alpha=0.05, margin=0.1)
    assert many == once
    assert many.units == 30


def test_the_interval_is_that_of_a_paired_t_test_and_the_test_that_of_signs():
    values = np.array([1.0, 0.0, -1.0, 1.0, 1.0, 0.0, 1.0, -1.0, 1.0, 0.5] * 4)
    found = compare_pairs([(str(n), value) for n, value in enumerate(values)], alpha=0.05, margin=0.1)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.bounds.lower, found.bounds.upper) == pytest.approx((expected.low, expected.high))
    # eight units that all say the same: two of 2^8 ways to give signs
    assert sign_flip_p(np.array([1.0] * 8 + [0.0] * 20)) == pytest.approx(2 / 2**8, abs=0.003)


def test_ties_alone_say_that_there_is_no_difference_only_when_there_are_enough():
    few = compare_pairs([(str(n), 0.0) for n in range(20)], alpha=0.04, margin=0.1)
    assert few.verdict is ExperimentVerdict.INCONCLUSIVE
    assert few.bounds.upper == pytest.approx(1 - 0.02 ** (1 / 20))
    enough = compare_pairs([(str(n), 0.0) for n in range(60)], alpha=0.04, margin=0.1)
    assert enough.verdict is ExperimentVerdict.NO_RELEVANT_DIFFERENCE


def test_one_unit_is_refused():
    with pytest.raises(InvalidRequestError, match="3 questions of 1 units"):
        compare_pairs([("kim", 1.0)] * 3, alpha=0.05, margin=0.1)


def simulated(random: np.random.Generator, better_by: float) -> list[tuple[str, float]]:
    """60 users, one to five questions each, alike within a user; two in five answers have no winner."""
    leaning = random.normal(better_by, 0.4, 60)
    pairs = []
    for user, lean in enumerate(leaning):
        for _ in range(random.integers(1, 6)):
            drawn = random.random()
            chance = min(0.6, max(0.0, 0.3 + lean / 2))
            pairs.append((str(user), 1.0 if drawn < chance else -1.0 if drawn < 0.6 else 0.0))
    return pairs


def test_models_that_are_alike_have_a_winner_no_more_often_than_allowed_and_a_better_one_wins():
    random = np.random.default_rng(20261129)
    alike = [compare_pairs(simulated(random, 0.0), alpha=0.05, margin=0.1) for _ in range(400)]
    false_winners = np.mean([found.verdict.value.startswith("better") for found in alike])
    covered = np.mean([found.bounds.lower <= 0 <= found.bounds.upper for found in alike])
    # three standard errors of 0.05 over 400
    assert false_winners <= 0.05 + 3 * 0.011
    assert covered >= 0.95 - 3 * 0.011
    better = [compare_pairs(simulated(random, 0.35), alpha=0.05, margin=0.1).verdict for _ in range(50)]
    assert better.count(ExperimentVerdict.BETTER_B) >= 40
    assert ExperimentVerdict.BETTER_A not in better


def test_the_detectable_difference_falls_with_the_root_of_the_units():
    assert detectable_difference(400, 0.04) == pytest.approx(detectable_difference(100, 0.04) / 2)
    # (2.0537 + 0.8416) x 0.75 / 10
    assert detectable_difference(100, 0.04) == pytest.approx(0.2172, abs=1e-3)
    assert detectable_difference(2, 0.04) == 1.0


def test_no_interval_reaches_beyond_a_win_of_every_question():
    found = compare_pairs([(f"user-{n}", 1.0 if n else 0.0) for n in range(30)], alpha=0.04, margin=0.1)
    assert found.bounds.lower < found.difference < found.bounds.upper == 1.0
