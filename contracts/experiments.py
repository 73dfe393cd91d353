"""A/B tests."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from contracts.enums import Arm, ExperimentPolicy, ExperimentStatus, GuardrailName
from contracts.experiment_plans import LARGEST_EFFECT, MOST_VALUES_PER_USER, SMALLEST_EFFECT, ExperimentPlan
from contracts.layers import LAYER_BUCKETS, WHOLE_LAYER, BucketRange, share_of
from contracts.record import Record
from contracts.traffic import TrafficPlan
from contracts.training import NAME_PATTERN


class TrafficSplit(Record):
    """Shares of the two arms."""

    a: float = Field(default=0.5, ge=0, le=1)
    b: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if abs(self.a + self.b - 1) > 1e-6:
            raise ValueError(f"traffic_split a + b is {self.a + self.b:g}, must be 1; for example 0.5 and 0.5")
        return self


class StartABTestRequest(Record):
    """Compare two deployed models on live traffic."""

    experiment_name: str = Field(pattern=NAME_PATTERN)
    model_a_id: int = Field(ge=1)
    model_b_id: int = Field(ge=1)
    traffic_split: TrafficSplit = TrafficSplit()
    target_samples: int | None = Field(default=200, ge=1, le=10**9)
    """Ratings of both arms together (response_time_ms: answers); None: as many as the effect needs."""
    success_metric: str = Field(default="user_rating", pattern=r"^[a-z_]{1,100}$")
    effect: float = Field(default=0.3, ge=SMALLEST_EFFECT, le=LARGEST_EFFECT)
    """Smallest difference worth finding, in the metric's unit (response_time_ms: a share)."""
    margin: float | None = Field(default=None, gt=0)
    """Differences smaller than this do not matter; None: the effect."""
    values_per_user: float = Field(default=1, ge=1, le=MOST_VALUES_PER_USER)
    """Ratings that one user gives, on average."""
    icc: float = Field(default=0.3, ge=0, le=1)
    """How alike the ratings of one user are."""
    guardrails: list[GuardrailName] = list(GuardrailName)
    policy: ExperimentPolicy = ExperimentPolicy.APPROVE
    undeploy_loser: bool | None = None
    """Take the loser out of service when the test has ended. None: as the installation says (TUNEWAY_UNDEPLOY_LOSER)."""
    layer_share: float = Field(default=1, ge=1 / LAYER_BUCKETS, le=1)
    """Of all users, in thousandths: those who can take part. The others get the default model or take part in other tests."""
    make_room: bool = False
    """Stop running tests, the oldest first, where they leave too small a share; their results are kept."""
    traffic: TrafficPlan = TrafficPlan()
    accept_underpowered: bool = False
    """Start although the target is too small for the effect."""


class ABExperiment(Record):
    """One row of ab_experiments."""

    experiment_id: int
    experiment_name: str
    model_a_id: int
    model_b_id: int
    traffic_split: TrafficSplit
    target_samples: int
    success_metric: str
    status: ExperimentStatus
    start_date: datetime
    buckets: tuple[BucketRange, ...] = WHOLE_LAYER
    """Its part of the layer: its own from its start to its end."""
    traffic: TrafficPlan = TrafficPlan()
    plan: ExperimentPlan | None = None
    """None for a test that was started without one: it decides nothing by itself."""

    @property
    def layer_share(self) -> float:
        """Share of all users who can take part."""
        return share_of(self.buckets)


class ArmCounts(Record):
    """Sufficient statistics of one arm, over its answers and ratings."""

    samples: int
    ratings: int
    sum_rating: float
    sum_squared_rating: float
    sum_response_time_ms: float
    users: int

    @property
    def mean_rating(self) -> float | None:
        """Mean of the ratings, 1 to 5; None before the first."""
        return self.sum_rating / self.ratings if self.ratings else None

    @property
    def mean_response_time_ms(self) -> float | None:
        """Mean response time; None before the first answer."""
        return self.sum_response_time_ms / self.samples if self.samples else None


class UserSums(Record):
    """Sufficient statistics of one arm, over its users. A user's weight is the number of their values.

    An answer without a user is a unit by itself: the router assigned it by itself.
    """

    users: int = 0
    weight: float = 0
    value: float = 0
    weight_squared: float = 0
    weight_value: float = 0
    value_squared: float = 0


class ExperimentUsers(Record):
    """What an experiment's users say, arm by arm."""

    ratings: dict[Arm, UserSums]
    """Of those who rated."""
    log_response_times: dict[Arm, UserSums]
    """Of the natural logarithm of the milliseconds."""
    mixed_users: int
    """Users put aside, because they were answered by both arms or by another arm than theirs."""
