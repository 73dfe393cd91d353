"""Which version is in production: promotion, instant rollback, putting away. PostgreSQL decides, MLflow follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.enums import ModelStatus
from contracts.errors import ConflictError, UnavailableError
from contracts.promotions import Promotion
from contracts.record import Record
from stages.model_catalogue import mirror

if TYPE_CHECKING:
    from contracts.evaluation import GateVerdict
    from contracts.models import ModelVersion
    from contracts.promotions import PromoteRequest, RollbackRequest, StatusRequest
    from database.unit_of_work import UnitOfWork
    from stages.services import Services


class PromotionOutcome(Record):
    """A promotion or rollback that stands in PostgreSQL."""

    promotion: Promotion
    happened_now: bool
    """False: the same request had been carried out before."""
    mlflow_error: str | None
    """Why MLflow does not show it yet; `tuneway model repair` makes it. None where it does."""


def promote(request: PromoteRequest, services: Services) -> PromotionOutcome:
    """Staging to production, in one transaction: only after a passed gate, or by an override with its reason.

    The version that was in production is archived and kept for `roll_back`. Safe to repeat and after a kill at any
    instant. Raises ConflictError where the newest verdict over the version is not a pass, where it is archived or a base
    model, where it compared with another version than the one in production, and where another one went there meanwhile.
    """
    replaces = request.replaces
    with services.unit_of_work() as uow:
        version = uow.models.get(request.model_id)
        if replaces is None:
            present = uow.models.production(version.model_name)
            replaces = 0 if present is None else present.model_id
    with services.unit_of_work() as uow:
        uow.promotions.lock(request.model_id)
        evaluation_id, verdict = _judged(version, uow)
        decision = "none" if verdict is None else verdict.decision.value
        is_override = decision != "pass"
        _require_promotable(request, version, decision, uow)
        if verdict is not None and not request.override:
            _require_fresh(version, verdict, uow)
        promotion, happened = uow.promotions.promote(
            request.model_id,
            replaces=replaces or None,
            actor=request.actor,
            reason=request.reason,
            evaluation_id=evaluation_id,
            is_override=is_override,
        )
        if happened:
            uow.audit.append(
                request.actor,
                "model.promoted_by_override" if is_override else "model.promoted",
                f"model/{request.model_id}",
                {**promotion.model_dump(mode="json"), "verdict": decision},
            )
    return PromotionOutcome(
        promotion=promotion,
        happened_now=happened,
        mlflow_error=shown_in_mlflow(version.model_name, services, [request.model_id]),
    )


def roll_back(request: RollbackRequest, services: Services) -> PromotionOutcome:
    """Back to the version that was in production before, in one transaction; once more goes one further back.

    With `leaves`, the same request again changes nothing more. Raises ConflictError where there is nothing to go back to.
    """
    promotion, happened = move_back(request, services)
    return PromotionOutcome(
        promotion=promotion, happened_now=happened, mlflow_error=shown_in_mlflow(request.model_name, services)
    )


def move_back(request: RollbackRequest, services: Services) -> tuple[Promotion, bool]:
    """The rollback in PostgreSQL alone, and whether it happened now. Raises as `roll_back` does."""
    leaves = request.leaves
    if leaves is None:
        with services.unit_of_work() as uow:
            present = uow.models.production(request.model_name)
            leaves = None if present is None else present.model_id
    with services.unit_of_work() as uow:
        promotion, happened = uow.promotions.roll_back(
            request.model_name, leaves=leaves, actor=request.actor, reason=request.reason
        )
        if happened:
            uow.audit.append(
                request.actor,
                "model.rolled_back",
                f"model/{promotion.model_id}",
                promotion.model_dump(mode="json"),
            )
    return promotion, happened


def set_aside(request: StatusRequest, status: ModelStatus, services: Services) -> ModelVersion:
    """Archive a version, or take an archived one back into staging. Raises ConflictError for one that is in use."""
    with services.unit_of_work() as uow:
        if status is ModelStatus.ARCHIVED:
            _require_unused(uow.models.get(request.model_id), uow)
        if uow.promotions.set_aside(request.model_id, status):
            uow.audit.append(
                request.actor,
                "model.archived" if status is ModelStatus.ARCHIVED else "model.restored",
                f"model/{request.model_id}",
                {"reason": request.reason},
            )
        version = uow.models.get(request.model_id)
    shown_in_mlflow(version.model_name, services)
    return version


def _require_unused(version: ModelVersion, uow: UnitOfWork) -> None:
    if uow.deployments.live(version.model_id) is not None:
        raise ConflictError(
            "A deployed version is not archived",
            value=f"{version.model_name} {version.version}",
            allowed="a version that is not in service",
            next_step=f"take it out of service first: `tuneway undeploy model:{version.model_id}`",
        )


def _judged(version: ModelVersion, uow: UnitOfWork) -> tuple[int | None, GateVerdict | None]:
    """The evaluation that decides over the version, and its newest verdict."""
    judged = None
    if version.finetuning_job_id is not None:
        judged = uow.evaluations.newest_judged(version.finetuning_job_id)
    return (None, None) if judged is None else (judged[0].evaluation_id, judged[1])


def _require_fresh(version: ModelVersion, verdict: GateVerdict, uow: UnitOfWork) -> None:
    """A verdict over "not worse than production" says nothing of another version in production."""
    present, compared = uow.models.production(version.model_name), verdict.production
    if present is None or compared is None or compared.model_id == present.model_id:
        return
    if present.model_id == version.model_id:
        return
    raise ConflictError(
        "The verdict compares with a version that is not in production any more",
        value=f"evaluation {verdict.evaluation_id}: compared with {compared.title} (model {compared.model_id})",
        allowed=f"a verdict against {present.model_name} {present.version} (model {present.model_id})",
        next_step="run the gate over the evaluation again, or add --override; the reason is kept in the audit trail",
    )


def _require_promotable(request: PromoteRequest, version: ModelVersion, decision: str, uow: UnitOfWork) -> None:
    shown = f"model {version.model_id}, {version.model_name} {version.version}"
    if uow.models.is_base(version.model_id):
        raise ConflictError(
            "A base model is not promoted by itself",
            value=shown,
            allowed="a version made by a fine-tuning job",
            next_step="register a fine-tuned model and promote that",
        )
    if uow.models.get(version.model_id).status is ModelStatus.ARCHIVED:
        raise ConflictError(
            "An archived version cannot be promoted",
            value=shown,
            allowed="a version in staging",
            next_step=f"take it back with `tuneway model restore {version.model_name}@{version.version}`, "
            f"or undo the newest promotion with `tuneway model rollback {version.model_name}`",
        )
    if decision != "pass" and not request.override:
        raise ConflictError(
            "Only a version whose newest verdict is pass goes into production",
            value=f"{shown}: " + ("no verdict" if decision == "none" else f"verdict {decision}"),
            allowed="a version that passed the gate, or an override with a reason",
            next_step="evaluate it and run the gate again, or add --override; the reason is kept in the audit trail",
        )


def shown_in_mlflow(model_name: str, services: Services, with_cards_of: Sequence[int] = ()) -> str | None:
    """Make MLflow show what PostgreSQL has. The promotion stands, also while MLflow is away."""
    try:
        mirror(model_name, services, with_cards_of=with_cards_of)
    except UnavailableError as error:
        return str(error)
    return None
