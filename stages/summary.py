"""What a pipeline run did, read from PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from contracts.datasets import DatasetVersion, ImportedDataset
from contracts.enums import StageName, StageStatus
from contracts.errors import NotFoundError
from contracts.evaluation import EvaluationReport, GateVerdict
from contracts.experiments import ABExperiment
from contracts.models import Deployment, ModelVersion
from contracts.pipeline import PipelineRun, PipelineSummary
from contracts.record import Record
from contracts.training import TrainingReport

if TYPE_CHECKING:
    from stages.services import Services

SomeRecord = TypeVar("SomeRecord", bound=Record)


def summarise(run: PipelineRun) -> PipelineSummary:
    """The run's records, each where its stage has succeeded."""
    states = {state.stage: state for state in run.stages}

    def record(stage: StageName, record_type: type[SomeRecord]) -> SomeRecord | None:
        state = states.get(stage)
        if state is None or state.record is None:
            return None
        return record_type.model_validate(state.record)

    failed = next((state for state in run.stages if state.status is StageStatus.FAILED), None)
    return PipelineSummary(
        run_id=run.run_id,
        finished=run.finished_at is not None,
        imported=record(StageName.IMPORT_DATASET, ImportedDataset),
        dataset=record(StageName.PREPARE, DatasetVersion),
        training=record(StageName.TRAIN, TrainingReport),
        evaluation=record(StageName.EVALUATE, EvaluationReport),
        gate=record(StageName.GATE, GateVerdict),
        model=record(StageName.REGISTER, ModelVersion),
        deployment=record(StageName.DEPLOY, Deployment),
        experiment=record(StageName.START_AB_TEST, ABExperiment),
        failed_stage=None if failed is None else failed.stage,
        error=None if failed is None else failed.error,
    )


def read_summary(services: Services, run_id: str | None = None) -> PipelineSummary:
    """The summary of a run, or of the newest one. Raises NotFoundError before the first run."""
    with services.unit_of_work() as uow:
        run = uow.pipeline_runs.latest() if run_id is None else uow.pipeline_runs.get(run_id)
        if run is None:
            raise NotFoundError("No pipeline has run yet", next_step="start one with `tuneway demo`")
        summary = summarise(run)
        if summary.dataset is None and (dataset_id := run.request.get("dataset_id")) is not None:
            # the run took a dataset version that was there already
            summary = summary.model_copy(update={"dataset": uow.datasets.get(int(str(dataset_id)))})
    return summary
