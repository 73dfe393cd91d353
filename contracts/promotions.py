"""The version in production: who brought it there, why, and what was there before."""

from datetime import datetime

from pydantic import Field

from contracts.enums import PromotionKind
from contracts.record import Record

ACTOR_LENGTH, REASON_LENGTH = 255, 2000


class PromoteRequest(Record):
    """Bring a version from staging into production."""

    model_id: int = Field(ge=1)
    actor: str = Field(min_length=1, max_length=ACTOR_LENGTH)
    reason: str = Field(min_length=1, max_length=REASON_LENGTH)
    override: bool = False
    """Also where the gate has not let the version pass; the reason is then kept in the audit trail as that of an override."""
    replaces: int | None = Field(default=None, ge=0)
    """model_id of the version that is in production, as its promoter knows it; 0: none is. The promotion is refused where
    another one is there by then. None: the one that is there when the call begins."""


class RollbackRequest(Record):
    """Bring back what was in production before."""

    model_name: str = Field(min_length=1)
    actor: str = Field(min_length=1, max_length=ACTOR_LENGTH)
    reason: str = Field(min_length=1, max_length=REASON_LENGTH)
    leaves: int | None = Field(default=None, ge=1)
    """model_id of the version to be left; with it, the same request again is the same rollback. None: the one that is in
    production when the call begins."""


class StatusRequest(Record):
    """Put a version away, or take it back into staging."""

    model_id: int = Field(ge=1)
    actor: str = Field(min_length=1, max_length=ACTOR_LENGTH)
    reason: str = Field(min_length=1, max_length=REASON_LENGTH)


class Promotion(Record):
    """One row of model_promotions."""

    promotion_id: int
    model_name: str
    model_id: int
    """The version that went into production."""
    previous_model_id: int | None
    """The version that left it."""
    kind: PromotionKind
    actor: str
    reason: str
    evaluation_id: int | None
    """Whose verdict let it pass, or was overridden; None where there was none, and for a rollback."""
    is_override: bool
    promoted_at: datetime


class RollbackOutcome(Record):
    """A rollback that stands, and how long users waited for it."""

    promotion: Promotion
    happened_now: bool
    """False: the same request had been carried out before."""
    was_loaded: bool
    """The version that is in production again answered already when the call began."""
    seconds: float
    """From the call to the transaction that moved production; the router follows within a second."""
    stopped_experiment_ids: list[int]
    """The A/B tests that sent users to the version that was left."""
    mlflow_error: str | None
    """Why MLflow does not show it yet; `tuneway model repair` makes it. None where it does."""
