"""Guardrails: what breaches one, what does not, and that a breach stays."""

import math

import numpy as np
import pytest

from ab_testing.arm_shares import SharePhase
from ab_testing.comparison import Difference, compare
from ab_testing.guardrails import (
    DEFAULT_GUARDRAILS,
    FailureGuardrail,
    MeanGuardrail,
    check_guardrails,
    watch_failures,
    watch_mean,
)
from ab_testing.metrics import RESPONSE_TIME, USER_RATING
from ab_testing.moments import UnitMoments
from ab_testing.simulation.scenarios import simulate
from contracts.errors import InvalidRequestError
from contracts.experiment_verdicts import NotComputableReason
from tests.ab_testing.answers import reason

FAILURES, RATINGS, LATENCY = DEFAULT_GUARDRAILS


def difference(value: float, error: float, users: int) -> Difference:
    return Difference(value, error**2, users - 2.0, users // 2, users - users // 2)


def test_a_worse_rating_breaches_and_a_better_one_does_not():
    assert watch_mean(RATINGS, difference(-0.6, 0.15, 200)).is_breached
    assert not watch_mean(RATINGS, difference(0.6, 0.15, 200)).is_breached
    assert not watch_mean(RATINGS, difference(-0.2, 0.15, 200)).is_breached


def test_for_response_times_more_is_worse():
    assert watch_mean(LATENCY, difference(0.25, 0.05, 400)).is_breached
    assert not watch_mean(LATENCY, difference(-0.25, 0.05, 400)).is_breached


def test_a_breach_stays_when_the_numbers_recover():
    breached = watch_mean(RATINGS, difference(-0.6, 0.15, 200))
    assert watch_mean(RATINGS, difference(0.0, 0.05, 2000), breached) == breached
    failed = watch_failures(FAILURES, [SharePhase(0.5, 0, 12)])
    assert failed.is_breached
    assert watch_failures(FAILURES, [SharePhase(0.5, 12, 12)], failed) == failed


def test_no_data_is_no_breach():
    nobody = UnitMoments.of_users(np.ones(0), np.ones(0))
    reading = watch_mean(RATINGS, compare(nobody, nobody))
    assert not reading.is_breached
    assert reason(reading.not_computable) is NotComputableReason.TOO_FEW_USERS
    nothing = watch_failures(FAILURES, [SharePhase(0.5, 0, 0)])
    assert (nothing.is_breached, nothing.harm) == (False, None)
    assert not watch_mean(RATINGS, difference(-3, 0.1, 40)).is_breached


def test_failures_count_against_the_share_of_the_traffic():
    # B has as many users with failures as A: fine at 50:50, not where B gets a twentieth
    assert not watch_failures(FAILURES, [SharePhase(0.5, 10, 10)]).is_breached
    assert watch_failures(FAILURES, [SharePhase(0.05, 10, 10)]).is_breached


def test_a_moved_share_is_judged_by_the_sure_threshold():
    one = watch_failures(FAILURES, [SharePhase(0.5, 3, 4)])
    two = watch_failures(FAILURES, [SharePhase(0.05, 1, 0), SharePhase(0.5, 2, 4)])
    assert one.threshold < two.threshold == math.log(1 / FAILURES.alpha)


def test_what_is_tolerated_does_not_breach():
    tolerant = MeanGuardrail(USER_RATING, harm_to_detect=0.5, alpha=0.0125, tolerated_harm=0.5)
    assert not watch_mean(tolerant, difference(-0.6, 0.15, 200)).is_breached
    assert watch_mean(tolerant, difference(-1.1, 0.15, 200)).is_breached


def test_the_parts_of_the_error_rate_must_not_exceed_the_whole():
    check_guardrails(DEFAULT_GUARDRAILS)
    with pytest.raises(InvalidRequestError, match="do not go together"):
        check_guardrails([FailureGuardrail(alpha=0.04), MeanGuardrail(RESPONSE_TIME, 0.2, 0.02)])
    with pytest.raises(InvalidRequestError, match="do not go together"):
        check_guardrails([FailureGuardrail(alpha=0.01), FailureGuardrail(alpha=0.01)])


def test_healthy_arms_rarely_breach_and_sick_ones_soon_do():
    results = {result.scenario: result for result in simulate(experiments=200, only=["guardrails"])}
    assert len(results) == 5
    assert [name for name, result in results.items() if result.is_clearly_missed] == []
