"""Deployments: in which state each is, and how it came there."""

from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.deployments import DeploymentConfig, DeploymentTransition, ModelDeployment
from contracts.enums import Arm, DeploymentState, ServerBackend
from contracts.errors import NotFoundError
from contracts.record import JsonObject
from database.models import DeploymentTransitionRow, ModelDeploymentRow

FINAL = [state.value for state in DeploymentState if state.is_final]


def _record(row: ModelDeploymentRow) -> ModelDeployment:
    return ModelDeployment(
        deployment_id=row.id,
        model_id=row.model_id,
        arm=Arm(row.arm),
        state=DeploymentState(row.state),
        config=DeploymentConfig.model_validate(row.config),
        server_key=row.server_key,
        served_model_name=row.served_model_name,
        base_url=row.base_url,
        backend=None if row.backend is None else ServerBackend(row.backend),
        failure=row.failure,
        planned_at=row.planned_at,
        changed_at=row.changed_at,
    )


class DeploymentRepository:
    """Rows of model_deployments and model_deployment_transitions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock_server(self, server_key: str) -> None:
        """Until the transaction's end, nobody else plans a deployment on the server or gives it up."""
        self._session.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"model_server:{server_key}"}
        )

    def plan(
        self, *, model_id: int, arm: Arm, config: DeploymentConfig, server_key: str, served_model_name: str
    ) -> ModelDeployment:
        """The version's deployment that is not over; a new one where there is none."""
        self.lock_server(server_key)
        planned = self._session.execute(
            insert(ModelDeploymentRow)
            .values(
                model_id=model_id,
                arm=arm.value,
                state=DeploymentState.PLANNED.value,
                config=config.model_dump(mode="json"),
                server_key=server_key,
                served_model_name=served_model_name,
                planned_at=func.clock_timestamp(),
                changed_at=func.clock_timestamp(),
            )
            .on_conflict_do_nothing(index_elements=["model_id"], index_where=ModelDeploymentRow.state.not_in(FINAL))
            .returning(ModelDeploymentRow.id)
        ).scalar_one_or_none()
        if planned is not None:
            self._note(planned, None, DeploymentState.PLANNED, {})
        found = self.live(model_id)
        assert found is not None
        return found

    def move(
        self,
        deployment_id: int,
        before: DeploymentState,
        after: DeploymentState,
        details: JsonObject,
        **columns: Any,
    ) -> bool:
        """From one state to the next, unless somebody else has moved it meanwhile: then False, and nothing changes."""
        moved = self._session.execute(
            update(ModelDeploymentRow)
            .where(ModelDeploymentRow.id == deployment_id, ModelDeploymentRow.state == before.value)
            .values(state=after.value, changed_at=func.clock_timestamp(), **columns)
            .returning(ModelDeploymentRow.id)
        ).scalar_one_or_none()
        if moved is None:
            return False
        self._note(deployment_id, before, after, details)
        return True

    def note_place(self, deployment_id: int, arm: Arm, base_url: str, backend: ServerBackend) -> None:
        """As which arm it answers, and where."""
        self._session.execute(
            update(ModelDeploymentRow)
            .where(ModelDeploymentRow.id == deployment_id)
            .values(arm=arm.value, base_url=base_url, backend=backend.value)
        )

    def _note(
        self, deployment_id: int, before: DeploymentState | None, after: DeploymentState, details: JsonObject
    ) -> None:
        self._session.add(
            DeploymentTransitionRow(
                deployment_id=deployment_id,
                from_state=None if before is None else before.value,
                to_state=after.value,
                details=details,
                at=func.clock_timestamp(),
            )
        )
        self._session.flush()

    def get(self, deployment_id: int) -> ModelDeployment:
        """The deployment as it is now. Raises NotFoundError."""
        row = self._session.get(ModelDeploymentRow, deployment_id, populate_existing=True)
        if row is None:
            raise NotFoundError("There is no such deployment", value=deployment_id)
        return _record(row)

    def live(self, model_id: int) -> ModelDeployment | None:
        """The version's deployment that is not over."""
        query = select(ModelDeploymentRow).where(
            ModelDeploymentRow.model_id == model_id, ModelDeploymentRow.state.not_in(FINAL)
        )
        row = self._session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
        return None if row is None else _record(row)

    def live_states(self) -> dict[DeploymentState, int]:
        """How many are in each state, of those that are not over."""
        query = select(ModelDeploymentRow.state, func.count()).where(ModelDeploymentRow.state.not_in(FINAL))
        counted = self._session.execute(query.group_by(ModelDeploymentRow.state)).all()
        return {DeploymentState(state): count for state, count in counted}

    def newest(self, model_id: int) -> ModelDeployment | None:
        """The version's newest deployment, over or not."""
        query = select(ModelDeploymentRow).where(ModelDeploymentRow.model_id == model_id)
        row = self._session.execute(query.order_by(ModelDeploymentRow.id.desc()).limit(1)).scalar_one_or_none()
        return None if row is None else _record(row)

    def on_server(self, server_key: str) -> list[ModelDeployment]:
        """Deployments of the server that are not over, oldest first."""
        query = select(ModelDeploymentRow).where(
            ModelDeploymentRow.server_key == server_key, ModelDeploymentRow.state.not_in(FINAL)
        )
        return [_record(row) for row in self._session.execute(query.order_by(ModelDeploymentRow.id)).scalars()]

    def transitions(self, deployment_id: int) -> list[DeploymentTransition]:
        """How it came to where it is, oldest first."""
        query = select(DeploymentTransitionRow).where(DeploymentTransitionRow.deployment_id == deployment_id)
        return [
            DeploymentTransition(
                from_state=None if row.from_state is None else DeploymentState(row.from_state),
                to_state=DeploymentState(row.to_state),
                at=row.at,
                details=row.details,
            )
            for row in self._session.execute(query.order_by(DeploymentTransitionRow.id)).scalars()
        ]
