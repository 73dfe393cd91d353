"""How large an A/B test has to be."""

from typing import Self

from pydantic import Field, model_validator

from contracts.enums import ExperimentPolicy, GuardrailName
from contracts.experiment_verdicts import DecisionPlan
from contracts.record import Record

SMALLEST_EFFECT, LARGEST_EFFECT = 1e-6, 1e4
MOST_VALUES_PER_USER = 1e4
SMALLEST_SHARE = 0.001
"""Of the users of two arms that are compared."""


class SizeRequest(Record):
    """What an experiment wants to find, and what it can get."""

    metric: str = "user_rating"
    effect: float = Field(ge=SMALLEST_EFFECT, le=LARGEST_EFFECT)
    """Smallest difference worth finding, in the metric's unit (response_time_ms: a share, 0.1 for ten per cent)."""
    share_b: float = Field(default=0.5, ge=SMALLEST_SHARE, le=1 - SMALLEST_SHARE)
    """B's share of the traffic."""
    power: float = Field(default=0.8, gt=0.5, le=0.999)
    """Chance to find the effect if it is there."""
    alpha: float = Field(default=0.05, ge=1e-5, lt=0.5)
    values_per_user: float = Field(default=1, ge=1, le=MOST_VALUES_PER_USER)
    """Ratings that one user gives, on average."""
    icc: float = Field(default=0.3, ge=0, le=1)
    """How alike the values of one user are: 0 not at all, 1 always the same. Without meaning for one value a user."""
    count_variation: float = Field(default=0, ge=0, le=10)
    """Standard deviation of the number of values a user, by its mean."""
    spread: float | None = Field(default=None, ge=1e-6, le=1e4)
    """Standard deviation of a value (response_time_ms: of its logarithm); None: that of ordinary ratings."""
    base_rate: float | None = Field(default=None, ge=1e-6, le=1 - 1e-6)
    """success_rate: what A reaches."""
    samples: int | None = Field(default=None, ge=4, le=10**9)
    """Values of both arms together that the experiment would get, to see what they can show."""
    values_per_day: float | None = Field(default=None, ge=1e-3, le=1e9)
    """Values that come in on one day, both arms together."""

    @model_validator(mode="after")
    def _spread_is_known(self) -> Self:
        if self.metric == "response_time_ms" and self.spread is None:
            raise ValueError("response_time_ms needs spread, the standard deviation of its logarithm; for example 0.8")
        if self.metric == "success_rate" and self.base_rate is None and self.spread is None:
            raise ValueError("success_rate needs base_rate, the rate of A; for example 0.9")
        return self


class PlanOutlook(Record):
    """How the hybrid plan behaves at a size: looks at any time, and one final test."""

    planned_users: int
    power: float
    """Chance to find the effect."""
    false_winners: float
    """Chance of a winner where there is no difference."""
    expected_users: float
    """Mean number of users at the decision, if the effect is there."""


class SizePlan(Record):
    """The size that an experiment needs, and what a smaller one can show."""

    request: SizeRequest
    samples_needed_a: int
    """Values of A for one classical test at the end."""
    samples_needed_b: int
    users_needed_a: int
    users_needed_b: int
    samples_needed_with_looks: int
    """Values of both arms for the same power when the verdict may come at any time."""
    days_needed: float | None
    design_effect: float
    """How many times more values are needed because users give several."""
    detectable_effect: float | None
    """What `samples` can find with the wanted power; None without `samples`, and where no effect is large enough."""
    power_at_samples: float | None
    """Chance to find the wanted effect with `samples`."""
    days_at_samples: float | None
    is_enough: bool | None
    """`samples` suffice for the wanted effect and power. Where they do not, starting takes a confirmation."""
    outlook: PlanOutlook | None
    """At `samples`, else at the size with looks; None below 60 users, where no look counts, and above ten million."""

    @property
    def samples_needed(self) -> int:
        """Values of both arms for one classical test at the end."""
        return self.samples_needed_a + self.samples_needed_b


class SizePoint(Record):
    """What an experiment of one size shows, by one classical test at its end."""

    samples: int
    """Values of both arms together."""
    power: float
    """Chance to find the wanted effect."""
    detectable_effect: float | None
    """What is found with the wanted power; None where no effect is large enough."""


class ExperimentPlan(Record):
    """How an experiment decides and what is done then; written down before it starts, never changed."""

    metric: str
    effect: float
    """The smallest difference worth finding, in the metric's unit."""
    decision: DecisionPlan
    guardrails: list[GuardrailName]
    policy: ExperimentPolicy
    undeploy_loser: bool = True
    """The loser leaves service when the test has ended, unless something else sends users to it."""
    samples: int
    """Ratings of both arms together that are planned."""
    samples_needed: int
    """Ratings with which the effect would be found with 80 % chance, looking at any time."""
    power: float | None
    """Chance to find the effect with `samples`."""
    detectable_effect: float | None
    """What `samples` find with 80 % chance; None where no effect is large enough."""
    is_enough: bool
    """False where a person has started it although the effect will probably be missed."""
