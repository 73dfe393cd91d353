"""Stage evaluate_suites: one model, asked as it is served, on one suite or several.

The job keeps every answer and every finished suite in its folder, so a killed one goes on where it was; the same request
for the same model and suites is the same job. A model that has answered a suite under the same conditions is not asked
again unless the request says so.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import JobKind, SuiteKind
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from contracts.evaluation import TestCase
from contracts.jobs import JobSubmission
from contracts.record import JsonObject, Record
from contracts.suites import EvaluateSuitesRequest, SuiteResult, SuitesReport
from evaluation.suites.kind import RunOptions, RunState, Subject
from evaluation.suites.registry import suite_type
from evaluation.suites.results import read_cases, read_result, suite_result, write_result
from evaluation.suites.safety import TOOL as SAFETY_TOOL
from evaluation.test_cases import Suite
from stages.evaluated_models import ResolvedModel, resolve_model
from stages.model_catalogue import refresh_card
from stages.run_job import error_of, run_job
from stages.safety_detectors import safety_detectors
from stages.suites import resolve_suite
from storage.files import read_json
from storage.job_folder import JobFolder
from storage.job_state import job_view
from storage.journal import KeyedJournal
from storage.stored_files import read_stored_json, write_stored_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from database.unit_of_work import UnitOfWork
    from stages.services import Services
    from training.metrics import ProgressWriter

log = logging.getLogger(__name__)

CONCURRENCY = 16
"""Questions on their way at a time: a model server on two CPU cores is busy from 8 on, one on a GPU takes more."""
JOURNAL_FILE = "answers.jsonl"
KEY_PREFIX = "suites-"
SPEED_SCORE = "tokens_per_second_single"


class PlannedSuite(Record):
    """A suite as it stood when the evaluation was requested."""

    name: str
    path: str
    sha256: str
    version: int | None
    kind: SuiteKind
    settings: JsonObject
    cases: list[TestCase]
    excluded: dict[str, int]
    repetition: int
    """How often this model has been evaluated on it under these conditions before."""

    def suite(self) -> Suite:
        """The suite itself."""
        return Suite(
            self.name, self.path, self.sha256, self.cases, self.excluded, self.version, self.kind, self.settings
        )


class SuitesPlan(Record):
    """What the job's process has to know beside the request."""

    subject: ResolvedModel
    engine: str
    suites: list[PlannedSuite]
    """Those that are asked."""
    order: list[str]
    """Names of all suites of the request."""
    reused: list[int]
    """Results that are there already."""


@dataclass(frozen=True, slots=True)
class SuitesPreview:
    """What a request would do, before anything is done."""

    subject: ResolvedModel
    engine: str
    to_ask: list[Suite]
    stored: list[SuiteResult]


def evaluate_suites(request: EvaluateSuitesRequest, services: Services) -> SuitesReport:
    """The whole stage in one call: by the runner where it answers, else by a launcher of our own."""
    submission = create_job(request, services)
    if read_plan(JobFolder(services.settings.jobs_dir / submission.job_key)).suites:
        run_job(submission, services)
    return collect(submission.job_key, services)


def preview(request: EvaluateSuitesRequest, services: Services) -> SuitesPreview:
    """What would be asked and what is known already. Raises all that a request can be wrong in."""
    plan, _ = _planned(request, services)
    with services.unit_of_work() as uow:
        stored = [uow.suite_results.get(result_id) for result_id in plan.reused]
    return SuitesPreview(plan.subject, plan.engine, [planned.suite() for planned in plan.suites], stored)


