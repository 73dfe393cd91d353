"""What is measured of a user's answers, and which direction is good."""

import math
from dataclasses import dataclass
from enum import StrEnum

from contracts.errors import InvalidRequestError


class Scale(StrEnum):
    """On what scale values are compared."""

    LINEAR = "linear"
    LOG = "log"
    """Of the natural logarithm: a difference of 0.095 is ten per cent."""


class Aggregation(StrEnum):
    """How several values of one user count."""

    RATIO = "ratio"
    """Sum of all values by number of all values; its error by the delta method over users."""
    USER_MEANS = "user_means"
    """Mean over users of each user's mean: everybody counts the same, however often they answered."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A quantity with a good direction."""

    name: str
    scale: Scale = Scale.LINEAR
    aggregation: Aggregation = Aggregation.RATIO
    higher_is_better: bool = True
    lowest: float = -math.inf
    highest: float = math.inf

    def on_scale(self, value: float) -> float:
        """The value as it is compared. Raises InvalidRequestError for one that cannot be."""
        if not self.lowest <= value <= self.highest or not math.isfinite(value):
            raise InvalidRequestError(
                f"A value of {self.name} is out of its range",
                value=value,
                allowed=f"{self.lowest:g} to {self.highest:g}, finite",
                next_step="leave the row out, or compare another metric",
            )
        if self.scale is Scale.LOG:
            if value <= 0:
                raise InvalidRequestError(
                    f"{self.name} is compared by its logarithm",
                    value=value,
                    allowed="more than 0",
                    next_step="leave the row out",
                )
            return math.log(value)
        return float(value)


USER_RATING = Metric("user_rating", lowest=1, highest=5)
RESPONSE_TIME = Metric("response_time_ms", scale=Scale.LOG, higher_is_better=False)
SUCCESS_RATE = Metric("success_rate", lowest=0, highest=1)
METRICS = {metric.name: metric for metric in (USER_RATING, RESPONSE_TIME, SUCCESS_RATE)}


def metric_named(name: str) -> Metric:
    """The metric. Raises InvalidRequestError."""
    if name not in METRICS:
        raise InvalidRequestError(
            "There is no such metric", value=name, allowed=", ".join(METRICS), next_step="name one of these"
        )
    return METRICS[name]
