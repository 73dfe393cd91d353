"""Every stage by name: its request, its record, and the function that does it.

A stage's module is imported when the stage runs, so that naming a stage costs nothing in a DAG file.
A stage with `job_kind` runs as a runner job: its module has, beside the function,

    create_job(request, services) -> JobSubmission     idempotent; makes the rows
    work(request, job_folder, services) -> Record      inside the job's process
    collect(job_key, services) -> Record               after it; idempotent; records results
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from contracts.compression import CompressRequest
from contracts.datasets import (
    DatasetVersion,
    ImportedDataset,
    ImportRequest,
    PrepareRequest,
    QualityReport,
    QualityRequest,
)
from contracts.enums import JobKind, StageName
from contracts.evaluation import EvaluateRequest, EvaluationReport, GateRequest, GateVerdict
from contracts.experiment_decisions import (
    ConcludeABTestRequest,
    ExperimentDecision,
    MonitorABTestRequest,
    MonitorReport,
)
from contracts.experiment_replays import ABTestReplay, ReplayABTestRequest
from contracts.experiments import ABExperiment, StartABTestRequest
from contracts.generation import GenerateRequest, GenerationReport
from contracts.models import Deployment, DeployRequest, ModelVersion, RegisterRequest
from contracts.suites import EvaluateSuitesRequest, SuitesReport
from contracts.sweeps import SweepReport, SweepRequest
from contracts.training import TrainingReport, TrainRequest

if TYPE_CHECKING:
    from types import ModuleType

    from contracts.record import Record


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the pipeline."""

    name: StageName
    request: type[Record]
    result: type[Record]
    job_kind: JobKind | None = None

    @property
    def module(self) -> ModuleType:
        """The stage's module, `stages.<name>`, imported now."""
        return import_module(f"stages.{self.name.value}")

    def function(self) -> Any:
        """The stage's function: `stages.<name>.<name>(request, services)`."""
        return getattr(self.module, self.name.value)


STAGES: dict[StageName, Stage] = {
    stage.name: stage
    for stage in (
        Stage(StageName.GENERATE_QA, GenerateRequest, GenerationReport),
        Stage(StageName.TUNE_HYPERPARAMETERS, SweepRequest, SweepReport),
        Stage(StageName.COMPRESS_MODEL, CompressRequest, TrainingReport, JobKind.COMPRESS),
        Stage(StageName.EVALUATE_SUITES, EvaluateSuitesRequest, SuitesReport, JobKind.EVALUATE_SUITES),
        Stage(StageName.IMPORT_DATASET, ImportRequest, ImportedDataset),
        Stage(StageName.PREPARE, PrepareRequest, DatasetVersion),
        Stage(StageName.CHECK_QUALITY, QualityRequest, QualityReport),
        Stage(StageName.TRAIN, TrainRequest, TrainingReport, JobKind.TRAIN),
        Stage(StageName.EVALUATE, EvaluateRequest, EvaluationReport, JobKind.EVALUATE),
        Stage(StageName.GATE, GateRequest, GateVerdict),
        Stage(StageName.REGISTER, RegisterRequest, ModelVersion),
        Stage(StageName.DEPLOY, DeployRequest, Deployment),
        Stage(StageName.START_AB_TEST, StartABTestRequest, ABExperiment),
        Stage(StageName.MONITOR_AB_TEST, MonitorABTestRequest, MonitorReport),
        Stage(StageName.CONCLUDE_AB_TEST, ConcludeABTestRequest, ExperimentDecision),
        Stage(StageName.REPLAY_AB_TEST, ReplayABTestRequest, ABTestReplay),
    )
}