def create_job(request: EvaluateSuitesRequest, services: Services) -> JobSubmission:
    """The job that asks; raises at once what would otherwise fail after the model was loaded."""
    plan, conditions_keys = _planned(request, services)
    content = {
        "request": request.model_dump(mode="json", exclude={"again", "model"}),
        "model": plan.subject.model.content_hash,
        "conditions": conditions_keys,
        "repetitions": [planned.repetition for planned in plan.suites],
        "reused": plan.reused,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    key = f"{KEY_PREFIX}{digest[:16]}"
    folder = JobFolder(services.settings.jobs_dir / key)
    if not folder.plan.exists():
        write_plan(folder, plan)
    return JobSubmission(
        job_key=key,
        kind=JobKind.EVALUATE_SUITES,
        request=request.model_dump(mode="json"),
        num_gpus=request.num_gpus,
    )


def work(request: EvaluateSuitesRequest, job_folder: JobFolder, services: Services) -> SuitesReport:
    """Inside the job's process: run each suite that has no result yet. Needs no database."""
    from training.metrics import ProgressWriter

    began = time.monotonic()
    plan = read_plan(job_folder)
    served = [planned for planned in plan.suites if suite_type(planned.kind).needs_server]
    own_process = [planned for planned in plan.suites if planned not in served]
    with ProgressWriter(job_folder, "starting") as progress, _journal(job_folder) as journal:
        if any(_kept(job_folder, planned) is None for planned in served):
            with ExitStack() as stack:
                subject = _served_subject(plan, request, job_folder, services, progress, stack)
                for planned in served:
                    _run(planned, subject, plan, request, job_folder, journal, progress, services)
        for planned in own_process:
            _run(planned, _subject(plan), plan, request, job_folder, journal, progress, services)
        progress.update(stage="saving")
    results = [result for planned in plan.suites if (result := _kept(job_folder, planned)) is not None]
    return SuitesReport(model=plan.subject.model, results=results, seconds=time.monotonic() - began)


def collect(job_key: str, services: Services) -> SuitesReport:
    """Record the finished job: results, every case, scores of the model version, metrics in MLflow. Safe to repeat."""
    folder = JobFolder(services.settings.jobs_dir / job_key)
    plan = read_plan(folder)
    report = _job_report(folder, job_key) if plan.suites else None
    results: dict[str, SuiteResult] = {}
    with services.unit_of_work() as uow:
        for result_id in plan.reused:
            known = uow.suite_results.get(result_id)
            results[known.conditions.suite_name] = known
        for planned in plan.suites:
            kept = _kept(folder, planned)
            if kept is None:
                raise ConflictError(
                    "The result of a suite is gone from the job's folder",
                    value=_folder_of(folder, planned),
                    next_step="evaluate again",
                )
            stored = uow.suite_results.add(kept, read_cases(_folder_of(folder, planned)), planned.repetition)
            results[planned.name] = stored
            record_benchmark(stored, uow)
    ordered = [results[name] for name in plan.order]
    log_results([results[planned.name] for planned in plan.suites], services)
    if plan.suites and plan.subject.model.model_id is not None:
        refresh_card(plan.subject.model.model_id, services)
    return SuitesReport(
        model=plan.subject.model,
        results=ordered,
        reused=[name for name in plan.order if name not in {planned.name for planned in plan.suites}],
        seconds=0.0 if report is None else report.seconds,
    )


def record_benchmark(result: SuiteResult, uow: UnitOfWork) -> None:
    """The newest score of a registered version on a suite stands in model_benchmarks."""
    if result.model.model_id is not None:
        uow.models.record_benchmark(
            result.model.model_id,
            result.conditions.suite_name,
            result.primary.value,
            result.model_dump(mode="json"),
        )


def log_results(results: list[SuiteResult], services: Services) -> None:
    """The scores on the model's own run in MLflow. MLflow away changes nothing but that they are not seen there."""
    from registry.tracking import log_run_results
    from stages.evaluate import metric_name, training_run

    for result in results:
        if result.model.job_id is None:
            continue
        metrics: dict[str, float] = {}
        for score in result.scores:
            name = metric_name(f"suite.{result.conditions.suite_name}.{score.name}")
            metrics[name] = score.value
            if score.interval is not None:
                metrics |= {f"{name}_lower": score.interval.lower, f"{name}_upper": score.interval.upper}
        try:
            log_run_results(
                services.settings.resolved_mlflow_tracking_url,
                training_run(result.model.job_id, services),
                metrics=metrics,
                tags={f"tuneway.suite.{metric_name(result.conditions.suite_name)}": str(result.result_id)},
            )
        except UnavailableError as error:
            log.warning("MLflow lacks the result %d, evaluate again to send it: %s", result.result_id, error)


def _planned(request: EvaluateSuitesRequest, services: Services) -> tuple[SuitesPlan, list[str]]:
    """The plan and the comparison key of each suite."""
    _check_gpus(request, services)
    subject = resolve_model(request.model, services)
    suites = [resolve_suite(given, services).limited_to(request.max_cases) for given in request.suites]
    names = [suite.name for suite in suites]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequestError(
            "A suite is named twice", value=", ".join(twice), allowed="each suite once", next_step="leave one out"
        )
    engine = _engine(subject, services)
    known = _subject(SuitesPlan(subject=subject, engine=engine, suites=[], order=[], reused=[]))
    options = _options(request, subject, services)
    planned, reused, keys = [], [], []
    with services.unit_of_work() as uow:
        for suite in suites:
            suite_type(suite.kind).check(suite, known)
            key = suite_type(suite.kind).conditions(suite, known, options).comparison_key
            keys.append(key)
            stored = uow.suite_results.find(subject.model.content_hash, key)
            if stored is not None and not request.again and (_has_speed(stored) or not request.speed):
                reused.append(stored.result_id)
                continue
            planned.append(
                PlannedSuite(
                    name=suite.name,
                    path=suite.path,
                    sha256=suite.sha256,
                    version=suite.version,
                    kind=suite.kind,
                    settings=suite.settings,
                    cases=suite.cases,
                    excluded=suite.excluded,
                    repetition=uow.suite_results.repetitions(subject.model.content_hash, key),
                )
            )
    return SuitesPlan(subject=subject, engine=engine, suites=planned, order=names, reused=reused), keys


def _has_speed(result: SuiteResult) -> bool:
    return any(score.name == SPEED_SCORE for score in result.scores)


def _check_gpus(request: EvaluateSuitesRequest, services: Services) -> None:
    if request.num_gpus > services.settings.job_slots:
        raise InvalidRequestError(
            "The request asks for more GPUs than there are for jobs",
            value=request.num_gpus,
            allowed=f"1 to {services.settings.job_slots} (settings TUNEWAY_GPU_SLOTS, TUNEWAY_SERVING_GPUS)",
            next_step="lower num_gpus",
        )


def _engine(subject: ResolvedModel, services: Services) -> str:
    """What answers: of an endpoint as it tells itself, else what would be started here."""
    from deployment.client import model_names
    from deployment.engine import engine_at, installed_engine

    if subject.endpoint_url is None:
        return installed_engine(services.settings)
    served = model_names(subject.endpoint_url)
    if subject.served_name not in served:
        raise InvalidRequestError(
            "The endpoint serves no model of this name",
            value=subject.served_name,
            allowed=", ".join(served),
            next_step="correct the name after the #",
        )
    return engine_at(subject.endpoint_url)


def _options(
    request: EvaluateSuitesRequest, subject: ResolvedModel, services: Services, judge_folder: Path | None = None
) -> RunOptions:
    """How to ask. Without a folder for the judge's replies nothing can be judged, only told which judge it would be."""
    judge, version = None, ""
    if request.judge_url is not None and request.judge_model is not None:
        from contracts.judging import JudgeEndpoint
        from stages.judge import judge_version, rubric_scorer

        endpoint = JudgeEndpoint(url=request.judge_url, model=request.judge_model)
        version = judge_version(endpoint)
        judge = None if judge_folder is None else rubric_scorer(endpoint, judge_folder, services)
    return RunOptions(
        system_prompt=subject.system_prompt if request.system_prompt is None else request.system_prompt,
        max_answer_tokens=request.max_answer_tokens,
        concurrency=CONCURRENCY,
        speed=request.speed,
        max_cases=request.max_cases,
        judge=judge,
        judge_version=version,
        tools={SAFETY_TOOL: safety_detectors()},
    )


def _subject(plan: SuitesPlan) -> Subject:
    """The model without a server of ours."""
    model = plan.subject
    return Subject(
        served_name=model.served_name,
        endpoint_url=model.endpoint_url,
        model_path=None if model.model_path is None else Path(model.model_path),
        adapter_path=None if model.adapter_path is None else Path(model.adapter_path),
        engine=plan.engine,
        template_sha256=model.template_sha256,
    )


def _served_subject(
    plan: SuitesPlan,
    request: EvaluateSuitesRequest,
    job_folder: JobFolder,
    services: Services,
    progress: ProgressWriter,
    stack: ExitStack,
) -> Subject:
    """The model behind a server: the endpoint that was named, or one of ours until the stack is closed."""
    from deployment.engine import engine_at
    from deployment.ephemeral import running_server
    from stages.evaluate import gpu_ids

    subject = _subject(plan)
    if subject.endpoint_url is not None:
        return subject
    progress.update(stage="starting", message=f"starting the model server for {plan.subject.model.name}")
    spec = plan.subject.server(gpu_ids(request.num_gpus))
    endpoint = stack.enter_context(running_server(spec, services.settings, job_folder.root / "model-server.log"))
    return replace(subject, endpoint_url=endpoint.base_url, engine=engine_at(endpoint.base_url))


def _run(
    planned: PlannedSuite,
    subject: Subject,
    plan: SuitesPlan,
    request: EvaluateSuitesRequest,
    job_folder: JobFolder,
    journal: KeyedJournal,
    progress: ProgressWriter,
    services: Services,
) -> None:
    """One suite, unless its result is there; afterwards it is."""
    if _kept(job_folder, planned) is not None:
        return
    suite, kind, folder = planned.suite(), suite_type(planned.kind), _folder_of(job_folder, planned)
    options = _options(request, plan.subject, services, folder)
    progress.update(stage="asking", message=f"{plan.subject.model.name}: {suite.name}")
    began = time.monotonic()
    outcome = kind.run(suite, subject, options, RunState(folder, journal, _steps(progress)))
    result = suite_result(
        plan.subject.model, suite, kind.conditions(suite, subject, options), outcome, time.monotonic() - began
    )
    write_result(folder, result, outcome.cases)
    log.info("%s: %s %.4f over %d", suite.name, result.primary.name, result.primary.value, result.n)


def _steps(progress: ProgressWriter) -> Callable[[int, int], None]:
    """Tell of steps from the first call on; what a journal answered at once does not count as speed."""
    begun = False

    def tell(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            begun = True
            progress.begin_steps(done, total)
        progress.update(stage="asking", step=done)

    return tell


def _journal(job_folder: JobFolder) -> KeyedJournal:
    return KeyedJournal(
        job_folder.root / JOURNAL_FILE,
        ConflictError(
            "Another process does this evaluation",
            value=job_folder.root.name,
            next_step=f"follow it with `tuneway job show {job_folder.root.name}`",
        ),
    )


def _folder_of(job_folder: JobFolder, planned: PlannedSuite) -> Path:
    # a name may be one that no folder can have
    return job_folder.output / hashlib.sha256(planned.name.encode()).hexdigest()[:16]


def _kept(job_folder: JobFolder, planned: PlannedSuite) -> SuiteResult | None:
    return read_result(_folder_of(job_folder, planned))


def read_plan(folder: JobFolder) -> SuitesPlan:
    """The plan of a job. Raises NotFoundError."""
    plan = read_stored_json(folder.plan)
    if plan is None:
        raise NotFoundError("The job's plan is missing", value=folder.plan, next_step="submit it through its stage")
    return SuitesPlan.model_validate(plan)


def write_plan(folder: JobFolder, plan: SuitesPlan) -> None:
    """Keep the plan; it holds test cases."""
    write_stored_json(folder.plan, plan.model_dump(mode="json"))


def _job_report(folder: JobFolder, job_key: str) -> SuitesReport:
    result = read_json(folder.result)
    if result is None:
        view = job_view(folder)
        if view.state.is_final:
            raise error_of(view)
        raise ConflictError("The job has not ended", value=f"{job_key} is {view.state.value}", next_step="wait for it")
    return SuitesReport.model_validate(result)
