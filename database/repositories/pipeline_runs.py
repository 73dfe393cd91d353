"""What each pipeline run has done so far."""

from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.enums import StageName, StageStatus
from contracts.errors import NotFoundError
from contracts.lists import ListRequest, Page
from contracts.pipeline import PipelineRun, StageState
from contracts.record import JsonObject, Record
from database.models import PipelineRunRow, PipelineStageRow
from database.repositories.paging import Column, read_part

STAGE_ORDER = {name.value: position for position, name in enumerate(StageName)}


class PipelineRunRepository:
    """Rows of pipeline_runs and pipeline_stages."""

    SORTED_BY: ClassVar[dict[str, Column]] = {
        "started_at": PipelineRunRow.started_at,
        "dag_id": PipelineRunRow.dag_id,
    }

    def __init__(self, session: Session) -> None:
        self._session = session

    def start(self, run_id: str, dag_id: str, request: JsonObject) -> None:
        """Remember the run; starting it again (a cleared run) reopens it."""
        self._session.execute(
            insert(PipelineRunRow)
            .values(run_id=run_id, dag_id=dag_id, request=request)
            .on_conflict_do_update(index_elements=["run_id"], set_={"request": request, "finished_at": None})
        )

    def input_files_among(self, paths: list[str]) -> set[str]:
        """Those of the paths that some run was asked to import."""
        files = func.jsonb_array_elements_text(PipelineRunRow.request["input_files"]).table_valued("value")
        asked = (
            select(files.c.value)
            .select_from(PipelineRunRow)
            .join(files, true())
            .where(func.jsonb_typeof(PipelineRunRow.request["input_files"]) == "array", files.c.value.in_(paths))
        )
        return set(self._session.execute(asked).scalars())

    def stage_started(self, run_id: str, stage: StageName) -> None:
        """The stage works, again or for the first time."""
        self._upsert(
            run_id, stage, status=StageStatus.RUNNING.value, started_at=func.now(), finished_at=None, error=None
        )

    def stage_succeeded(self, run_id: str, stage: StageName, record: Record) -> None:
        """The stage has its record."""
        self._upsert(
            run_id,
            stage,
            status=StageStatus.SUCCEEDED.value,
            record=record.model_dump(mode="json"),
            finished_at=func.now(),
            error=None,
        )

    def stage_failed(self, run_id: str, stage: StageName, error: JsonObject) -> None:
        """The stage ended with an error."""
        self._upsert(run_id, stage, status=StageStatus.FAILED.value, error=error, finished_at=func.now())

    def stage_skipped(self, run_id: str, stage: StageName) -> None:
        """The stage was not needed."""
        self._upsert(run_id, stage, status=StageStatus.SKIPPED.value, finished_at=func.now(), error=None)

    def _upsert(self, run_id: str, stage: StageName, **values: object) -> None:
        self._session.execute(
            insert(PipelineStageRow)
            .values(run_id=run_id, stage=stage.value, **values)
            .on_conflict_do_update(index_elements=["run_id", "stage"], set_=values)
        )

    def finish(self, run_id: str) -> None:
        """Nothing more will happen in this run."""
        self._session.execute(
            update(PipelineRunRow).where(PipelineRunRow.run_id == run_id).values(finished_at=func.now())
        )

    def _records(self, rows: Sequence[PipelineRunRow]) -> list[PipelineRun]:
        """The runs with their stages: two queries, whatever the number of runs."""
        stages: dict[str, list[PipelineStageRow]] = {row.run_id: [] for row in rows}
        for stage in self._session.execute(
            select(PipelineStageRow)
            .where(PipelineStageRow.run_id.in_(stages))
            .execution_options(populate_existing=True)
        ).scalars():
            stages[stage.run_id].append(stage)
        return [self._record(row, stages[row.run_id]) for row in rows]

    def _record(self, row: PipelineRunRow, stages: list[PipelineStageRow]) -> PipelineRun:
        return PipelineRun(
            run_id=row.run_id,
            dag_id=row.dag_id,
            request=row.request,
            started_at=row.started_at,
            finished_at=row.finished_at,
            stages=[
                StageState(
                    stage=StageName(stage.stage),
                    status=StageStatus(stage.status),
                    record=stage.record,
                    error=stage.error,
                    started_at=stage.started_at,
                    finished_at=stage.finished_at,
                )
                for stage in sorted(stages, key=lambda stage: STAGE_ORDER[stage.stage])
            ],
        )

    def get(self, run_id: str) -> PipelineRun:
        """The run. Raises NotFoundError."""
        row = self._session.get(PipelineRunRow, run_id, populate_existing=True)
        if row is None:
            raise NotFoundError(
                "There is no such pipeline run", value=run_id, next_step="`tuneway summary` shows the newest one"
            )
        return self._records([row])[0]

    def newest(self, limit: int = 20) -> list[PipelineRun]:
        """Runs, newest first."""
        rows = self._session.execute(
            select(PipelineRunRow)
            .order_by(PipelineRunRow.started_at.desc())
            .limit(limit)
            .execution_options(populate_existing=True)
        ).scalars()
        return self._records(list(rows))

    def page(self, listing: ListRequest, *, dag_id: str | None = None) -> Page[PipelineRun]:
        """The runs of that DAG."""
        query = select(PipelineRunRow)
        if dag_id is not None:
            query = query.where(PipelineRunRow.dag_id == dag_id)
        part = read_part(self._session, query, listing, self.SORTED_BY, PipelineRunRow.run_id)
        return part.page(self._records([row for (row,) in part.rows]), listing)

    def latest(self) -> PipelineRun | None:
        """The newest run."""
        return next(iter(self.newest(1)), None)
