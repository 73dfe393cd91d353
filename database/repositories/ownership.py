"""Whose things are, and the part of a list that somebody may see."""

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from sqlalchemy import ARRAY, Select, Text, cast, false, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from contracts.access import Ownership, ResourceKind, Visibility
from contracts.errors import NotFoundError
from database.models import ABExperimentArmRow, ABExperimentRow, FinetuningJob, RegisteredModel, TrainingDataset, User

Q = TypeVar("Q", bound=Select[*tuple[Any, ...]])

_TABLES: dict[ResourceKind, Any] = {
    ResourceKind.DATASET: TrainingDataset,
    ResourceKind.JOB: FinetuningJob,
    ResourceKind.MODEL: RegisteredModel,
    ResourceKind.AB_TEST: ABExperimentRow,
}
OWNED = frozenset(_TABLES)
"""Kinds whose rows have an owner."""


class OwnershipRepository:
    """The column created_by of every table that has it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, kind: ResourceKind, row_id: int) -> Ownership:
        """Whose the thing is. Raises NotFoundError."""
        table = _TABLES[kind]
        # no row has a number that the column cannot hold
        row = (
            None
            if not 0 <= row_id < 2**31
            else self._session.execute(
                select(User.username, User.projects)
                .select_from(table)
                .outerjoin(User, User.id == table.created_by)
                .where(table.id == row_id)
            ).one_or_none()
        )
        if row is None:
            raise NotFoundError(f"There is no such {kind.value.replace('_', ' ')}", value=row_id)
        return Ownership(
            kind=kind,
            resource_id=str(row_id),
            owner=row.username or "",
            projects=list(row.projects or []),
            trainers=self._trainers(kind, row_id),
        )

    def of_many(self, kind: ResourceKind, row_ids: Sequence[int]) -> list[Ownership]:
        """Whose the things are, without their trainers; those that are not there are left out."""
        table = _TABLES[kind]
        rows = self._session.execute(
            select(table.id, User.username, User.projects)
            .select_from(table)
            .outerjoin(User, User.id == table.created_by)
            .where(table.id.in_(row_ids))
            .order_by(table.id)
        )
        return [
            Ownership(kind=kind, resource_id=str(row.id), owner=row.username or "", projects=list(row.projects or []))
            for row in rows
        ]

    def visible_among(self, kind: ResourceKind, row_ids: Collection[int], visible: Visibility) -> set[int]:
        """Those of the things that may be seen: one query, whatever their number."""
        table = _TABLES[kind]
        query = restricted(select(table.id).where(table.id.in_(row_ids)), table.created_by, visible)
        return set(self._session.execute(query).scalars())

    def claim(self, kind: ResourceKind, row_id: int, user_id: int) -> None:
        """Say who made a thing, where nobody is named yet."""
        table = _TABLES[kind]
        self._session.execute(
            update(table).where(table.id == row_id, table.created_by.is_(None)).values(created_by=user_id)
        )

    def _trainers(self, kind: ResourceKind, row_id: int) -> list[str]:
        """Who registered the models concerned or had them trained."""
        models = select(RegisteredModel.id, RegisteredModel.created_by, RegisteredModel.finetuning_job_id)
        if kind is ResourceKind.MODEL:
            models = models.where(RegisteredModel.id == row_id)
        elif kind is ResourceKind.AB_TEST:
            arms = select(ABExperimentArmRow.model_id).where(ABExperimentArmRow.experiment_id == row_id)
            models = models.where(RegisteredModel.id.in_(arms))
        else:
            return []
        concerned = models.subquery()
        jobs = select(FinetuningJob.created_by).where(FinetuningJob.id.in_(select(concerned.c.finetuning_job_id)))
        query = select(User.username).where(or_(User.id.in_(select(concerned.c.created_by)), User.id.in_(jobs)))
        return sorted(self._session.execute(query).scalars())


def restricted(query: Q, created_by: InstrumentedAttribute[int | None], visible: Visibility) -> Q:
    """The query's rows that may be seen."""
    if visible.everything:
        return query
    conditions: list[Any] = [false()]
    if "" in visible.owners:
        conditions.append(created_by.is_(None))
    owners = select(User.id).where(
        or_(User.username.in_(visible.owners), User.projects.op("&&")(cast(visible.projects, ARRAY(Text))))
        if visible.projects
        else User.username.in_(visible.owners)
    )
    conditions.append(created_by.in_(owners))
    return query.where(or_(*conditions))
