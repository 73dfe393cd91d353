"""Who of an A/B test's users takes part, and when."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from contracts.arms import ArmName
from contracts.record import Record


class RampStep(Record):
    """From when on how many users get a new model."""

    share_b: float = Field(gt=0, le=1)
    """Of the users outside the holdout; of all challengers together where there are several."""
    after_hours: float = Field(default=0, ge=0)
    """After the test's start."""


class TrafficPlan(Record):
    """Beside the split, which says how the users who take part are divided."""

    holdout: float = Field(default=0, ge=0, lt=1)
    """Share of users who keep the default model for all of the test."""
    ramp: list[RampStep] = []
    """Users come into the test step by step, each into the arm that they keep; none: all at once."""
    starts_at: AwareDatetime | None = None
    """None: when it is created."""
    ends_at: AwareDatetime | None = None
    """From then on everyone gets the default model; None: when it is ended."""
    testers: dict[str, ArmName] = {}
    """Arm of some users, by their keyed hash, whatever the hash says; they count in no comparison."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for before, after in pairwise(self.ramp):
            if after.share_b < before.share_b or after.after_hours <= before.after_hours:
                raise ValueError("ramp must rise: each step later than the one before, with no smaller share_b")
        if self.starts_at is not None and self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be later than starts_at")
        return self

    def is_open(self, now: datetime) -> bool:
        """The test takes users at that time."""
        return (self.starts_at is None or self.starts_at <= now) and (self.ends_at is None or now < self.ends_at)

    def exposed(self, share_b: float, created: datetime, now: datetime) -> float:
        """Share of the users outside the holdout who take part, so that as many get a challenger as the ramp says.

        The split stays as it is, and nobody ever changes arms: who comes in later comes from the default model.
        """
        if not self.ramp:
            return 1.0
        start = created if self.starts_at is None else max(created, self.starts_at)
        passed = [step.share_b for step in self.ramp if start + timedelta(hours=step.after_hours) <= now]
        return min(1.0, passed[-1] / share_b) if passed and share_b else 0.0
