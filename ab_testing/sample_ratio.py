"""Whether users fall into the arms as planned. If not, something between assignment and record loses users of one
arm, and no comparison of the arms can be believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ab_testing.arm_shares import SharePhase, ShiftPrior, log_evidence
from contracts.experiment_verdicts import SampleRatioReading

ALPHA = 0.01
PRIOR = ShiftPrior.normal(0.15)
"""Looks for shifts like 47:53 in place of 50:50 (0.12) or 77:23 in place of 80:20 (0.18)."""
THRESHOLD = math.log(1 / ALPHA)


def check_sample_ratio(phases: Sequence[SharePhase], previous: SampleRatioReading | None = None) -> SampleRatioReading:
    """The check after any number of assignments, a phase each planned share; an alarm stays."""
    if previous is not None and previous.is_alarming:
        return previous
    evidence = log_evidence(phases, PRIOR)
    return SampleRatioReading(
        is_alarming=evidence >= THRESHOLD,
        evidence=evidence,
        threshold=THRESHOLD,
        users_a=sum(phase.in_a for phase in phases),
        users_b=sum(phase.in_b for phase in phases),
        planned_users_b=sum((phase.in_a + phase.in_b) * phase.planned_share_b for phase in phases),
    )
