"""The row of pipeline_stages that a task keeps."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.failures import error_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contracts.enums import StageName
    from contracts.record import JsonObject, Record
    from stages.services import Services


@dataclass(frozen=True, slots=True)
class StageJournal:
    """Tells PostgreSQL how one stage of one run is getting on."""

    services: Services
    run_id: str
    stage: StageName

    def started(self) -> None:
        """The stage is running; a run that had ended and was cleared is open again."""
        with self.services.unit_of_work() as uow:
            run = uow.pipeline_runs.get(self.run_id)
            if run.finished_at is not None:
                uow.pipeline_runs.start(run.run_id, run.dag_id, run.request)
            uow.pipeline_runs.stage_started(self.run_id, self.stage)

    def succeeded(self, record: Record) -> None:
        """The stage has left its record."""
        with self.services.unit_of_work() as uow:
            uow.pipeline_runs.stage_succeeded(self.run_id, self.stage, record)

    def failed(self, error: JsonObject) -> None:
        """The stage has ended without its record."""
        with self.services.unit_of_work() as uow:
            uow.pipeline_runs.stage_failed(self.run_id, self.stage, error)

    @contextmanager
    def failures_recorded(self) -> Iterator[None]:
        """An error of the block is recorded, then raised again.

        Where PostgreSQL itself is away, the block's error matters more than the row: `finish_run` closes the row.
        """
        try:
            yield
        except Exception as error:
            try:
                self.failed(error_record(error))
            except Exception as second:  # noqa: BLE001 - added to the first as a note, which is raised
                error.add_note(f"pipeline_stages could not be told: {second}")
            raise
