"""Model versions as lists and pages show them."""

from datetime import datetime

from contracts.deployments import DeploymentHistory
from contracts.enums import GateDecision
from contracts.evaluation import Interval
from contracts.models import ModelVersion
from contracts.parity import ParityCertificate
from contracts.promotions import Promotion
from contracts.record import Record
from contracts.suites import ScoreEstimate, SuiteResult


class ModelListing(Record):
    """One line of the list."""

    version: ModelVersion
    created_at: datetime
    evaluation_id: int | None
    """The job's newest evaluation with a verdict, else its newest one; the numbers are its."""
    accuracy: float | None
    interval: Interval | None
    """95 %."""
    n: int | None
    decision: GateDecision | None
    endpoint: str | None
    """Where it answers."""
    is_previous: bool
    """A rollback brings it back."""


class ScorePoint(Record):
    """What a version scored on a suite, at one time."""

    suite: str
    """`rules v3`; the name alone of one that is not a managed suite."""
    source: str
    """`suite` for a result on a suite, `evaluation` for a suite of the job's evaluation."""
    number: int
    """Of the result or the evaluation."""
    at: datetime
    score: ScoreEstimate
    engine: str


class ModelDetail(Record):
    """Everything that is known of one version."""

    listing: ModelListing
    description: str
    tags: list[str]
    previous_model_id: int | None
    """The version of the same name that a rollback brings back."""
    promotions: list[Promotion]
    """Of all versions of the name, newest first."""
    suites: list[SuiteResult]
    certificate: ParityCertificate | None = None
    """The newest comparison of what was trained and what is served."""
    deployment: DeploymentHistory | None = None
    """The newest one, over or not."""
