"""Which version is in production, and the history of it."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from contracts.enums import ModelStatus, PromotionKind
from contracts.errors import ConflictError, NotFoundError
from contracts.promotions import Promotion
from database.models import ModelPromotionRow, RegisteredModel
from database.repositories.models import lock_model_name


def _record(row: ModelPromotionRow) -> Promotion:
    return Promotion(
        promotion_id=row.id,
        model_name=row.model_name,
        model_id=row.model_id,
        previous_model_id=row.previous_model_id,
        kind=PromotionKind(row.kind),
        actor=row.actor,
        reason=row.reason,
        evaluation_id=row.evaluation_id,
        is_override=row.is_override,
        promoted_at=row.promoted_at,
    )


class PromotionRepository:
    """Rows of model_promotions, and the status of those of model_registry that they move."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def promote(
        self,
        model_id: int,
        *,
        replaces: int | None,
        actor: str,
        reason: str,
        evaluation_id: int | None,
        is_override: bool,
    ) -> tuple[Promotion, bool]:
        """Put the version into production in place of `replaces` (None: of nothing), which is archived and kept.

        Returns the promotion and whether it happened now: a version in production already is left there, with the
        promotion that brought it. Raises ConflictError where another version is in production than `replaces`.
        """
        version = self.lock(model_id)
        present = self._production(version.model_name)
        if present is not None and present.id == model_id:
            newest = self._newest(version.model_name)
            if newest is not None and newest.model_id == model_id:
                return _record(newest), False
        elif (None if present is None else present.id) != replaces:
            raise ConflictError(
                "Another version went into production in the meantime",
                value=f"{version.model_name}: {_told(present)}",
                allowed=f"the version that the promotion was to replace: model {replaces}" if replaces else "none yet",
                next_step=f"look at it with `tuneway model show {version.model_name}@production`, then promote again",
            )
        return self._move(version, present, PromotionKind.PROMOTE, actor, reason, evaluation_id, is_override), True

    def roll_back(self, model_name: str, *, leaves: int | None, actor: str, reason: str) -> tuple[Promotion, bool]:
        """Put the version back that `leaves` had replaced. Returns the rollback and whether it happened now.

        Raises ConflictError where `leaves` is not in production, unless the newest change is a rollback from it; and
        where nothing was in production before.
        """
        lock_model_name(self._session, model_name)
        present, newest = self._production(model_name), self._newest(model_name)
        if present is None or (leaves is not None and present.id != leaves):
            if newest is not None and newest.kind == PromotionKind.ROLLBACK and newest.previous_model_id == leaves:
                return _record(newest), False
            raise ConflictError(
                "The version to be left is not in production",
                value=f"model {leaves}" if leaves else model_name,
                allowed=f"{model_name}: {_told(present)}",
                next_step=f"look at it with `tuneway model show {model_name}@production`",
            )
        target_id = self.previous(model_name)
        if target_id is None:
            raise ConflictError(
                "There is no version to go back to",
                value=f"{model_name}: {_told(present)}",
                allowed="a version that another one replaced in production",
                next_step="promote another version with `tuneway model promote`",
            )
        target = self._row(target_id)
        return self._move(target, present, PromotionKind.ROLLBACK, actor, reason, None, False), True

    def previous(self, model_name: str) -> int | None:
        """The version that a rollback would bring back."""
        return self.previous_by_name([model_name]).get(model_name)

    def previous_by_name(self, model_names: Collection[str]) -> dict[str, int]:
        """The version that a rollback would bring back, of each name that has one."""
        stacks: dict[str, list[int]] = {}
        columns = (
            ModelPromotionRow.model_name,
            ModelPromotionRow.model_id,
            ModelPromotionRow.previous_model_id,
            ModelPromotionRow.kind,
        )
        query = select(*columns).where(ModelPromotionRow.model_name.in_(model_names)).order_by(ModelPromotionRow.id)
        for name, model_id, left, kind in self._session.execute(query):
            stack = stacks.setdefault(name, [])
            if kind == PromotionKind.ROLLBACK:
                del stack[-1:]
            elif left is not None and stack[-1:] != [left]:
                stack.append(left)
            if stack[-1:] != [model_id]:
                stack.append(model_id)
        return {name: stack[-2] for name, stack in stacks.items() if len(stack) > 1}

    def newest_by_model(self) -> dict[int, int]:
        """Number of the newest promotion or rollback that brought a version into production, by the version."""
        rows = self._session.execute(
            select(ModelPromotionRow.model_id, func.max(ModelPromotionRow.id)).group_by(ModelPromotionRow.model_id)
        )
        return {row.model_id: row[1] for row in rows}

    def history(self, model_name: str, limit: int = 50) -> list[Promotion]:
        """Changes of the version in production, newest first."""
        query = (
            select(ModelPromotionRow)
            .where(ModelPromotionRow.model_name == model_name)
            .order_by(ModelPromotionRow.id.desc())
            .limit(limit)
        )
        return [_record(row) for row in self._session.execute(query).scalars()]

    def set_aside(self, model_id: int, status: ModelStatus) -> bool:
        """Move a version between staging and archive; whether that changed anything. ConflictError for one in production."""
        version = self.lock(model_id)
        if version.status == ModelStatus.PRODUCTION:
            raise ConflictError(
                "The version is in production",
                value=f"{version.model_name} {version.version}",
                allowed="a version in staging or archived",
                next_step="promote another version first, or roll back",
            )
        changed = version.status != status
        version.status = status.value
        self._session.flush()
        return changed

    def _move(
        self,
        version: RegisteredModel,
        present: RegisteredModel | None,
        kind: PromotionKind,
        actor: str,
        reason: str,
        evaluation_id: int | None,
        is_override: bool,
    ) -> Promotion:
        if present is not None and present.id != version.id:
            present.status = ModelStatus.ARCHIVED.value
            self._session.flush()  # before the other one: one version in production a name, at every instant
        version.status = ModelStatus.PRODUCTION.value
        row = ModelPromotionRow(
            model_name=version.model_name,
            model_id=version.id,
            previous_model_id=None if present is None or present.id == version.id else present.id,
            kind=kind.value,
            actor=actor,
            reason=reason,
            evaluation_id=evaluation_id,
            is_override=is_override,
            promoted_at=func.clock_timestamp(),
        )
        self._session.add(row)
        self._session.flush()
        self._session.refresh(row)
        return _record(row)

    def lock(self, model_id: int) -> RegisteredModel:
        """Until the transaction's end, nobody else changes which version of that name is in production."""
        version = self._row(model_id)
        lock_model_name(self._session, version.model_name)
        self._session.refresh(version)
        return version

    def _row(self, model_id: int) -> RegisteredModel:
        row = self._session.get(RegisteredModel, model_id)
        if row is None:
            raise NotFoundError("There is no such model version", value=model_id, next_step="see `tuneway model list`")
        return row

    def _production(self, model_name: str) -> RegisteredModel | None:
        return self._session.execute(
            select(RegisteredModel)
            .where(RegisteredModel.model_name == model_name, RegisteredModel.status == ModelStatus.PRODUCTION.value)
            .execution_options(populate_existing=True)
        ).scalar_one_or_none()

    def _newest(self, model_name: str) -> ModelPromotionRow | None:
        return self._session.execute(
            select(ModelPromotionRow)
            .where(ModelPromotionRow.model_name == model_name)
            .order_by(ModelPromotionRow.id.desc())
            .limit(1)
        ).scalar_one_or_none()


def _told(row: RegisteredModel | None) -> str:
    return "nothing is in production" if row is None else f"version {row.version} (model {row.id}) is in production"
