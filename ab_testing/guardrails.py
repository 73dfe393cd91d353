"""Guardrails: one-sided watches over B that may be read after every request, with one error rate for all of them.

Each has an e process: 1 on average while B does no harm, growing fastest when B does the harm that the guardrail was
set for, or half of it. All guardrails share one error rate, in parts that need not be equal: many requests tell about
latency, few about errors and ratings. No data is no breach.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ab_testing.arm_shares import SharePhase, ShiftPrior, calibrated_threshold, log_evidence
from ab_testing.comparison import Difference
from ab_testing.metrics import RESPONSE_TIME, USER_RATING, Metric
from ab_testing.moments import Array
from contracts.errors import InvalidRequestError
from contracts.experiment_verdicts import GuardrailReading, NotComputable

Evidence = TypeVar("Evidence", float, Array)

FULL_HARM_WEIGHT = 0.8
"""Weight of the harm that a guardrail was set for; the rest looks for half of it."""
MINIMUM_USERS_PER_ARM = 30
_OVERSTEP = 0.5826


@dataclass(frozen=True, slots=True)
class MeanGuardrail:
    """B's mean may not be worse than A's."""

    metric: Metric
    harm_to_detect: float
    """In the metric's unit, on its scale: half a rating point; 0.223 of the logarithm for a quarter more time."""
    alpha: float
    tolerated_harm: float = 0.0

    @property
    def name(self) -> str:
        """The metric's."""
        return self.metric.name


@dataclass(frozen=True, slots=True)
class FailureGuardrail:
    """No larger share of B's users than of A's may see a request fail. Each user counts once, at the first failure."""

    name: str = "failures"
    odds_ratio_to_detect: float = 5.0
    alpha: float = 0.05

    @property
    def prior(self) -> ShiftPrior:
        """Shifts of the log odds of a failure being B's."""
        shift = math.log(self.odds_ratio_to_detect)
        return ShiftPrior((shift, shift / 2), (FULL_HARM_WEIGHT, 1 - FULL_HARM_WEIGHT))


Guardrail = MeanGuardrail | FailureGuardrail

DEFAULT_GUARDRAILS: tuple[FailureGuardrail, MeanGuardrail, MeanGuardrail] = (
    FailureGuardrail(alpha=0.033),
    MeanGuardrail(USER_RATING, harm_to_detect=0.55, alpha=0.0135),
    MeanGuardrail(RESPONSE_TIME, harm_to_detect=math.log(1.25), alpha=0.002),
)
"""Together 0.0485: what is left of 0.05 allows for means that are not quite normal yet."""


def check_guardrails(guardrails: Sequence[Guardrail], alpha: float = 0.05) -> None:
    """Raises InvalidRequestError where the parts exceed the whole, or two have one name."""
    spent = sum(guardrail.alpha for guardrail in guardrails)
    names = [guardrail.name for guardrail in guardrails]
    if spent > alpha + 1e-12 or len(set(names)) < len(names):
        raise InvalidRequestError(
            "The guardrails do not go together",
            value=", ".join(f"{guardrail.name} {guardrail.alpha:g}" for guardrail in guardrails),
            allowed=f"different names, error rates of {alpha:g} in all",
            next_step="give each guardrail a part of the error rate",
        )


def mean_evidence(guardrail: MeanGuardrail, harm: Evidence, variance: Evidence) -> Evidence:
    """Log e value of a harm with that squared standard error.

    The score harm / variance is a Brownian motion over the information 1 / variance; a point alternative's
    likelihood ratio is exp(delta score - delta² information / 2).
    """
    above = harm - guardrail.tolerated_harm
    full = guardrail.harm_to_detect
    half = full / 2
    found: Evidence = np.logaddexp(
        math.log(FULL_HARM_WEIGHT) + (full * above - full**2 / 2) / variance,
        math.log(1 - FULL_HARM_WEIGHT) + (half * above - half**2 / 2) / variance,
    )
    return found


def mean_threshold(guardrail: MeanGuardrail, variance: Evidence, users: Evidence) -> Evidence:
    """ln(1 / alpha), less what a walk with a step a user oversteps it (Siegmund 1985)."""
    found: Evidence = math.log(1 / guardrail.alpha) - _OVERSTEP * guardrail.harm_to_detect / np.sqrt(variance * users)
    return found


def watch_mean(
    guardrail: MeanGuardrail, difference: Difference | NotComputable, previous: GuardrailReading | None = None
) -> GuardrailReading:
    """The guardrail after a look; a breach stays."""
    if previous is not None and previous.is_breached:
        return previous
    threshold = math.log(1 / guardrail.alpha)
    if isinstance(difference, NotComputable):
        return GuardrailReading(
            name=guardrail.name,
            is_breached=False,
            evidence=0.0,
            threshold=threshold,
            harm=None,
            users_a=difference.users_a,
            users_b=difference.users_b,
            not_computable=difference,
        )
    harm = -difference.value if guardrail.metric.higher_is_better else difference.value
    enough = min(difference.users_a, difference.users_b) >= MINIMUM_USERS_PER_ARM
    evidence = float(mean_evidence(guardrail, harm, difference.variance))
    threshold = float(mean_threshold(guardrail, difference.variance, float(difference.users)))
    return GuardrailReading(
        name=guardrail.name,
        is_breached=enough and evidence >= threshold,
        evidence=evidence,
        threshold=threshold,
        harm=harm,
        users_a=difference.users_a,
        users_b=difference.users_b,
    )


def failure_threshold(guardrail: FailureGuardrail, planned_shares: Sequence[float]) -> float:
    """Exact for one planned share, ln(1 / alpha) where the share moved."""
    if len(set(planned_shares)) == 1:
        return calibrated_threshold(guardrail.alpha, guardrail.prior, planned_shares[0])
    return math.log(1 / guardrail.alpha)


def watch_failures(
    guardrail: FailureGuardrail, phases: Sequence[SharePhase], previous: GuardrailReading | None = None
) -> GuardrailReading:
    """The guardrail after a look at how many users with a failed request each arm has, a phase each planned share."""
    if previous is not None and previous.is_breached:
        return previous
    in_a, in_b = sum(phase.in_a for phase in phases), sum(phase.in_b for phase in phases)
    threshold = failure_threshold(guardrail, [phase.planned_share_b for phase in phases])
    evidence = log_evidence(phases, guardrail.prior) if in_a + in_b else 0.0
    expected = sum((phase.in_a + phase.in_b) * phase.planned_share_b for phase in phases)
    return GuardrailReading(
        name=guardrail.name,
        is_breached=in_a + in_b > 0 and evidence >= threshold,
        evidence=evidence,
        threshold=threshold,
        harm=in_b - expected if in_a + in_b else None,
        users_a=in_a,
        users_b=in_b,
    )
