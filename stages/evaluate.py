"""Stage evaluate: base and tuned model answer the same questions, as they will be served."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.datasets import DatasetVersion
from contracts.enums import JobKind, JobStatus
from contracts.errors import ConflictError, InvalidDataError, InvalidRequestError, NotFoundError
from contracts.evaluation import CaseResult, EvaluateRequest, EvaluationReport
from contracts.jobs import JobSubmission
from contracts.judging import JudgeEndpoint
from contracts.record import Record
from contracts.suites import EvaluatedModel
from contracts.training import TrainingReport
from evaluation.asking import Answer, ask, chosen_for_repetition
from evaluation.comparison import compare_suite, pair_scores
from evaluation.picture import draw_comparison
from evaluation.scorers.registry import scorer_of
from evaluation.suites.cases import score_answers, served_conditions
from evaluation.suites.kind import Outcome, RunOptions, Subject
from evaluation.suites.results import read_cases, read_result, suite_result, write_result
from evaluation.test_cases import Suite, most_common_system_prompt, read_test_split
from stages.evaluated_models import resolved_folder, resolved_job
from stages.judge import judge_version, rubric_scorer
from stages.run_job import error_of, run_job
from stages.suites import resolve_suite
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view
from storage.journal import KeyedJournal
from storage.stored_files import read_stored_text, write_stored_text

if TYPE_CHECKING:
    from contracts.jobs import FinetuningJob
    from deployment.specification import ServerEndpoint, ServerSpec
    from stages.services import Services
    from training.metrics import ProgressWriter

log = logging.getLogger(__name__)

CONCURRENCY = 16
"""Questions on their way at a time: a model server on two CPU cores is busy from 8 on, one on a GPU takes more."""
ANSWERS_FILE = "answers.jsonl"
PICTURE_FILE = "comparison.png"
JOURNAL_FILE = "answers-journal.jsonl"
"""Every answer as it came, so that a killed evaluation asks no answered question again."""
RESULTS_FOLDER = "suite-results"
"""Of each model on each suite, until they are in PostgreSQL."""
JUDGE_FOLDER = "judge"
"""What the judge said, so that a killed evaluation has nothing judged twice."""


def evaluate(request: EvaluateRequest, services: Services) -> EvaluationReport:
    """The whole stage in one call: by the runner where it answers, else by a launcher of our own."""
    submission = create_job(request, services)
    run_job(submission, services)
    return collect(submission.job_key, services)


def create_job(request: EvaluateRequest, services: Services) -> JobSubmission:
    """The runner job that evaluates. Raises at once what would otherwise fail after the models were loaded."""
    job, report, dataset = _subject(request, services)
    suites = list(_suites(request, dataset, services))
    _require_different_names(suites)
    if request.num_gpus > services.settings.job_slots:
        raise InvalidRequestError(
            "The request asks for more GPUs than there are for jobs",
            value=request.num_gpus,
            allowed=f"1 to {services.settings.job_slots} (settings TUNEWAY_GPU_SLOTS, TUNEWAY_SERVING_GPUS)",
            next_step="lower num_gpus",
        )
    resolved = request.model_copy(
        update={
            "test_suite": suites[0].path if request.test_suite is not None else None,
            "extra_suites": [suite.path for suite in suites[1:]],
        }
    )
    content: dict[str, object] = {
        "request": resolved.model_dump(mode="json"),
        "suites": [suite.sha256 for suite in suites],
        "weights": report.weights_sha256,
    }
    if report.compression is not None:  # an evaluation that did not say whom it asked as the base is another one
        content["parent_job_id"] = report.compression.parent_job_id
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    key = f"evaluate-{job.job_id}-{digest[:12]}"
    base = resolved_folder(Path(report.base_model_path), services, name=report.base_model)
    plan = _Plan(
        training=report,
        dataset=dataset,
        suite_hashes=[suite.sha256 for suite in suites],
        suite_titles=[_SuiteTitle(name=suite.name, version=suite.version) for suite in suites],
        models=[base.model, resolved_job(job, services).model],
        template_sha256=base.template_sha256,
    )
    write_json_atomically(JobFolder(services.settings.jobs_dir / key).plan, plan.model_dump(mode="json"))
    return JobSubmission(
        job_key=key,
        kind=JobKind.EVALUATE,
        request=resolved.model_dump(mode="json"),
        num_gpus=request.num_gpus,
    )


def work(request: EvaluateRequest, job_folder: JobFolder, services: Services) -> EvaluationReport:
    """Start the models, ask them everything, keep all answers; the report still lacks its row's id.

    Needs no database: what it has to know stands in the job's plan.
    """
    from training.metrics import ProgressWriter

    started = time.monotonic()
    plan = _plan(job_folder)
    report, dataset = plan.training, plan.dataset
    suites = [
        # what a managed suite is called stands in the database only
        replace(suite, name=title.name, version=title.version)
        for suite, title in zip(_suites(request, dataset, services), plan.suite_titles, strict=True)
    ]
    if [suite.sha256 for suite in suites] != plan.suite_hashes:
        raise ConflictError(
            "A test suite changed after the evaluation was requested",
            value=", ".join(suite.path for suite in suites),
            next_step="request the evaluation again: it is then another job",
        )
    system_prompt = most_common_system_prompt(Path(dataset.file_path) / "train.parquet")
    with ProgressWriter(job_folder, "starting") as progress, _journal(job_folder) as journal:
        asked = _ask_both(request, report, suites, system_prompt, job_folder, services, progress, journal)
        progress.update(stage="saving")
        base, tuned = _keep_suite_results(plan, suites, asked, system_prompt, request, job_folder, services)
        results = [
            pair_scores(suite.cases, one.cases, other.cases)
            for suite, one, other in zip(suites, base, tuned, strict=True)
        ]
        reports = [
            compare_suite(
                suite.name, suite.path, suite.sha256, scored, {**suite.excluded, **one.excluded, **other.excluded}
            )
            for suite, scored, one, other in zip(suites, results, base, tuned, strict=True)
        ]
        judge = _judge(request)
        judged = {case.id for case in suites[0].cases if scorer_of(case).needs_judge}
        answers = [answer for answers in (*asked.base, *asked.tuned) for answer in answers]
        evaluation = EvaluationReport(
            evaluation_id=0,
            job_id=request.job_id,
            backend=asked.endpoint.backend,
            served_model_name=tuned_name(report),
            main=reports[0],
            extras=reports[1:],
            unstable_answers=sum(answer.is_unstable for answer in answers),
            repeated_answers=sum(answer.repeated_text is not None for answer in answers),
            seconds=time.monotonic() - started,
            parent_job_id=None if report.compression is None else report.compression.parent_job_id,
            judge=None if judge is None or not judged else judge_version(judge),
            judged_cases=sum(case.case_id in judged for case in results[0]),
        )
        _keep_answers(job_folder.output / ANSWERS_FILE, suites, results)
        draw_comparison(evaluation, job_folder.output / PICTURE_FILE)
    return evaluation


def collect(job_key: str, services: Services) -> EvaluationReport:
    """Record the finished job in PostgreSQL and on the training run in MLflow. Safe to repeat.

    Raises the job's own error where it ended without its result, and UnavailableError (a retry helps) while MLflow is
    away; the evaluation is in PostgreSQL by then.
    """
    from registry.tracking import log_run_results

    folder = JobFolder(services.settings.jobs_dir / job_key)
    result = read_json(folder.result)
    if result is None:
        view = job_view(folder)
        if view.state.is_final:
            raise error_of(view)
        raise ConflictError("The job has not ended", value=f"{job_key} is {view.state.value}", next_step="wait for it")
    report = EvaluationReport.model_validate(result)
    with services.unit_of_work() as uow:
        stored = uow.evaluations.add(
            report, content_key=job_key, cases=read_answers(folder.output / ANSWERS_FILE, report.main.name)
        )
        for kept in sorted((folder.root / RESULTS_FOLDER).glob("*/*")):
            suite_found = read_result(kept)
            if suite_found is not None:
                uow.suite_results.add(suite_found, read_cases(kept))
    log_run_results(
        services.settings.resolved_mlflow_tracking_url,
        training_run(report.job_id, services),
        metrics=evaluation_metrics(stored),
        tags={"tuneway.evaluation_id": str(stored.evaluation_id), "tuneway.served_by": stored.backend.value},
        artifacts={f"evaluation/{job_key}": folder.output / PICTURE_FILE},
    )
    return stored


def training_run(job_id: int, services: Services) -> str:
    """The MLflow run of a job. A job that trained while MLflow was away gets its run now, with its metrics."""
    from registry.tracking import EXPERIMENT_NAME, JOB_TAG, ensure_run, finish_run, send_missing_metrics

    with services.unit_of_work() as uow:
        job = uow.jobs.get(job_id)
    if job.mlflow_run_id is not None:
        return job.mlflow_run_id
    url = services.settings.resolved_mlflow_tracking_url
    run_id = ensure_run(url, EXPERIMENT_NAME, job.job_name, {JOB_TAG: job.job_name})
    send_missing_metrics(url, run_id, JobFolder(services.settings.jobs_dir / f"train-{job_id}").metrics)
    finish_run(url, run_id)
    with services.unit_of_work() as uow:
        uow.jobs.set_mlflow_run(job_id, run_id)
    return run_id


def evaluation_metrics(report: EvaluationReport) -> dict[str, float]:
    """The report's numbers under MLflow's metric names."""
    metrics = {
        "accuracy_base": report.main.base.accuracy,
        "accuracy_base_lower": report.main.base.interval.lower,
        "accuracy_base_upper": report.main.base.interval.upper,
        "accuracy_tuned": report.main.tuned.accuracy,
        "accuracy_tuned_lower": report.main.tuned.interval.lower,
        "accuracy_tuned_upper": report.main.tuned.interval.upper,
        "mcnemar_p": report.main.mcnemar_p,
        "unstable_answers": float(report.unstable_answers),
    }
    for suite in report.extras:
        name = metric_name(suite.name)
        metrics[f"accuracy_base.{name}"] = suite.base.accuracy
        metrics[f"accuracy_tuned.{name}"] = suite.tuned.accuracy
    for category, accuracy in report.main.tuned.by_category.items():
        metrics[f"accuracy_tuned_category.{metric_name(category)}"] = accuracy
    return metrics


def metric_name(text: str) -> str:
    """The text in letters that MLflow takes for a metric's name."""
    return "".join(character if character.isalnum() or character in "-_. " else "_" for character in text)[:100]


