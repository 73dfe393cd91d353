"""How probable it is that B is better: a view for reading, which decides nothing.

Looked at again and again, "95 % probable" crowns false winners in half of all tests without a difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from ab_testing.comparison import Difference
from ab_testing.metrics import Metric
from contracts.experiment_verdicts import Bounds


@dataclass(frozen=True, slots=True)
class BayesianView:
    """The posterior of B's difference to A under a normal prior around 0."""

    probability_b_is_better: float
    expected_loss_of_b: float
    """What choosing B costs on average, in the metric's unit, if A should be the better one."""
    expected_loss_of_a: float
    posterior_mean: float
    posterior_bounds: Bounds
    prior_spread: float
    decides: bool = False


def bayesian_view(
    difference: Difference, metric: Metric, *, prior_spread: float = 0.3, level: float = 0.95
) -> BayesianView:
    """With a prior that expects effects of about `prior_spread`, in the metric's unit."""
    precision = 1 / prior_spread**2 + 1 / difference.variance
    mean = difference.value / difference.variance / precision
    spread = math.sqrt(1 / precision)
    half = float(stats.norm.isf((1 - level) / 2)) * spread
    gain = mean if metric.higher_is_better else -mean
    return BayesianView(
        probability_b_is_better=float(stats.norm.cdf(gain / spread)),
        expected_loss_of_b=_expected_loss(gain, spread),
        expected_loss_of_a=_expected_loss(-gain, spread),
        posterior_mean=mean,
        posterior_bounds=Bounds(lower=mean - half, upper=mean + half, level=level),
        prior_spread=prior_spread,
    )


def _expected_loss(gain: float, spread: float) -> float:
    """Mean of max(0, -gain) under the posterior."""
    z = gain / spread
    return float(spread * (stats.norm.pdf(z) - z * stats.norm.sf(z)))
