"""One stage of the pipeline as an Airflow task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from contracts.enums import StageName
from operators.assets import asset_facts
from operators.defaults import STAGE_QUEUES, Queue
from operators.failures import airflow_failures
from operators.links import ModelLink
from operators.run_records import RunRecords, services_for
from operators.stage_journal import StageJournal
from stages.catalog import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from contracts.record import JsonObject, Record


class StageOperator(BaseOperator):
    """Runs one stage in the worker and returns its record as JSON.

    :param stage: which stage of the catalog
    :param request: builds the stage's request from what the run's earlier tasks have left
    """

    ui_color = "#e8f0fe"
    model_id: int | None = None
    """Of the model version that the stage was about."""

    def __init__(self, *, stage: StageName, request: Callable[[RunRecords], Record], **kwargs: Any) -> None:
        super().__init__(**{"queue": STAGE_QUEUES.get(stage, Queue.DEFAULT), **kwargs})
        self.stage = stage
        self.request = request

    def execute(self, context: Context) -> JsonObject:
        """Run the stage; its row in pipeline_stages follows."""
        return self.stage_record(context).model_dump(mode="json")

    def stage_record(self, context: Context) -> Record:
        """The stage's record, with its row written and its assets told."""
        with airflow_failures():
            services = services_for(context)
            run = RunRecords.of(context)
            journal = StageJournal(services, run.pipeline_run_id, self.stage)
            with journal.failures_recorded():
                journal.started()
                request = self.request(run)
                record: Record = STAGES[self.stage].function()(request, services)
                self.model_id = getattr(record, "model_id", getattr(request, "model_id", None))
                journal.succeeded(record)
        tell_assets(context, self.outlets, record)
        return record


class ModelStageOperator(StageOperator):
    """A stage about one model version, with a button to its page."""

    operator_extra_links = (ModelLink(),)


def tell_assets(context: Context, outlets: list[Any], record: Record) -> None:
    """Attach the record's immutable ids to the asset events that the task emits at its end."""
    for asset in outlets:
        context["outlet_events"][asset].extra = asset_facts(record)