def tuned_name(report: TrainingReport) -> str:
    """The name under which an evaluation serves the tuned model; it never stands for another content."""
    return f"{report.job_name[:100]}-{report.weights_sha256[:8]}"


def base_name(report: TrainingReport) -> str:
    """The name under which an evaluation serves the base model."""
    return f"base-{Path(report.base_model_path).name[:100]}"


class _SuiteTitle(Record):
    """What a suite is called."""

    name: str
    version: int | None


class _Plan(Record):
    """What the job's process has to know beside the request."""

    training: TrainingReport
    dataset: DatasetVersion
    suite_hashes: list[str]
    suite_titles: list[_SuiteTitle]
    models: list[EvaluatedModel]
    """The base model, then the tuned one."""
    template_sha256: str


def _plan(folder: JobFolder) -> _Plan:
    plan = read_json(folder.plan)
    if plan is None:
        raise NotFoundError("The job's plan is missing", value=folder.plan, next_step="submit it through its stage")
    return _Plan.model_validate(plan)


def _subject(request: EvaluateRequest, services: Services) -> tuple[FinetuningJob, TrainingReport, DatasetVersion]:
    """The job to evaluate, what it made and what it learnt from. Raises ConflictError for a job that is not done."""
    with services.unit_of_work() as uow:
        job = uow.jobs.get(request.job_id)
        dataset = uow.datasets.get(job.dataset_id)
    if job.status is not JobStatus.COMPLETED or job.report is None:
        raise ConflictError(
            f"The fine-tuning job {job.job_name} cannot be evaluated",
            value=job.status.value,
            allowed="a completed job",
            next_step="wait until it is completed, or start it again if it failed",
        )
    for what, path in (("output", job.report.output_path), ("base model", job.report.base_model_path)):
        if not Path(path).is_dir():
            raise NotFoundError(
                f"The {what} folder of the fine-tuning job {job.job_name} is gone",
                value=path,
                next_step="restore the folder, or train again",
            )
    return job, job.report, dataset


