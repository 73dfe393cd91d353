"""Whether B is at most a margin worse: the question of a cheaper or safer model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scipy import stats

from ab_testing.comparison import Difference
from ab_testing.confidence_sequence import lower_bound
from ab_testing.metrics import Metric
from contracts.errors import InvalidRequestError
from contracts.experiment_verdicts import NotComputable


class NonInferiority(StrEnum):
    """What is shown of B."""

    NON_INFERIOR = "non_inferior"
    INFERIOR = "inferior"
    """Worse by more than the margin."""
    NOT_SHOWN = "not_shown"


@dataclass(frozen=True, slots=True)
class NonInferiorityTest:
    """B's gain over A, bounded from both sides; each bound holds with 1 - alpha."""

    shown: NonInferiority
    at_least: float
    at_most: float
    margin: float
    alpha: float
    holds_at_every_look: bool


def check_non_inferiority(
    difference: Difference | NotComputable,
    metric: Metric,
    *,
    margin: float,
    alpha: float = 0.05,
    tuned_at_users: float | None = None,
) -> NonInferiorityTest | NotComputable:
    """Against a margin in the metric's unit. With `tuned_at_users` valid at every look, without it once."""
    if margin <= 0 or not 0 < alpha < 0.5:
        raise InvalidRequestError(
            "A test of non-inferiority needs a margin",
            value=f"margin {margin}, alpha {alpha}",
            allowed="margin above 0, alpha between 0 and 0.5",
            next_step="say how much worse B may be",
        )
    if isinstance(difference, NotComputable):
        return difference
    sign = 1 if metric.higher_is_better else -1
    gain = Difference(
        value=sign * difference.value,
        variance=difference.variance,
        degrees_of_freedom=difference.degrees_of_freedom,
        users_a=difference.users_a,
        users_b=difference.users_b,
    )
    if tuned_at_users is None:
        half = float(stats.t.isf(alpha, gain.degrees_of_freedom)) * gain.standard_error
    else:
        half = gain.value - lower_bound(gain, alpha=alpha, tuned_at_users=tuned_at_users)
    at_least, at_most = gain.value - half, gain.value + half
    shown = NonInferiority.NOT_SHOWN
    if at_least > -margin:
        shown = NonInferiority.NON_INFERIOR
    elif at_most < -margin:
        shown = NonInferiority.INFERIOR
    return NonInferiorityTest(
        shown=shown,
        at_least=at_least,
        at_most=at_most,
        margin=margin,
        alpha=alpha,
        holds_at_every_look=tuned_at_users is not None,
    )
