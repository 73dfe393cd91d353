"""What the pages show, fetched from PostgreSQL, the job folders, MLflow and the services' health pages: to each reader
what the policies let them read.

Answers are kept for a second or two, so that a page that draws itself again, and a second reader of the same page,
cost nothing. Every function raises a TunewayError that the page can show; none returns half an answer.
"""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import httpx
import streamlit as st
from pydantic import ValidationError

from contracts.access import ResourceKind
from contracts.datasets import ColumnMapping, DatasetVersion, ImportedDataset, MappingProposal, QualityReport
from contracts.enums import (
    Arm,
    JobKind,
    JobStatus,
    LineageKind,
    QuestionTemplate,
    ReviewVerdict,
    StageName,
    StageStatus,
)
from contracts.errors import InvalidDataError, NotFoundError
from contracts.experiments import ABExperiment, ArmCounts
from contracts.generation import GenerationReport, ReviewCounts, SampleReview
from contracts.jobs import FinetuningJob, JobView
from contracts.models import ArmEndpoint, ModelVersion
from contracts.suite_versions import StoredCase, SuiteListing
from contracts.suites import SuiteVersion
from dashboard.sessions import installation_of
from dashboard.visits import Visit
from data_prep.imports.input_files import list_input_files, open_input_files
from data_prep.imports.proposing import propose_mapping
from data_prep.masking.masker import mask
from data_prep.versions.names import STATISTICS_FILE
from registry.tracking import read_metrics
from stages.rating_tasks import agreement_of, items_of, licences_of, list_tasks
from stages.services import Services
from stages.summary import read_summary, summarise
from storage.files import read_json
from storage.job_folder import JobFolder
from storage.job_state import job_view
from storage.stored_files import open_stored_text
from training.checkpoints import checkpoint_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from contracts.access import Visibility
    from contracts.evaluation import CaseResult, EvaluationReport, GateVerdict, TestCase
    from contracts.experiment_results import ExperimentResults
    from contracts.leases import Lease
    from contracts.lineage import LineageGraph
    from contracts.pipeline import PipelineRun, PipelineSummary
    from contracts.ratings import AgreementReport, JudgeLicence, Rating, RatingItem, RatingTask
    from contracts.record import JsonObject
    from contracts.sweeps import SweepReport
    from contracts.training import CheckpointRecord, JobProgress
    from database.unit_of_work import UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")

FRESH_SECONDS = 1.5
"""Progress is at most one refresh behind."""
LINEAGE_SECONDS = 10.0
HEALTH_SECONDS = 5.0
HEALTH_TIMEOUT_SECONDS = 0.8
"""A service on this host answers within milliseconds; a page must not wait for one that is gone."""
PROPOSAL_SECONDS = 600.0
"""A file that changes has another time, and so another proposal."""
MLFLOW_TIMEOUT_SECONDS = 3.0
_JOB_OF_KEY = re.compile(r"(?:train|compress|evaluate)-(\d+)\b")
"""Keys of the runner's jobs that belong to a fine-tuning job."""
CURVE_POINTS = 400
"""A chart of 700 pixels shows no more."""
LOG_TAIL_BYTES = 64 * 1024
LOG_TAIL_LINES = 200
LISTED_RUNS = 50
LISTED = 100
TRAIN_LOSS_KEYS = ("loss", "train_loss")
EVAL_LOSS_KEY = "eval_loss"


def kept(seconds: float) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep a function's answers for so long, separately for each installation and reader. Errors are never kept."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        told_apart_by = {Services: installation_of, Visit: _reader}
        remember = st.cache_data(ttl=seconds, max_entries=256, show_spinner=False, hash_funcs=told_apart_by)
        remembered: Callable[P, R] = remember(function)

        @wraps(function)
        def keep(*args: P.args, **kwargs: P.kwargs) -> R:
            for visit in args:
                if isinstance(visit, Visit):
                    # said here, a session's end is our error; within the cache it would be Streamlit's
                    _reader(visit)
            return remembered(*args, **kwargs)

        return keep

    return decorate


