"""Model versions by the words people use for them, and what is known of each.

A version is given as `NAME` (the one in production, else the newest), `NAME@3`, `NAME@production`, `NAME@staging` (the
newest in staging), `NAME@previous` (what a rollback brings back), or `model:ID`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from contracts.deployments import DeploymentHistory
from contracts.enums import ModelStatus
from contracts.errors import InvalidRequestError, NotFoundError
from contracts.model_listings import ModelDetail, ModelListing

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

ID_PREFIX = "model:"
PREVIOUS = "previous"
_OTHER_WORDS = {"champion": ModelStatus.PRODUCTION.value, "challenger": ModelStatus.STAGING.value}
"""How MLflow's users say it."""
FORMS = "NAME, NAME@VERSION, NAME@production, NAME@staging, NAME@previous or model:ID"


def find_model(given: str, services: Services) -> ModelVersion:
    """The version that the text names. Raises NotFoundError or InvalidRequestError."""
    with services.unit_of_work() as uow:
        return _find(given.strip(), uow)


def list_models(
    services: Services, *, name: str | None = None, status: ModelStatus | None = None, limit: int = 200
) -> list[ModelListing]:
    """Versions that jobs made, newest first, with their newest verdict."""
    with services.unit_of_work() as uow:
        return uow.model_listings.newest(name=name, status=status, limit=limit)


def describe_model(given: str, services: Services) -> ModelDetail:
    """Everything that is known of one version."""
    with services.unit_of_work() as uow:
        version = _find(given.strip(), uow)
        deployment = uow.deployments.newest(version.model_id)
        return ModelDetail(
            listing=uow.model_listings.get(version.model_id),
            description=uow.models.description(version.model_id),
            tags=uow.models.tags(version.model_id),
            previous_model_id=uow.promotions.previous(version.model_name),
            promotions=uow.promotions.history(version.model_name),
            suites=uow.model_results.newest(version.model_id, version.finetuning_job_id),
            certificate=uow.certificates.newest(version.model_id),
            deployment=None
            if deployment is None
            else DeploymentHistory(
                deployment=deployment, transitions=uow.deployments.transitions(deployment.deployment_id)
            ),
        )


def _find(given: str, uow: UnitOfWork) -> ModelVersion:
    if given.startswith(ID_PREFIX):
        number = given.removeprefix(ID_PREFIX)
        if not number.isdecimal():
            raise InvalidRequestError(
                "This is no model version", value=given, allowed=FORMS, next_step="see `tuneway model list`"
            )
        return uow.models.get(int(number))
    name, _, reference = given.partition("@")
    versions = uow.models.of_name(name)
    if not versions:
        names = uow.models.names()
        close = get_close_matches(name, names, 1)
        raise NotFoundError(
            "There is no model of this name",
            value=given,
            allowed=", ".join(names[:20]) or "none is registered yet",
            next_step=f"did you mean {close[0]}?" if close else "see `tuneway model list`",
        )
    found = _chosen(versions, reference, uow)
    if found is None:
        raise NotFoundError(
            "The model has no such version",
            value=given,
            allowed=", ".join(version.version for version in versions),
            next_step=f"see `tuneway model list --name {name}`",
        )
    return found


def _chosen(versions: list[ModelVersion], reference: str, uow: UnitOfWork) -> ModelVersion | None:
    """The one that the part after the @ names; without one that in production, else the newest."""
    reference = _OTHER_WORDS.get(reference, reference)
    if reference == PREVIOUS:
        before = uow.promotions.previous(versions[0].model_name)
        return next((version for version in versions if version.model_id == before), None)
    if reference in {status.value for status in ModelStatus}:
        return next((version for version in reversed(versions) if version.status == reference), None)
    if reference:
        return next((version for version in versions if version.version == reference.removeprefix("v")), None)
    in_production = next((version for version in versions if version.status is ModelStatus.PRODUCTION), None)
    return in_production or versions[-1]
