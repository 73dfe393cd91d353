"""The arms of A/B tests: named model versions among which the users are divided, the control first."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.record import Record

ARM_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,31}$"
ArmName = Annotated[str, Field(pattern=ARM_PATTERN)]
"""Of two arms that nobody has named: a, the present model, and b, the new one."""


class RequestedArm(Record):
    """An arm of a test that is to be started."""

    name: ArmName
    model_id: int = Field(ge=1)
    share: float | None = Field(default=None, gt=0, le=1e6)
    """Its part of the users, by the sum of all parts; None for every arm: the shares that need fewest ratings."""


class DropCause(StrEnum):
    """Why an arm gets no more users while its test goes on."""

    WORSE = "worse"
    """The control is shown to be better."""
    GUARDRAIL = "guardrail"
    PERSON = "person"


class ExperimentArm(Record):
    """One row of ab_experiment_arms."""

    name: ArmName
    model_id: int
    share: float = Field(ge=0, le=1)
    """Of the users who take part, as planned at the start."""
    dropped_at: datetime | None = None
    """From then on its users belong to the others."""
    drop_cause: DropCause | None = None
    drop_reason: str | None = None
    """One sentence, in English, or what the person has written."""


def arm_label(name: str) -> str:
    """The arm as people read it: A for a, `large-v2` as it is."""
    return name.upper() if len(name) == 1 else name
