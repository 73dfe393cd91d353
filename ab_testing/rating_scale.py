"""Ratings from 1 to 5: how they are spread, and how a better model moves them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from ab_testing.moments import Array
from contracts.errors import InvalidRequestError

_POINTS = np.arange(1.0, 6.0)


@dataclass(frozen=True, slots=True)
class RatingSpread:
    """The share of each rating, 1 to 5."""

    shares: tuple[float, float, float, float, float] = (0.08, 0.10, 0.20, 0.32, 0.30)
    """Those of ordinary chat ratings: mean 3.66, standard deviation 1.23."""

    @property
    def mean(self) -> float:
        """Mean rating."""
        return float(np.array(self.shares) @ _POINTS)

    @property
    def variance(self) -> float:
        """Variance of one rating."""
        return float(np.array(self.shares) @ _POINTS**2) - self.mean**2

    def moved(self, effect: float) -> RatingSpread:
        """The ratings of a model that is so much better, by exponential tilting: the shape stays, the weight moves."""
        target = self.mean + effect
        if not 1 < target < 5:
            raise InvalidRequestError(
                "Ratings cannot move that far",
                value=f"{self.mean:.2f} {effect:+g}",
                allowed=f"{1 - self.mean:+.2f} to {5 - self.mean:+.2f}, the ends excluded",
                next_step="ask for a smaller effect",
            )
        if effect == 0:
            return self
        tilt = brentq(lambda strength: float(self._tilted(strength) @ _POINTS) - target, -40, 40)
        one, two, three, four, five = map(float, self._tilted(float(tilt)))
        return RatingSpread((one, two, three, four, five))

    def _tilted(self, strength: float) -> Array:
        weights = np.array(self.shares) * np.exp(strength * (_POINTS - 3))
        tilted: Array = weights / weights.sum()
        return tilted
