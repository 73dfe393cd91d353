"""What may be done with a model version, and what it would mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.deployments import DeploymentHistory, DeploymentPlan
from contracts.models import DeployRequest
from dashboard import long_actions
from dashboard.reading.keeping import FRESH_SECONDS, ask, kept
from dashboard.visits import Visit
from stages.check_model import last_check
from stages.plan_deployment import plan_deployment

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from contracts.provenance import ModelCheck
    from dashboard.long_actions import LongAction
    from database.unit_of_work import UnitOfWork

ACTIONS = ("deploy", "promote", "roll_back", "verify")


@dataclass(frozen=True, slots=True)
class ModelOutlook:
    """What stands around a version."""

    allowed: frozenset[str]
    """Those of the actions that the reader may do."""
    is_base: bool
    production: ModelVersion | None
    """Of the same name; the version itself where it is in production."""
    previous: ModelVersion | None
    """What a rollback brings back."""
    experiments: list[str]
    """Running A/B tests that send users to it."""
    deployment: DeploymentHistory | None
    """The newest one, over or not."""

    @property
    def is_deployed(self) -> bool:
        """It serves, or is on its way into service or out of it."""
        return self.deployment is not None and not self.deployment.deployment.state.is_final


@kept(FRESH_SECONDS)
def model_outlook(visit: Visit, model_id: int) -> ModelOutlook:
    """What may be done with the version. Raises ForbiddenError, NotFoundError."""
    visit.require(ResourceKind.MODEL, "read", model_id)
    allowed = visit.allowed(ResourceKind.MODEL, ACTIONS, model_id)

    def question(uow: UnitOfWork) -> ModelOutlook:
        version = uow.models.get(model_id)
        previous = uow.promotions.previous(version.model_name)
        deployment = uow.deployments.newest(model_id)
        return ModelOutlook(
            allowed=allowed,
            is_base=uow.models.is_base(model_id),
            production=uow.models.production(version.model_name),
            previous=None if previous is None else uow.models.get(previous),
            experiments=[test.experiment_name for test in uow.experiments.running() if model_id in test.model_ids],
            deployment=None
            if deployment is None
            else DeploymentHistory(
                deployment=deployment, transitions=uow.deployments.transitions(deployment.deployment_id)
            ),
        )

    return ask(visit, question)


def model_action(visit: Visit, model_id: int) -> LongAction | None:
    """What is being done with the version, or how the last such thing ended."""
    return long_actions.newest(visit, model_subject(model_id))


def model_check_action(visit: Visit, model_id: int) -> LongAction | None:
    """The look at the version's files that goes on, or how the last one ended."""
    return long_actions.newest(visit, check_subject(model_id))


def model_subject(model_id: int) -> str:
    """Under which one change of a version goes on at a time."""
    return f"model {model_id}"


def check_subject(model_id: int) -> str:
    """Under which one look at a version's files goes on at a time; it changes nothing and bars no change."""
    return f"files of model {model_id}"


def deployment_plan(visit: Visit, model_id: int) -> DeploymentPlan:
    """What a deployment would do. Raises as it would before it starts anything, and ForbiddenError."""
    visit.require(ResourceKind.MODEL, "deploy", model_id)
    return plan_deployment(DeployRequest(model_id=model_id), visit)


def last_model_check(visit: Visit, model_id: int) -> ModelCheck | None:
    """What the newest look at the version's files found. Raises ForbiddenError."""
    visit.require(ResourceKind.MODEL, "read", model_id)
    return last_check(model_id, visit)