def _reader(visit: Visit) -> str:
    """Two readers share an answer where the policies see the same in them."""
    who = visit.principal
    return f"{installation_of(visit)}|{who.username}|{who.role.value}|{','.join(sorted(who.projects))}"


def _ask(services: Services, question: Callable[[UnitOfWork], R]) -> R:
    """The answer of one short transaction."""
    with services.unit_of_work() as uow:
        return question(uow)


# Services and machine


class ServiceName(StrEnum):
    """The services whose pages and health the overview shows."""

    AIRFLOW = "airflow"
    MLFLOW = "mlflow"
    SERVING = "serving"
    RUNNER = "runner"


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """One service, asked a moment ago."""

    name: ServiceName
    page: str | None
    """Where people open it; None for a service without pages."""
    answers: bool
    said: JsonObject = field(default_factory=dict)
    """What its health page said."""


@kept(HEALTH_SECONDS)
def service_health(services: Services) -> list[ServiceHealth]:
    """Every service, asked at the same time."""
    settings = services.settings
    asked: list[tuple[ServiceName, str | None, str]] = [
        (ServiceName.AIRFLOW, settings.resolved_airflow_url, f"{settings.resolved_airflow_url}/api/v2/monitor/health"),
        (ServiceName.MLFLOW, settings.resolved_mlflow_tracking_url, f"{settings.resolved_mlflow_tracking_url}/health"),
        (ServiceName.SERVING, f"{settings.resolved_serving_url}/docs", f"{settings.resolved_serving_url}/health"),
        (ServiceName.RUNNER, None, f"{settings.resolved_runner_url}/health"),
    ]
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        answers = list(pool.map(_health, [url for _, _, url in asked]))
    return [
        ServiceHealth(name, page, answers=said is not None, said=said or {})
        for (name, page, _), said in zip(asked, answers, strict=True)
    ]


