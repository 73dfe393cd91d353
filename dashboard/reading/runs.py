"""Pipeline runs, and the story of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.datasets import DatasetVersion
from contracts.enums import StageName, StageStatus
from contracts.jobs import FinetuningJob
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.reading.training_traces import LossCurve, loss_curve
from dashboard.visits import Visit
from stages.services import Services
from stages.summary import read_summary, summarise

if TYPE_CHECKING:
    from contracts.evaluation import CaseResult
    from contracts.pipeline import PipelineRun, PipelineSummary
    from database.unit_of_work import UnitOfWork

LISTED_RUNS = 50


class RunState(StrEnum):
    """How a pipeline run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    STOPPED_AT_GATE = "stopped_at_gate"
    FAILED = "failed"


def run_state(run: PipelineRun) -> RunState:
    """The run's state as its stages tell it."""
    if any(stage.status is StageStatus.FAILED for stage in run.stages):
        return RunState.FAILED
    if run.finished_at is None:
        return RunState.RUNNING
    gate = next((stage for stage in run.stages if stage.stage is StageName.GATE and stage.record), None)
    if gate is not None and gate.record is not None and gate.record.get("decision") != "pass":
        return RunState.STOPPED_AT_GATE
    return RunState.SUCCEEDED


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A line of the list of runs."""

    run: PipelineRun
    summary: PipelineSummary
    dataset: DatasetVersion | None


@kept(FRESH_SECONDS)
def list_runs(visit: Visit) -> list[ListedRun]:
    """The newest runs, newest first."""
    visit.require(ResourceKind.PIPELINE_RUN, "read")
    seen = visit.visible(ResourceKind.DATASET)

    def question(uow: UnitOfWork) -> list[ListedRun]:
        datasets_by_id = {dataset.dataset_id: dataset for dataset in uow.datasets.newest(limit=LISTED, visible=seen)}
        found = []
        for run in uow.pipeline_runs.newest(LISTED_RUNS):
            summary = summarise(run)
            # a run may have taken a dataset version that was there already
            dataset = summary.dataset or datasets_by_id.get(_number(run.request.get("dataset_id")))
            found.append(ListedRun(run, summary, dataset))
        return found

    return ask(visit, question)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


class CaseOutcome(StrEnum):
    """What fine-tuning did to a test case."""

    WON = "won"
    LOST = "lost"
    BOTH_WRONG = "both_wrong"
    BOTH_RIGHT = "both_right"


def case_outcome(case: CaseResult) -> CaseOutcome:
    """Which of the four."""
    if case.base_correct:
        return CaseOutcome.BOTH_RIGHT if case.tuned_correct else CaseOutcome.LOST
    return CaseOutcome.WON if case.tuned_correct else CaseOutcome.BOTH_WRONG


@dataclass(frozen=True, slots=True)
class RunStory:
    """One run from its files to its endpoint; what has not happened yet is None."""

    run: PipelineRun
    summary: PipelineSummary
    job: FinetuningJob | None
    curve: LossCurve | None
    cases: dict[CaseOutcome, list[CaseResult]]


@kept(FRESH_SECONDS)
def run_story(visit: Visit, run_id: str) -> RunStory:
    """The whole story of a run; its job's curve and answers for those who may read the job. Raises NotFoundError."""
    visit.require(ResourceKind.PIPELINE_RUN, "read")
    summary = ask(visit, lambda uow: _summary(visit, uow, run_id))

    def question(uow: UnitOfWork) -> RunStory:
        run = uow.pipeline_runs.get(run_id)
        job = _job_of_run(uow, run, summary)
        evaluation = summary.evaluation
        if job is not None and job.job_id not in visit.readable(ResourceKind.JOB, [job.job_id]):
            job, evaluation = None, None
        return RunStory(
            run=run,
            summary=summary,
            job=job,
            curve=None if job is None else loss_curve(visit, job),
            cases=_by_outcome([] if evaluation is None else uow.evaluations.cases(evaluation.evaluation_id)),
        )

    return ask(visit, question)


def _summary(services: Services, uow: UnitOfWork, run_id: str) -> PipelineSummary:
    uow.pipeline_runs.get(run_id)
    return read_summary(services, run_id)


def _job_of_run(uow: UnitOfWork, run: PipelineRun, summary: PipelineSummary) -> FinetuningJob | None:
    """The run's fine-tuning job: named by its records, or, while it trains, by the run's id in the job's name."""
    if summary.training is not None:
        return uow.jobs.get(summary.training.job_id)
    if summary.evaluation is not None:
        return uow.jobs.get(summary.evaluation.job_id)
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", run.run_id).strip("-")[:48].strip("-")
    return next((job for job in uow.jobs.newest(limit=LISTED) if slug and slug in job.job_name), None)


def _by_outcome(cases: list[CaseResult]) -> dict[CaseOutcome, list[CaseResult]]:
    return {outcome: [case for case in cases if case_outcome(case) is outcome] for outcome in CaseOutcome}
