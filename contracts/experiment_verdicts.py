"""What an A/B test decides, and how it was planned."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from contracts.record import Record


class ExperimentVerdict(StrEnum):
    """What an A/B test says about its success metric. All but the last end it."""

    BETTER_A = "better_a"
    BETTER_B = "better_b"
    NO_RELEVANT_DIFFERENCE = "no_relevant_difference"
    INCONCLUSIVE = "inconclusive"
    """The planned size is there, and neither a winner nor the absence of a difference is shown."""
    KEEP_GOING = "keep_going"


class NotComputableReason(StrEnum):
    """Why a statistic has no value. A state, not an error: more data or other data gives one."""

    TOO_FEW_USERS = "too_few_users"
    NO_SPREAD = "no_spread"
    """Every user's value is the same in both arms."""
    NO_COVARIATE = "no_covariate"
    TOO_FEW_DAYS = "too_few_days"


class NotComputable(Record):
    """The coded answer in place of a number."""

    reason: NotComputableReason
    users_a: int
    users_b: int


class DecisionBasis(StrEnum):
    """Which of a plan's two tests decided."""

    CONTINUOUS = "continuous"
    """The confidence sequence, at a look before or at the planned size."""
    FINAL = "final"
    """The one fixed test at the planned size."""


class DecisionPlan(Record):
    """How an experiment decides, written down before it starts.

    A part of the error rate is spent on looks at any time (a confidence sequence), the rest on one test at the
    planned size. `final_alpha` 0 leaves the sequence alone.
    """

    planned_users: int = Field(ge=60, le=10_000_000)
    """Users of both arms together at which the final test is made."""
    continuous_alpha: float = Field(default=0.01, gt=0, lt=0.5)
    final_alpha: float = Field(default=0.04, ge=0, lt=0.5)
    margin: float | None = Field(default=None, gt=0)
    """Differences smaller than this do not matter, in the metric's unit (on the log scale: of the logarithm)."""
    tuned_at_users: int | None = Field(default=None, ge=2)
    """Where the confidence sequence is narrowest; None: half the planned users. Any value is valid."""
    minimum_users_per_arm: int = Field(default=30, ge=10)
    """No look counts before: the sequence rests on means being nearly normal."""

    @model_validator(mode="after")
    def _error_rate_is_below_a_half(self) -> Self:
        if self.continuous_alpha + self.final_alpha >= 0.5:
            raise ValueError("continuous_alpha + final_alpha must be below 0.5; for example 0.01 and 0.04")
        return self

    @property
    def alpha(self) -> float:
        """Chance of a false winner over the whole experiment, at most."""
        return self.continuous_alpha + self.final_alpha

    @property
    def tuning(self) -> int:
        """Users at which the confidence sequence is narrowest."""
        return self.tuned_at_users if self.tuned_at_users is not None else self.planned_users // 2


class Bounds(Record):
    """An interval with its level."""

    lower: float
    upper: float
    level: float
    """0.95 for 95 %."""


class DecisionLook(Record):
    """What one look at the data showed. Differences are B minus A, in the metric's unit."""

    verdict: ExperimentVerdict
    basis: DecisionBasis | None = None
    """None while it keeps going, and where nothing could be computed."""
    users_a: int
    users_b: int
    difference: float | None = None
    standard_error: float | None = None
    bounds: Bounds | None = None
    """Of the confidence sequence, or of the final test where that decided."""
    always_valid_p: float | None = None
    """May be read at any time, as often as wanted."""
    more_users_needed: int | None = None
    """Users of both arms that are still needed, about, if the difference stays as it is; None once decided."""
    not_computable: NotComputable | None = None


class ExperimentState(Record):
    """An experiment between two looks: the plan, and the decision once there is one."""

    plan: DecisionPlan
    looks: int = 0
    latest: DecisionLook | None = None
    """The last look before the decision, or the deciding one. It never changes afterwards."""

    @property
    def verdict(self) -> ExperimentVerdict:
        """What holds now."""
        return ExperimentVerdict.KEEP_GOING if self.latest is None else self.latest.verdict

    @property
    def is_decided(self) -> bool:
        """Nothing that comes later changes the verdict."""
        return self.verdict is not ExperimentVerdict.KEEP_GOING


class GuardrailReading(Record):
    """A guardrail at one look: whether a challenger, B, does harm in it."""

    name: str
    arm: str = "b"
    """The challenger."""
    is_breached: bool
    evidence: float
    """Natural logarithm of the e value against "B does no harm"; breached at `threshold`."""
    threshold: float
    harm: float | None
    """How much worse B is than A, in the guardrail's unit; None while it cannot be computed."""
    users_a: int
    users_b: int
    not_computable: NotComputable | None = None


class ArmArrivals(Record):
    """Users of one arm of several, and how many the plan would have put there."""

    users: int
    planned_users: float


class SampleRatioReading(Record):
    """Whether users fall into the arms as planned."""

    is_alarming: bool
    evidence: float
    """Natural logarithm of the e value against the planned split; alarming at `threshold`."""
    threshold: float
    users_a: int
    """Of the control."""
    users_b: int
    """Of all challengers together."""
    planned_users_b: float
    """Users that the plan, with all its phases, would have put into B."""
    arms: dict[str, ArmArrivals] = {}
    """Each arm's, where there are several challengers."""