def _health(url: str) -> JsonObject | None:
    """What the page says; None where nobody answers well."""
    try:
        response = httpx.get(url, timeout=HEALTH_TIMEOUT_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return None
    if response.is_error:
        return None
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


@dataclass(frozen=True, slots=True)
class Slot:
    """One card, or one CPU worker standing for it."""

    index: int
    owner: str | None
    """The job; empty for one that the reader may not read."""
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Slots:
    """Every slot of this host."""

    slots: list[Slot]
    are_gpus: bool
    runner_answers: bool

    @property
    def used(self) -> int:
        """Slots that somebody holds."""
        return sum(slot.owner is not None for slot in self.slots)


def _slots(services: Services, leases: list[Lease], health: list[ServiceHealth]) -> Slots:
    runner = next(service for service in health if service.name is ServiceName.RUNNER)
    host = runner.said.get("host")
    held = {lease.gpu_index: lease for lease in leases if host is None or lease.host == host}
    total = int(str(runner.said.get("slots", services.settings.gpu_slots)))
    return Slots(
        slots=[
            Slot(index, held[index].owner, held[index].acquired_at) if index in held else Slot(index, None, None)
            for index in range(max(total, max(held, default=-1) + 1))
        ],
        are_gpus=bool(runner.said.get("gpus")),
        runner_answers=runner.answers,
    )


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds the data folder, in bytes."""

    total: int
    free: int
    reserve: int

    @property
    def is_short(self) -> bool:
        """New jobs are refused."""
        return self.free < self.reserve


def _disk(services: Services) -> Disk:
    folder = services.settings.data_dir
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return Disk(usage.total, usage.free, round(services.settings.min_free_disk_gb * 1_000_000_000))


# Loss curves and logs


class CurveSource(StrEnum):
    """Where a loss curve was read."""

    METRICS = "metrics"
    MLFLOW = "mlflow"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class LossCurve:
    """(step, value) series of a job."""

    train: list[tuple[int, float]]
    evaluation: list[tuple[int, float]]
    source: CurveSource


def loss_curve(services: Services, job: FinetuningJob) -> LossCurve | None:
    """The job's losses so far: from its folder, else from MLflow, else from its report; None before the first."""
    return _curve_of_folder(job) or _curve_of_mlflow(services, job) or _curve_of_report(job)


def _curve_of_folder(job: FinetuningJob) -> LossCurve | None:
    folder = job_folder(job)
    if folder is None:
        return None
    # a step that was done twice (a resumed job) counts once, with its newest value
    newest = {(point.key, point.step): point.value for point in read_metrics(folder.metrics)}
    series = {
        key: sorted((step, value) for (name, step), value in newest.items() if name == key)
        for key in (*TRAIN_LOSS_KEYS, EVAL_LOSS_KEY)
    }
    return _curve(series, CurveSource.METRICS)


def _curve_of_mlflow(services: Services, job: FinetuningJob) -> LossCurve | None:
    if job.mlflow_run_id is None:
        return None
    address = f"{services.settings.resolved_mlflow_tracking_url}/api/2.0/mlflow/metrics/get-history"
    series: dict[str, list[tuple[int, float]]] = {}
    try:
        with httpx.Client(timeout=MLFLOW_TIMEOUT_SECONDS, trust_env=False) as client:
            for key in (*TRAIN_LOSS_KEYS, EVAL_LOSS_KEY):
                response = client.get(address, params={"run_id": job.mlflow_run_id, "metric_key": key})
                if response.is_error:
                    return None
                points = response.json().get("metrics", [])
                series[key] = sorted((int(point["step"]), float(point["value"])) for point in points)
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return _curve(series, CurveSource.MLFLOW)


def _curve_of_report(job: FinetuningJob) -> LossCurve | None:
    if job.report is None:
        return None
    evaluation = [(job.report.steps, job.report.eval_loss)] if job.report.eval_loss is not None else []
    return _curve({TRAIN_LOSS_KEYS[0]: list(job.report.loss_curve), EVAL_LOSS_KEY: evaluation}, CurveSource.REPORT)


def _curve(series: dict[str, list[tuple[int, float]]], source: CurveSource) -> LossCurve | None:
    train = next((series[key] for key in TRAIN_LOSS_KEYS if series.get(key)), [])
    evaluation = series.get(EVAL_LOSS_KEY, [])
    if not train and not evaluation:
        return None
    return LossCurve(_thinned(train), _thinned(evaluation), source)


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most CURVE_POINTS points, evenly taken, the last one always among them."""
    stride = -(-len(points) // CURVE_POINTS) or 1
    return points[:-1][::stride] + points[-1:]


def job_folder(job: FinetuningJob) -> JobFolder | None:
    """The job's folder, where its row says where it writes checkpoints."""
    return None if job.checkpoint_dir is None else JobFolder(Path(job.checkpoint_dir).parent)


def log_tail(job: FinetuningJob) -> list[str]:
    """The last lines of the newest attempt's output."""
    if job.logs_path is None:
        return []
    place = Path(job.logs_path)
    folder = place if place.is_dir() else place.parent.parent
    attempts = sorted(folder.glob("attempt-*/output.log"), key=lambda path: int(path.parent.name.rpartition("-")[2]))
    path = attempts[-1] if attempts else place
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            start = max(0, stream.tell() - LOG_TAIL_BYTES)
            stream.seek(start)
            raw = stream.read()
    except OSError:
        return []
    lines = raw.decode("utf-8", errors="replace").splitlines()
    # progress bars rewrite their line with carriage returns; the first line is cut where the file is longer
    return [line for line in lines[1 if start else 0 :] if line.strip()][-LOG_TAIL_LINES:]


# The overview


@dataclass(frozen=True, slots=True)
class RunningWork:
    """A runner job that holds slots or waits for them."""

    key: str
    kind: JobKind
    job: FinetuningJob | None
    """The row of a training job."""
    progress: JobProgress | None
    started_at: datetime | None
    is_waiting: bool
    curve: LossCurve | None


@dataclass(frozen=True, slots=True)
class ModelInService:
    """A model version that answers or is in production."""

    model: ModelVersion
    endpoint: ArmEndpoint | None


@dataclass(frozen=True, slots=True)
class ExperimentState:
    """An A/B test with what was counted so far."""

    experiment: ABExperiment
    model_a: ModelVersion
    model_b: ModelVersion
    counts: dict[Arm, ArmCounts]
    results: ExperimentResults

    @property
    def ratings(self) -> int:
        """Rated answers of both arms."""
        return sum(counts.ratings for counts in self.counts.values())

    @property
    def raters(self) -> int:
        """Users of both arms who rated; these count towards the planned size."""
        return self.results.look.users_a + self.results.look.users_b

    @property
    def planned_users(self) -> int:
        """Users at which the final test is made."""
        return self.results.plan.planned_users

    def model(self, arm: Arm) -> ModelVersion:
        """The arm's model version."""
        return self.model_a if arm is Arm.A else self.model_b


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything of the first page."""

    run: PipelineRun | None
    work: list[RunningWork]
    slots: Slots
    disk: Disk
    models: list[ModelInService]
    experiments: list[ExperimentState]
    health: list[ServiceHealth]

    @property
    def is_busy(self) -> bool:
        """Something changes by itself, so the page has to look again soon."""
        return bool(self.work) or (self.run is not None and self.run.finished_at is None)


@kept(FRESH_SECONDS)
def overview(visit: Visit) -> Overview:
    """The first page."""
    health = service_health(visit)
    seen_jobs, seen_models = visit.visible(ResourceKind.JOB), visit.visible(ResourceKind.MODEL)
    leases = _ask(visit, lambda uow: uow.leases.all())
    if not seen_jobs.everything:
        leases = _named_to(visit, leases)

    def question(uow: UnitOfWork) -> Overview:
        jobs = [
            *uow.jobs.newest(JobStatus.RUNNING, limit=LISTED, visible=seen_jobs),
            *uow.jobs.newest(JobStatus.PENDING, limit=LISTED, visible=seen_jobs),
        ]
        return Overview(
            run=uow.pipeline_runs.latest(),
            work=[*(_training_work(visit, job) for job in jobs), *_evaluation_work(visit, leases)],
            slots=_slots(visit, leases, health),
            disk=_disk(visit),
            models=_models_in_service(uow, seen_models),
            experiments=[_experiment_state(uow, running) for running in uow.experiments.running()],
            health=health,
        )

    return _ask(visit, question)


def _named_to(visit: Visit, leases: list[Lease]) -> list[Lease]:
    """The leases, those of jobs that the reader may not read without the job's name."""
    jobs = {lease.owner: int(found[1]) for lease in leases if (found := _JOB_OF_KEY.match(lease.owner)) is not None}
    readable = visit.readable(ResourceKind.JOB, jobs.values()) if jobs else frozenset()
    return [
        lease.model_copy(update={"owner": ""}) if jobs.get(lease.owner, 0) not in {0, *readable} else lease
        for lease in leases
    ]


def _training_work(services: Services, job: FinetuningJob) -> RunningWork:
    return RunningWork(
        key=job.job_name,
        kind=JobKind.TRAIN if job.compression is None else JobKind.COMPRESS,
        job=job,
        progress=job.progress,
        started_at=job.start_time,
        is_waiting=job.status is JobStatus.PENDING,
        curve=loss_curve(services, job),
    )


def _evaluation_work(services: Services, leases: list[Lease]) -> list[RunningWork]:
    """Evaluations have no row of their own: the leases name them, their folders tell how far they are."""
    keys = dict.fromkeys(lease.owner.rpartition("#")[0] for lease in leases)
    views = [view for key in keys if (view := _view_of(services, key)) is not None]
    return [
        RunningWork(
            key=view.job_key,
            kind=view.kind,
            job=None,
            progress=view.progress,
            started_at=view.started_at,
            is_waiting=view.started_at is None,
            curve=None,
        )
        for view in views
        if view.kind in {JobKind.EVALUATE, JobKind.EVALUATE_SUITES} and not view.state.is_final
    ]


def _view_of(services: Services, job_key: str) -> JobView | None:
    if not job_key:
        return None
    try:
        return job_view(JobFolder(services.settings.jobs_dir / job_key))
    except (NotFoundError, InvalidDataError, ValidationError, OSError):
        # another host's job, or a folder that is being written at this moment
        return None


def _models_in_service(uow: UnitOfWork, visible: Visibility) -> list[ModelInService]:
    endpoints = {endpoint.model_id: endpoint for endpoint in uow.models.deployed()}
    return [
        ModelInService(model, endpoints.get(model.model_id))
        for model in uow.models.newest(limit=LISTED, visible=visible)
        if model.model_id in endpoints or model.status.value == "production"
    ]


# Pipeline runs


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
def runs(visit: Visit) -> list[ListedRun]:
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

    return _ask(visit, question)


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
    summary = _ask(visit, lambda uow: _summary(visit, uow, run_id))

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

    return _ask(visit, question)


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


# Datasets


@kept(FRESH_SECONDS)
def datasets(visit: Visit) -> list[DatasetVersion]:
    """Dataset versions, newest first."""
    seen = visit.visible(ResourceKind.DATASET)
    return _ask(visit, lambda uow: uow.datasets.newest(limit=LISTED, visible=seen))


@dataclass(frozen=True, slots=True)
class DatasetStory:
    """One dataset version with its statistics and newest checks."""

    dataset: DatasetVersion
    statistics: JsonObject | None
    """The version's own statistics file; None where this host does not see it."""
    made_by: JsonObject
    """The request and the steps that made the version."""
    checks: QualityReport | None


@kept(FRESH_SECONDS)
def dataset_story(visit: Visit, dataset_id: int) -> DatasetStory:
    """One dataset version. Raises NotFoundError, ForbiddenError."""
    visit.require(ResourceKind.DATASET, "read", dataset_id)

    def question(uow: UnitOfWork) -> DatasetStory:
        return DatasetStory(
            dataset=(dataset := uow.datasets.get(dataset_id)),
            statistics=_statistics(Path(dataset.file_path)),
            made_by=uow.datasets.statistics(dataset_id),
            checks=_newest_checks(uow.pipeline_runs.newest(LISTED), dataset_id),
        )

    return _ask(visit, question)


def _statistics(version_folder: Path) -> JsonObject | None:
    try:
        return read_json(version_folder / STATISTICS_FILE)
    except (OSError, ValueError):
        return None


def _newest_checks(found: list[PipelineRun], dataset_id: int) -> QualityReport | None:
    for run in found:
        for stage in run.stages:
            if stage.stage is StageName.CHECK_QUALITY and stage.record is not None:
                report = QualityReport.model_validate(stage.record)
                if report.dataset_id == dataset_id:
                    return report
    return None


# Files to import


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that may be imported."""

    path: str
    modified_ns: int
    size_bytes: int


@kept(HEALTH_SECONDS)
def input_files(services: Services) -> list[ListedFile]:
    """Files in the folders from which files may be imported, the newest first; those that start a run by themselves not."""
    settings = services.settings
    found = []
    for path in list_input_files(settings.allowed_input_roots, besides=settings.drop_dir):
        status = path.stat()
        found.append(ListedFile(str(path), status.st_mtime_ns, status.st_size))
    return found


def import_proposal(visit: Visit, file: ListedFile, columns: ColumnMapping | None) -> MappingProposal:
    """What the file's rows would become, under a corrected mapping where one is given; personal data is masked.

    Raises ForbiddenError for somebody who may not import.
    """
    visit.require(ResourceKind.DATASET, "create")
    return _import_proposal(visit, file, columns)


@kept(PROPOSAL_SECONDS)
def _import_proposal(services: Services, file: ListedFile, columns: ColumnMapping | None) -> MappingProposal:
    settings = services.settings
    (opened,) = open_input_files(
        [file.path], relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
    )
    proposal = propose_mapping(opened, columns)
    return proposal.model_copy(update={"sample_rows": [], "becomes": [_masked_turns(row) for row in proposal.becomes]})


def _masked_turns(row: JsonObject) -> JsonObject:
    turns = row.get("messages")
    if not isinstance(turns, list):
        return row
    spoken = [(str(turn.get("role")), str(turn.get("content"))) for turn in turns if isinstance(turn, dict)]
    masked = mask([text for _, text in spoken])
    return {
        "messages": [{"role": role, "content": one.text} for (role, _), one in zip(spoken, masked, strict=True)],
    }


def broken_rows(imported: ImportedDataset, listed: int) -> list[tuple[str, int, str]]:
    """File, line and reason of the first broken rows; never their text, which is not masked."""
    with open_stored_text(Path(imported.quarantine_path)) as lines:
        rows = [json.loads(line) for line in islice(lines, listed)]
    return [(str(row["source_file"]), int(row["line"]), str(row["reason"])) for row in rows]


# Jobs


@kept(FRESH_SECONDS)
def jobs(visit: Visit, status: JobStatus | None = None) -> list[FinetuningJob]:
    """Fine-tuning jobs, newest first."""
    seen = visit.visible(ResourceKind.JOB)
    return _ask(visit, lambda uow: uow.jobs.newest(status, limit=LISTED, visible=seen))


@dataclass(frozen=True, slots=True)
class JobStory:
    """One fine-tuning job."""

    job: FinetuningJob
    dataset: DatasetVersion
    curve: LossCurve | None
    log: list[str]


@kept(FRESH_SECONDS)
def job_story(visit: Visit, job_id: int) -> JobStory:
    """One fine-tuning job. Raises NotFoundError, ForbiddenError."""
    visit.require(ResourceKind.JOB, "read", job_id)

    def question(uow: UnitOfWork) -> tuple[FinetuningJob, DatasetVersion]:
        job = uow.jobs.get(job_id)
        return job, uow.datasets.get(job.dataset_id)

    job, dataset = _ask(visit, question)
    return JobStory(job, dataset, loss_curve(visit, job), log_tail(job))


def checkpoints(services: Services, job_id: int) -> list[CheckpointRecord]:
    """The checkpoints that the job can go on from, by step."""
    return checkpoint_records(JobFolder(services.settings.jobs_dir / f"train-{job_id}").checkpoints)


def was_handed_over(services: Services, job_id: int) -> bool:
    """The runner has the job: it can be stopped, or go on."""
    return JobFolder(services.settings.jobs_dir / f"train-{job_id}").submission.exists()


@kept(HEALTH_SECONDS)
def sweeps(visit: Visit) -> list[SweepReport]:
    """Every sweep of whose jobs the reader may read each, newest first."""
    from stages.tune_hyperparameters import list_sweeps

    found = list_sweeps(visit)
    jobs = {sweep.sweep_name: {trial.job_id for trial in sweep.trials if trial.job_id} for sweep in found}
    readable = visit.readable(ResourceKind.JOB, {job for of_sweep in jobs.values() for job in of_sweep})
    return [sweep for sweep in found if jobs[sweep.sweep_name] <= readable]


# Models


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A model version with what is known about it."""

    model: ModelVersion
    endpoint: ArmEndpoint | None
    evaluation: EvaluationReport | None
    verdict: GateVerdict | None
    is_previous: bool
    """A rollback brings it back."""


@kept(FRESH_SECONDS)
def models(visit: Visit) -> list[JudgedModel]:
    """Model versions, newest first."""
    seen = visit.visible(ResourceKind.MODEL)

    def question(uow: UnitOfWork) -> list[JudgedModel]:
        endpoints = {endpoint.model_id: endpoint for endpoint in uow.models.deployed()}
        newest = uow.models.newest(limit=LISTED, visible=seen)
        previous = uow.promotions.previous_by_name({model.model_name for model in newest})
        return [_judged(uow, model, endpoints.get(model.model_id), previous.get(model.model_name)) for model in newest]

    return _ask(visit, question)


@kept(LINEAGE_SECONDS)
def lineage(visit: Visit, model_id: int) -> LineageGraph | None:
    """What led to a model version, and what came of it, as far as the reader may read it. Raises ForbiddenError."""
    visit.require(ResourceKind.MODEL, "read", model_id)
    graph = _ask(visit, lambda uow: uow.lineage.around(LineageKind.MODEL, str(model_id)))
    return None if graph is None else _readable_part(visit, graph)


_OWNED_LINEAGE = {
    LineageKind.DATASET: ResourceKind.DATASET,
    LineageKind.JOB: ResourceKind.JOB,
    LineageKind.MODEL: ResourceKind.MODEL,
}


def _readable_part(visit: Visit, graph: LineageGraph) -> LineageGraph:
    hidden: set[str] = set()
    for kind, resource in _OWNED_LINEAGE.items():
        nodes = {int(node.key): node.node_id for node in graph.nodes if node.kind is kind}
        if nodes:
            seen = visit.readable(resource, nodes)
            hidden |= {node_id for row_id, node_id in nodes.items() if row_id not in seen}
    return graph.model_copy(
        update={
            "nodes": [node for node in graph.nodes if node.node_id not in hidden],
            "edges": [edge for edge in graph.edges if not {edge.source, edge.target} & hidden],
        }
    )


def _judged(uow: UnitOfWork, model: ModelVersion, endpoint: ArmEndpoint | None, previous: int | None) -> JudgedModel:
    job_id = model.finetuning_job_id
    evaluation = None if job_id is None else uow.evaluations.latest_for_job(job_id)
    verdict = None if evaluation is None else uow.evaluations.verdict(evaluation.evaluation_id)
    return JudgedModel(model, endpoint, evaluation, verdict, model.model_id == previous)


# A/B tests


@kept(FRESH_SECONDS)
def experiments(visit: Visit) -> list[ExperimentState]:
    """A/B tests, newest first."""
    visit.require(ResourceKind.AB_TEST, "read")
    return _ask(visit, lambda uow: [_experiment_state(uow, found) for found in uow.experiments.newest(limit=LISTED)])


def _experiment_state(uow: UnitOfWork, experiment: ABExperiment) -> ExperimentState:
    # scipy takes a second to import, which only this page needs
    from ab_testing.results import summarise_experiment

    counts = uow.experiments.counts(experiment.experiment_id)
    return ExperimentState(
        experiment=experiment,
        model_a=uow.models.get(experiment.model_a_id),
        model_b=uow.models.get(experiment.model_b_id),
        counts=counts,
        results=summarise_experiment(
            experiment,
            counts,
            uow.experiments.users(experiment.experiment_id),
            uow.experiment_decisions.state(experiment.experiment_id),
            uow.experiment_decisions.get(experiment.experiment_id),
        ),
    )


# Addresses of other programs' pages


def airflow_run_page(services: Services, run: PipelineRun) -> str:
    """The run in Airflow."""
    # runs of the smaller DAGs carry their DAG in the id
    run_id = run.run_id.removeprefix(f"{run.dag_id}/")
    return f"{services.settings.resolved_airflow_url}/dags/{run.dag_id}/runs/{run_id}"


def mlflow_run_page(services: Services, mlflow_run_id: str) -> str:
    """The run in MLflow."""
    return f"{services.settings.resolved_mlflow_tracking_url}/#/runs/{mlflow_run_id}"


def chat_endpoint(services: Services) -> str:
    """Where users ask."""
    return f"{services.settings.resolved_serving_url}/v1/chat/completions"


# Review of generated samples


@dataclass(frozen=True, slots=True)
class GenerationStory:
    """One generation: what it brought, and how far its review is."""

    generation_id: str
    dataset_name: str
    report: GenerationReport | None
    """None where its folder is gone."""
    counts: ReviewCounts | None
    """None where no sample passed the checks."""


def generations(visit: Visit) -> list[GenerationStory]:
    """Every generation, the newest first. Never kept: a verdict shows at once."""
    visit.require(ResourceKind.GENERATION, "read")
    counts = {found.generation_id: found for found in _ask(visit, lambda uow: uow.reviews.generations(LISTED))}
    reports = _generation_reports(visit)
    silent = [name for name in reports if name not in counts]
    return [
        GenerationStory(
            name,
            counts[name].dataset_name if name in counts else reports[name].dataset_name,
            reports.get(name),
            counts.get(name),
        )
        for name in (*silent, *counts)
    ]


def _generation_reports(services: Services) -> dict[str, GenerationReport]:
    """The reports that lie in the folders, the newest first; one that cannot be read is left out."""
    paths = sorted(
        services.settings.generations_dir.glob("*/*/report.json"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    found = {}
    for path in paths[:LISTED]:
        try:
            report = GenerationReport.model_validate(read_json(path) or {})
        except (ValidationError, ValueError, OSError):
            continue
        found[report.generation_id] = report
    return found


def samples_to_review(
    visit: Visit,
    generation_id: str,
    verdict: ReviewVerdict | None,
    waiting: bool,
    template: QuestionTemplate | None,
) -> list[int]:
    """The review_id of each sample of that kind, in order."""
    return _ask(
        visit,
        lambda uow: uow.reviews.positions(generation_id, verdict=verdict, waiting=waiting, template=template),
    )


def templates_to_review(visit: Visit, generation_id: str) -> list[QuestionTemplate]:
    """The kinds of samples that a generation has."""
    return _ask(visit, lambda uow: uow.reviews.templates(generation_id))


def review_counts(visit: Visit, generation_id: str) -> ReviewCounts:
    """How far the generation's review is. Raises NotFoundError."""
    return _ask(visit, lambda uow: uow.reviews.counts(generation_id))


def sample_to_review(visit: Visit, review_id: int) -> SampleReview:
    """One sample with its passage and its verdict."""
    visit.require(ResourceKind.GENERATION, "read")
    return _ask(visit, lambda uow: uow.reviews.get(review_id))


# Ratings


@dataclass(frozen=True, slots=True)
class RatingAgreement:
    """How far the raters of a task agree, and which judge may decide a gate."""

    report: AgreementReport
    licences: list[JudgeLicence]


def rating_tasks(visit: Visit) -> list[tuple[RatingTask, int]]:
    """What is put up for rating, newest first, each with the number of ratings it has brought."""
    visit.require(ResourceKind.RATING_TASK, "read")
    counts = _ask(visit, lambda uow: uow.ratings.counts())
    return [(task, counts.get(task.name, 0)) for task in list_tasks(visit)]


@kept(FRESH_SECONDS)
def rating_items(visit: Visit, task: str) -> list[RatingItem]:
    """The task's items in order. Raises NotFoundError."""
    visit.require(ResourceKind.RATING_TASK, "read")
    return items_of(task, visit)


def ratings_of(visit: Visit, task: str, rater: str) -> dict[str, Rating]:
    """What one person has said of the task's items, by item_key."""
    keys = [item.item_key for item in rating_items(visit, task)]
    return _ask(visit, lambda uow: uow.ratings.of_rater(keys, rater))


@kept(FRESH_SECONDS)
def rating_agreement(visit: Visit, task: str) -> RatingAgreement:
    """The ratings of a task compared."""
    visit.require(ResourceKind.RATING_TASK, "read")
    report = agreement_of(task, visit)
    return RatingAgreement(report, licences_of(report, visit))


# Test suites: never kept, so that an edit shows at once


def suites(visit: Visit) -> list[SuiteListing]:
    """Every test suite by name, archived ones too."""
    visit.require(ResourceKind.SUITE, "read")
    return _ask(visit, lambda uow: uow.suites.list_suites(with_archived=True))


def suite_versions(visit: Visit, name: str) -> list[SuiteVersion]:
    """The versions of a suite, the newest first."""
    visit.require(ResourceKind.SUITE, "read")
    return _ask(visit, lambda uow: uow.suites.versions(name))


def suite_cases(
    visit: Visit, suite_id: int, category: str | None, search: str, offset: int, limit: int
) -> tuple[list[StoredCase], int]:
    """Some cases of a version in their order, and how many there are of that kind."""
    visit.require(ResourceKind.SUITE, "read")
    return _ask(
        visit,
        lambda uow: uow.suites.page(suite_id, category=category, search=search, offset=offset, limit=limit),
    )


def every_case(visit: Visit, suite_id: int) -> list[TestCase]:
    """All cases of a version."""
    visit.require(ResourceKind.SUITE, "read")
    return _ask(visit, lambda uow: uow.suites.cases(suite_id))