def _suites(request: EvaluateRequest, dataset: DatasetVersion, services: Services) -> Iterator[Suite]:
    """The main suite, then the extra ones. Raises one clear error for one that is absent, elsewhere or broken."""

    def found(given: str) -> Suite:
        return resolve_suite(given, services).limited_to(request.max_cases)

    if request.test_suite is None:
        name = f"{dataset.name} {dataset.version} test"
        yield read_test_split(Path(dataset.file_path) / "test.parquet", name).limited_to(request.max_cases)
    else:
        yield found(request.test_suite)
    yield from map(found, request.extra_suites)


def suites_of(request: EvaluateRequest, dataset_id: int, services: Services) -> list[Suite]:
    """The suites that the evaluation would ask, read whole. Raises as `_suites` does."""
    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(dataset_id)
    return list(_suites(request, dataset, services))


def _require_different_names(suites: list[Suite]) -> None:
    names = [suite.name for suite in suites]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequestError(
            "Two test suites of the request have the same name",
            value=", ".join(twice),
            allowed="files with different names, each once",
            next_step="rename one of the files, or leave it out",
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    endpoint: ServerEndpoint
    engine: str
    base: list[list[Answer]]
    tuned: list[list[Answer]]


def _ask_both(
    request: EvaluateRequest,
    report: TrainingReport,
    suites: list[Suite],
    system_prompt: str | None,
    job_folder: JobFolder,
    services: Services,
    progress: ProgressWriter,
    journal: KeyedJournal,
) -> _Asked:
    """All suites to both models: an adapter beside its base on one server, a full model after it on a second one."""
    from deployment.engine import engine_at
    from deployment.ephemeral import running_server

    per_model = sum(len(suite.cases) + len(chosen_for_repetition(suite.cases)) for suite in suites)
    servers = list(_servers(request, report))
    answers: dict[str, list[list[Answer]]] = {}
    asked_before = 0
    for spec, names in servers:
        progress.update(stage="starting", message=f"starting the model server for {', '.join(names)}")
        with running_server(spec, services.settings, job_folder.root / "model-server.log") as endpoint:
            log.info("%s answers as %s", endpoint.backend.value, ", ".join(endpoint.model_names))
            engine = engine_at(endpoint.base_url)
            progress.begin_steps(asked_before, 2 * per_model)
            for name in names:
                answers[name] = []
                for suite in suites:
                    progress.update(stage="asking", message=f"{name}: {suite.name}")
                    answers[name].append(
                        ask(
                            suite.cases,
                            endpoint_url=endpoint.base_url,
                            model=name,
                            concurrency=CONCURRENCY,
                            system_prompt=system_prompt,
                            max_answer_tokens=request.max_answer_tokens,
                            on_progress=_steps(progress, asked_before),
                            journal=journal,
                        )
                    )
                    asked_before += len(suite.cases) + len(chosen_for_repetition(suite.cases))
                    log.info("%s answered the %d questions of %s", name, len(suite.cases), suite.name)
    return _Asked(endpoint, engine, answers[base_name(report)], answers[tuned_name(report)])


def _journal(job_folder: JobFolder) -> KeyedJournal:
    return KeyedJournal(
        job_folder.root / JOURNAL_FILE,
        ConflictError(
            "Another process does this evaluation",
            value=job_folder.root.name,
            next_step=f"follow it with `tuneway job show {job_folder.root.name}`",
        ),
    )


def _keep_suite_results(
    plan: _Plan,
    suites: list[Suite],
    asked: _Asked,
    system_prompt: str | None,
    request: EvaluateRequest,
    job_folder: JobFolder,
    services: Services,
) -> tuple[list[Outcome], list[Outcome]]:
    """Of the same answers, one result a model and suite: what other models and other days are compared with.

    Returns what the suites came to, of the base and of the tuned model.
    """
    judge = _judge(request)
    outcomes: list[list[Outcome]] = []
    subject = Subject(served_name="", engine=asked.engine, template_sha256=plan.template_sha256)
    for side, model, answers in zip(("base", "tuned"), plan.models, (asked.base, asked.tuned), strict=True):
        outcomes.append([])
        for number, (suite, said) in enumerate(zip(suites, answers, strict=True)):
            folder = job_folder.root / RESULTS_FOLDER / side / str(number)
            judged_in = job_folder.root / JUDGE_FOLDER / side / str(number)
            options = RunOptions(
                system_prompt=system_prompt,
                max_answer_tokens=request.max_answer_tokens,
                judge=None if judge is None else rubric_scorer(judge, judged_in, services),
                judge_version="" if judge is None else judge_version(judge),
            )
            outcome = score_answers(suite.cases, said, options)
            outcomes[-1].append(outcome)
            seconds = sum(answer.latency_ms for answer in said) / 1000
            result = suite_result(model, suite, served_conditions(suite, subject, options), outcome, seconds)
            write_result(folder, result, outcome.cases)
    return outcomes[0], outcomes[1]


def _judge(request: EvaluateRequest) -> JudgeEndpoint | None:
    if request.judge_url is None or request.judge_model is None:
        return None
    return JudgeEndpoint(url=request.judge_url, model=request.judge_model)


def _steps(progress: ProgressWriter, before: int) -> Callable[[int, int], None]:
    return lambda done, _total: progress.update(step=before + done)


def _servers(request: EvaluateRequest, report: TrainingReport) -> Iterator[tuple[ServerSpec, list[str]]]:
    """Which servers are started one after the other, and which models are asked on each."""
    from deployment.specification import ServerSpec, is_adapter, lora_adapter

    cards = gpu_ids(request.num_gpus)
    base, tuned = base_name(report), tuned_name(report)
    base_spec = ServerSpec(model_path=report.base_model_path, served_model_name=base, gpu_ids=cards)
    if not is_adapter(Path(report.output_path)):
        yield base_spec, [base]
        yield ServerSpec(model_path=report.output_path, served_model_name=tuned, gpu_ids=cards), [tuned]
    else:
        yield base_spec.with_adapters([lora_adapter(tuned, Path(report.output_path))]), [base, tuned]


def gpu_ids(num_gpus: int) -> list[int]:
    """The cards the runner leased to this process; without a runner the first ones; none on a machine without."""
    from deployment.backends import gpu_count

    leased = os.environ.get("CUDA_VISIBLE_DEVICES")
    if leased is not None:
        return [int(card) for card in leased.split(",") if card.strip().isdigit()]
    return list(range(min(num_gpus, gpu_count())))


def _keep_answers(path: Path, suites: list[Suite], results: list[list[CaseResult]]) -> None:
    """One line a case: the suite's name and both answers."""
    lines = [
        json.dumps({"suite": suite.name, **result.model_dump(mode="json")}, ensure_ascii=False)
        for suite, scored in zip(suites, results, strict=True)
        for result in scored
    ]
    write_stored_text(path, "\n".join(lines) + "\n")


def read_answers(path: Path, suite_name: str) -> list[CaseResult]:
    """One suite's answers from an evaluation job's answers.jsonl."""
    if not path.is_file():
        raise InvalidDataError(
            "The evaluation's answers are gone", value=path, next_step="start the evaluation with another request"
        )
    lines = (json.loads(text) for text in read_stored_text(path).splitlines())
    return [
        CaseResult.model_validate({key: value for key, value in line.items() if key != "suite"})
        for line in lines
        if line["suite"] == suite_name
    ]
