"""What an A/B test shows so far."""

from contracts.enums import Arm
from contracts.evaluation import Interval
from contracts.experiments import ABExperiment
from contracts.record import Record


class ArmSummary(Record):
    """One arm's answers and ratings."""

    arm: Arm
    model_id: int
    samples: int
    """Answers given."""
    users: int
    ratings: int
    mean_rating: float | None
    """1 to 5; None before the first rating."""
    rating_interval: Interval | None
    """95 % t interval of the mean rating; None before the second rating."""
    mean_response_time_ms: float | None


class RatingComparison(Record):
    """Arm B's mean rating minus arm A's.

    Every rating counts as an independent sample here, which ratings of the same user are not.
    """

    difference: float
    interval: Interval
    """95 % interval of the difference (Welch)."""
    t_statistic: float
    degrees_of_freedom: float
    p_value: float
    """Two-sided Welch t-test."""
    is_fixed_horizon: bool = True
    """Valid once, at the planned size: looking again and again until it is small finds winners where there are none."""
    planned_size_reached: bool
    """target_samples ratings are there: now is the moment at which the p value may be read."""


class ExperimentResults(Record):
    """An A/B test with what it has gathered."""

    experiment: ABExperiment
    arms: list[ArmSummary]
    comparison: RatingComparison | None
    """None while it cannot be computed; `missing` then says why."""
    missing: str | None
    """What has to come in before the arms can be compared, in Korean."""
