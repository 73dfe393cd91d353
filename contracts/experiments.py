"""A/B tests."""

import math
from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator

from contracts.arms import ArmName, ExperimentArm, RequestedArm
from contracts.enums import Arm, ExperimentPolicy, ExperimentStatus, GuardrailName
from contracts.errors import InvalidRequestError
from contracts.experiment_plans import LARGEST_EFFECT, MOST_VALUES_PER_USER, SMALLEST_EFFECT, ExperimentPlan
from contracts.layers import LAYER_BUCKETS, WHOLE_LAYER, BucketRange, share_of
from contracts.promotions import ACTOR_LENGTH, REASON_LENGTH
from contracts.record import Record
from contracts.several_arms import MOST_CHALLENGERS
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
    """Compare deployed models on live traffic: two, a and b, or as many as `arms` names."""

    experiment_name: str = Field(pattern=NAME_PATTERN)
    model_a_id: int | None = Field(default=None, ge=1)
    """The present model, where no arms are named."""
    model_b_id: int | None = Field(default=None, ge=1)
    """The new one."""
    traffic_split: TrafficSplit = TrafficSplit()
    """Between these two."""
    arms: list[RequestedArm] = Field(default=[], max_length=MOST_CHALLENGERS + 1)
    """The control first, then its challengers, in place of `model_a_id`, `model_b_id` and `traffic_split`."""
    target_samples: int | None = Field(default=200, ge=1, le=10**9)
    """Ratings of all arms together (response_time_ms: answers); None: as many as the effect needs."""
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

    @model_validator(mode="after")
    def _names_its_arms_once(self) -> Self:
        pair = (self.model_a_id, self.model_b_id)
        if not self.arms:
            if None in pair:
                raise ValueError("model_a_id and model_b_id are both needed where no arms are named")
            return self
        if pair != (None, None) or self.traffic_split != TrafficSplit():
            raise ValueError("arms stand in place of model_a_id, model_b_id and traffic_split: leave those out")
        names = [arm.name for arm in self.arms]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"arms are {', '.join(names)}, must be two or more with different names")
        given = [arm.share is not None for arm in self.arms]
        if any(given) and not all(given):
            raise ValueError("give every arm a share, or none of them")
        return self

    @property
    def planned_arms(self) -> tuple[ExperimentArm, ...]:
        """The control first, with shares that sum to 1."""
        if not self.arms:
            assert self.model_a_id is not None and self.model_b_id is not None, "validated"
            return two_arms(self.model_a_id, self.model_b_id, self.traffic_split)
        # by √k to 1 for each of k challengers a test needs fewest ratings (Dunnett 1955)
        best = [math.sqrt(len(self.arms) - 1)] + [1.0] * (len(self.arms) - 1)
        parts = [part if arm.share is None else arm.share for arm, part in zip(self.arms, best, strict=True)]
        return tuple(
            ExperimentArm(name=arm.name, model_id=arm.model_id, share=part / sum(parts))
            for arm, part in zip(self.arms, parts, strict=True)
        )


def two_arms(model_a_id: int, model_b_id: int, split: TrafficSplit) -> tuple[ExperimentArm, ExperimentArm]:
    """A and b, as a test of two that nobody has named has them."""
    return (
        ExperimentArm(name=Arm.A.value, model_id=model_a_id, share=split.a),
        ExperimentArm(name=Arm.B.value, model_id=model_b_id, share=split.b),
    )


class ABExperiment(Record):
    """One row of ab_experiments."""

    experiment_id: int
    experiment_name: str
    arms: tuple[ExperimentArm, ...] = Field(min_length=2)
    """The control first. Their names, models and shares never change."""
    model_a_id: int
    """The control's."""
    model_b_id: int
    """The first challenger's."""
    traffic_split: dict[ArmName, float]
    """Share of each arm, as planned."""
    target_samples: int
    success_metric: str
    status: ExperimentStatus
    start_date: datetime
    buckets: tuple[BucketRange, ...] = WHOLE_LAYER
    """Its part of the layer: its own from its start to its end."""
    traffic: TrafficPlan = TrafficPlan()
    plan: ExperimentPlan | None = None
    """None for a test that was started without one: it decides nothing by itself."""

    @model_validator(mode="before")
    @classmethod
    def _two_arms_by_their_models(cls, given: Any) -> Any:
        # records of earlier runs tell of two arms that nobody has named
        if isinstance(given, dict) and "arms" not in given and {"model_a_id", "model_b_id"} <= set(given):
            split = TrafficSplit.model_validate(given.get("traffic_split", {}))
            return {**given, "arms": two_arms(given["model_a_id"], given["model_b_id"], split)}
        return given

    @property
    def control(self) -> ExperimentArm:
        """The arm that the others are compared with: the present model."""
        return self.arms[0]

    @property
    def challengers(self) -> tuple[ExperimentArm, ...]:
        """The other arms, dropped ones too."""
        return self.arms[1:]

    @property
    def open_arms(self) -> tuple[ExperimentArm, ...]:
        """The arms that get users, the control first."""
        return tuple(arm for arm in self.arms if arm.dropped_at is None)

    @property
    def share_of_challengers(self) -> float:
        """Of the users who take part, as planned."""
        return sum(arm.share for arm in self.challengers)

    @property
    def is_pair(self) -> bool:
        """Its arms are a and b, as those of a test of two that nobody has named."""
        return [arm.name for arm in self.arms] == list(Arm)

    @property
    def has_several_challengers(self) -> bool:
        """More than two arms were planned."""
        return len(self.arms) > 2

    @property
    def model_ids(self) -> frozenset[int]:
        """Of all arms."""
        return frozenset(arm.model_id for arm in self.arms)

    def arm(self, name: str) -> ExperimentArm:
        """The arm of that name. Raises InvalidRequestError with those that there are."""
        found = next((arm for arm in self.arms if arm.name == name), None)
        if found is None:
            raise InvalidRequestError(
                "The A/B test has no such arm",
                value=name,
                allowed=", ".join(arm.name for arm in self.arms),
                next_step="name one of these",
            )
        return found

    @property
    def layer_share(self) -> float:
        """Share of all users who can take part."""
        return share_of(self.buckets)


class DropArmRequest(Record):
    """Send one arm of a running test no more users; the others go on."""

    experiment_id: int = Field(ge=1)
    arm: ArmName
    actor: str = Field(min_length=1, max_length=ACTOR_LENGTH)
    reason: str = Field(min_length=1, max_length=REASON_LENGTH)


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

    ratings: dict[ArmName, UserSums]
    """Of those who rated."""
    log_response_times: dict[ArmName, UserSums]
    """Of the natural logarithm of the milliseconds."""
    mixed_users: int
    """Users put aside, because they were answered by two arms or by another arm than theirs."""


class ExperimentTally(Record):
    """Everything that was counted of an experiment's answers, read at once."""

    counts: dict[ArmName, ArmCounts]
    users: ExperimentUsers
