"""Evidence against a planned share: exact, through ramps, and no alarm that goes away."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ab_testing.arm_shares import SharePhase, ShiftPrior, alarm_limits, calibrated_threshold, log_evidence
from ab_testing.guardrails import DEFAULT_GUARDRAILS
from ab_testing.sample_ratio import PRIOR, THRESHOLD, check_sample_ratio
from contracts.errors import InvalidRequestError

ONE_SIDED = DEFAULT_GUARDRAILS[0].prior


def chance_of_alarm(planned: np.ndarray, real: np.ndarray, prior: ShiftPrior, threshold: float) -> float:
    """Exact: the chance of each count is followed from thing to thing."""
    limits = alarm_limits(planned, prior, threshold)
    chances, alarm = np.ones(1), 0.0
    for place, share in enumerate(real):
        chances = np.append(chances * (1 - share), 0) + np.append(0, chances * share)
        counts = np.arange(len(chances))
        alarmed = (counts >= limits.upper[place]) | (counts <= limits.lower[place])
        alarm += float(chances[alarmed].sum())
        chances[alarmed] = 0
    return alarm


@pytest.mark.parametrize(
    "planned",
    [np.full(1500, 0.5), np.full(1500, 0.2), np.repeat([0.01, 0.05, 0.1, 0.25, 0.5], 300)],
    ids=["50:50", "80:20", "ramp"],
)
def test_a_split_as_planned_is_alarming_in_no_more_than_one_of_a_hundred(planned):
    assert chance_of_alarm(planned, planned, PRIOR, THRESHOLD) <= 0.01


def test_lost_users_are_found():
    assert chance_of_alarm(np.full(1500, 0.5), np.full(1500, 0.58), PRIOR, THRESHOLD) > 0.99


def test_it_is_the_planned_ratio_that_counts():
    # 95:5 as planned is fine, however far from half; 50:50 where 95:5 was planned is not
    assert not check_sample_ratio([SharePhase(0.05, 9500, 500)]).is_alarming
    assert check_sample_ratio([SharePhase(0.05, 5000, 5000)]).is_alarming
    assert not check_sample_ratio([]).is_alarming


def test_a_ramp_is_judged_phase_by_phase():
    ramp = [SharePhase(0.01, 990, 10), SharePhase(0.5, 500, 500)]
    reading = check_sample_ratio(ramp)
    assert not reading.is_alarming
    assert reading.planned_users_b == pytest.approx(510)
    # the same counts against one share would alarm
    assert check_sample_ratio([SharePhase(0.5, 1490, 510)]).is_alarming


def test_an_alarm_stays():
    alarm = check_sample_ratio([SharePhase(0.5, 300, 200)])
    assert alarm.is_alarming
    assert check_sample_ratio([SharePhase(0.5, 5000, 5000)], alarm) == alarm


@settings(max_examples=25)
@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.02, 0.98))
def test_the_limits_are_the_evidence_in_counts(in_a, in_b, share):
    things = in_a + in_b
    if things == 0:
        return
    for prior in (PRIOR, ONE_SIDED):
        limits = alarm_limits(np.full(things, share), prior, 2.0)
        evidence = log_evidence([SharePhase(share, in_a, in_b)], prior)
        outside = in_b >= limits.upper[-1] or in_b <= limits.lower[-1]
        if abs(evidence - 2.0) > 1e-9:
            assert outside == (evidence >= 2.0)


@given(st.lists(st.tuples(st.floats(0.05, 0.95), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=5))
def test_the_evidence_is_a_martingale(rows):
    phases = [SharePhase(*row) for row in rows]
    share, in_a, in_b = rows[-1]
    after = [
        log_evidence([*phases[:-1], SharePhase(share, in_a + more_a, in_b + more_b)], PRIOR)
        for more_a, more_b in ((1, 0), (0, 1))
    ]
    mean = (1 - share) * math.exp(after[0]) + share * math.exp(after[1])
    assert mean == pytest.approx(math.exp(log_evidence(phases, PRIOR)), rel=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.2, 0.8])
def test_a_calibrated_threshold_is_lower_and_keeps_the_error_rate(share):
    threshold = calibrated_threshold(0.033, ONE_SIDED, share)
    assert threshold < math.log(1 / 0.033)
    assert chance_of_alarm(np.full(300, share), np.full(300, share), ONE_SIDED, threshold) <= 0.033


def test_a_phase_without_a_plan_is_refused():
    with pytest.raises(InvalidRequestError):
        SharePhase(0.0, 10, 0)
