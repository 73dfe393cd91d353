"""Shadow replays of A/B tests."""

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from contracts.errors import NotFoundError
from contracts.experiment_replays import ABTestReplay, ReplayPlan, ReplayResult
from database.models import ABTestReplayRow


def _record(row: ABTestReplayRow) -> ABTestReplay:
    return ABTestReplay(
        replay_id=row.id,
        experiment_id=row.experiment_id,
        number=row.number,
        plan=ReplayPlan.model_validate(row.plan),
        result=None if row.result is None else ReplayResult.model_validate(row.result),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


class ExperimentReplayRepository:
    """Rows of ab_test_replays."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_experiment(self, experiment_id: int) -> list[ABTestReplay]:
        """The A/B test's replays, newest first."""
        rows = self._session.execute(
            select(ABTestReplayRow)
            .where(ABTestReplayRow.experiment_id == experiment_id)
            .order_by(ABTestReplayRow.number.desc())
        )
        return [_record(row) for row in rows.scalars()]

    def begin(self, number: int, plan: ReplayPlan) -> ABTestReplay:
        """Write the plan down. The caller holds the lock of experiments, so that the number is the next one."""
        row = ABTestReplayRow(
            experiment_id=plan.request.experiment_id, number=number, plan=plan.model_dump(mode="json")
        )
        self._session.add(row)
        self._session.flush()
        self._session.refresh(row)
        return _record(row)

    def finish(self, replay_id: int, result: ReplayResult) -> ABTestReplay:
        """Keep the result; the one that is there already stays."""
        self._session.execute(
            update(ABTestReplayRow)
            .where(ABTestReplayRow.id == replay_id, ABTestReplayRow.result.is_(None))
            .values(result=result.model_dump(mode="json"), finished_at=func.now())
        )
        row = self._session.get(ABTestReplayRow, replay_id, populate_existing=True)
        if row is None:
            raise NotFoundError("There is no such replay", value=replay_id)
        return _record(row)
