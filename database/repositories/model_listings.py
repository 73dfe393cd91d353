"""Model versions with their newest numbers, in one query however many there are."""

from typing import Any

from sqlalchemy import Row, Select, select, true
from sqlalchemy.orm import Session

from contracts.access import EVERYTHING, Visibility
from contracts.enums import GateDecision, ModelStatus
from contracts.errors import NotFoundError
from contracts.evaluation import Interval
from contracts.model_listings import ModelListing
from contracts.record import JsonObject
from database.models import ModelEvaluation, RegisteredModel
from database.repositories.models import model_version
from database.repositories.ownership import restricted
from database.repositories.promotions import PromotionRepository

_Line = tuple[RegisteredModel, int | None, dict[str, Any] | None, str | None]


def _query() -> Select[_Line]:
    """Each version beside its job's newest evaluation with a verdict, else its newest one."""
    evaluation = (
        select(
            ModelEvaluation.id,
            ModelEvaluation.metrics,
            ModelEvaluation.verdict["decision"].astext.label("decision"),
        )
        .where(ModelEvaluation.job_id == RegisteredModel.finetuning_job_id)
        .order_by(ModelEvaluation.verdict.is_(None), ModelEvaluation.id.desc())
        .limit(1)
        .lateral()
    )
    return select(RegisteredModel, evaluation.c.id, evaluation.c.metrics, evaluation.c.decision).outerjoin(
        evaluation, true()
    )


class ModelListingRepository:
    """Rows of model_registry beside what was said of them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def newest(
        self,
        *,
        name: str | None = None,
        status: ModelStatus | None = None,
        limit: int = 200,
        visible: Visibility = EVERYTHING,
        with_base: bool = False,
    ) -> list[ModelListing]:
        """Versions, newest first, as far as they may be seen; base models as they are where these are wanted too."""
        query = restricted(_query(), RegisteredModel.created_by, visible)
        if not with_base:
            query = query.where(RegisteredModel.finetuning_job_id.is_not(None))
        if name is not None:
            query = query.where(RegisteredModel.model_name == name)
        if status is not None:
            query = query.where(RegisteredModel.status == status.value)
        return self._listings(list(self._session.execute(query.order_by(RegisteredModel.id.desc()).limit(limit))))

    def get(self, model_id: int) -> ModelListing:
        """One version, base models too. Raises NotFoundError."""
        found = self._listings(list(self._session.execute(_query().where(RegisteredModel.id == model_id))))
        if not found:
            raise NotFoundError("There is no such model version", value=model_id, next_step="see `tuneway model list`")
        return found[0]

    def _listings(self, rows: list[Row[*_Line]]) -> list[ModelListing]:
        previous = PromotionRepository(self._session).previous_by_name({row[0].model_name for row in rows})
        return [
            ModelListing(
                version=model_version(model),
                created_at=model.created_at,
                evaluation_id=evaluation_id,
                **_numbers(metrics or {}),
                decision=None if decision is None else GateDecision(decision),
                endpoint=(model.deployment_config or {}).get("base_url"),
                is_previous=previous.get(model.model_name) == model.id,
            )
            for model, evaluation_id, metrics, decision in rows
        ]


def _numbers(metrics: JsonObject) -> dict[str, Any]:
    lower, upper = metrics.get("lower"), metrics.get("upper")
    has_interval = isinstance(lower, float | int) and isinstance(upper, float | int)
    return {
        "accuracy": metrics.get("accuracy"),
        "n": metrics.get("n"),
        "interval": Interval(lower=lower, upper=upper) if has_interval else None,
    }
