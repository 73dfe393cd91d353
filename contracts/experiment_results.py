"""What an A/B test shows so far."""

from contracts.enums import Arm
from contracts.evaluation import Interval
from contracts.experiment_decisions import ExperimentDecision
from contracts.experiment_verdicts import DecisionLook, DecisionPlan, GuardrailReading, SampleRatioReading
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
    """95 % t interval of the mean rating, over users; None before the second user who rated. Valid once."""
    mean_response_time_ms: float | None


class RatingComparison(Record):
    """Arm B's mean rating minus arm A's, by the classical test over users. Shown; it decides nothing."""

    difference: float
    interval: Interval
    """95 % interval of the difference (Welch, delta method over users)."""
    t_statistic: float
    degrees_of_freedom: float
    p_value: float
    """Two-sided Welch t-test."""
    is_fixed_horizon: bool = True
    """Valid once, at the planned size: looking again and again until it is small finds winners where there are none."""
    planned_size_reached: bool
    """The planned users are there: now is the moment at which the p value may be read."""


class ResponseTimeComparison(Record):
    """How much longer B's answers take than A's: geometric mean of B by that of A, by users."""

    ratio: float
    """1.1: B takes ten per cent longer."""
    lower: float
    upper: float
    """Of the ratio, with 95 %, valid at every look."""


class ExperimentResults(Record):
    """An A/B test with what it has gathered."""

    experiment: ABExperiment
    arms: list[ArmSummary]
    plan: DecisionPlan
    look: DecisionLook
    """The verdict on ratings as of now, over users, valid at any time."""
    corrected_difference: float | None
    """The look's difference without the exaggeration of early stopping."""
    comparison: RatingComparison | None
    """The classical test; None while it cannot be computed; `missing` then says why."""
    response_time: ResponseTimeComparison | None
    mixed_users: int
    """Users put aside because both arms answered them."""
    missing: str | None
    """What has to come in before the arms can be compared, in Korean."""
    guardrails: list[GuardrailReading] = []
    """As the monitor read them last."""
    sample_ratio: SampleRatioReading | None = None
    decision: ExperimentDecision | None = None
    """None until a verdict, a guardrail or a person ended the test."""
