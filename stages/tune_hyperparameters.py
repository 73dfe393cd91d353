"""Look for the best numbers of a recipe: each trial is an ordinary training job, the study knows what to try next.

The parts, which the DAG calls one by one and `tune_hyperparameters` in a row:

    start_sweep    checks, study, parent run         once, safe to repeat
    begin_trial    what to try, and its job          each slot; again it is the same trial and the same job
    TrialWatch     losses so far; prune?             whoever follows the job, each few seconds
    end_trial      the job's result into the study   after the job
    finish_sweep   recipe, picture, report           once, safe to repeat
"""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from contracts.enums import JobState, SweepMetric, TrialState
from contracts.errors import InvalidRequestError, JobFailedError, NotFoundError, TunewayError, UnavailableError
from contracts.record import utc_now
from contracts.sweeps import SweepReport, SweepRequest, SweepTrial, TrialJob
from contracts.training import Hyperparameters, TrainingReport, TrainRequest
from stages.run_job import error_of, run_job
from storage.files import read_json, write_json_atomically, write_text_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view

if TYPE_CHECKING:
    from stages.services import Services
    from training.recipe import Recipe
    from training.sweeps.study import SweepStudy

TRIES = 3
"""How often a trial whose processes vanished is gone on with, from its last checkpoint."""
REPORT_FILE, PICTURE_FILE = "report.json", "sweep.png"

log = logging.getLogger("sweep")


def tune_hyperparameters(request: SweepRequest, services: Services) -> SweepReport:
    """The whole sweep in one call, one trial after the other. Killed and called again, it goes on."""
    for slot in start_sweep(request, services):
        trial = begin_trial(request.sweep_name, slot, services)
        if trial is None:
            log.info("the time limit has passed: no further trial is begun")
            break
        if not trial.has_ended:
            _train(trial, services)
    return finish_sweep(request.sweep_name, services)


def check_request(request: SweepRequest, services: Services) -> None:
    """What can be known to be wrong before a trial is begun. Raises InvalidRequestError or NotFoundError."""
    from stages.train import check_request as check_training
    from training.recipe import recipe_names
    from training.sweeps.space import check_sweep

    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(request.dataset_id)
    check_training(_train_request(request, request.sweep_name), services)
    check_sweep(request, _recipe(request, services), dataset.train_samples, dataset.val_samples)
    if request.sweep_name in recipe_names(services.settings.recipes_dir) and not _has_begun(request, services):
        raise InvalidRequestError(
            "The sweep's best trial would become a recipe whose name is taken",
            value=request.sweep_name,
            next_step="choose another sweep_name",
        )


def start_sweep(request: SweepRequest, services: Services) -> list[int]:
    """The study and its parent run; the slots of the trials, from 0. Safe to repeat."""
    from training.sweeps.study import SweepStudy

    check_request(request, services)
    SweepStudy.create(services.settings.resolved_database_url, request)
    _parent_run(request, services)
    return list(range(request.trials))


def begin_trial(sweep_name: str, slot: int, services: Services) -> TrialJob | None:
    """The slot's trial and its job; None when the sweep's time is over and the slot has no trial yet."""
    from registry.tracking import PARENT_TAG
    from stages.train import create_job
    from training.sweeps.space import trial_recipe

    study = _study(sweep_name, services)
    _settle(study, services)
    request = study.request
    if (
        request.budget_hours is not None
        and not study.has_asked(slot)
        and utc_now() > study.started_at + timedelta(hours=request.budget_hours)
    ):
        return None
    asked = study.ask(slot)
    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(request.dataset_id)
    train_request = _train_request(request, trial_name(sweep_name, asked.number))
    parent = _parent_run(request, services)
    submission = create_job(
        train_request,
        services,
        recipe=trial_recipe(request, _recipe(request, services), asked.values, dataset.train_samples),
        tags={
            "tuneway.sweep": sweep_name,
            "tuneway.trial": str(asked.number),
            **({} if parent is None else {PARENT_TAG: parent}),
        },
    )
    assert submission.finetuning_job_id is not None, "a training job has a row"
    if not asked.has_ended:
        study.note_job(asked.number, submission.job_key, submission.finetuning_job_id)
    log.info("trial %d of %s (%s): %s", asked.number, sweep_name, submission.job_key, asked.values)
    return TrialJob(
        sweep_name=sweep_name,
        number=asked.number,
        values=asked.values,
        submission=submission,
        has_ended=asked.has_ended,
    )


class TrialWatch:
    """Tells the study what a trial's job measures. Light enough for a loop: the study is asked about new losses only."""

    def __init__(self, sweep_name: str, number: int, job_key: str, services: Services) -> None:
        self._study = _study(sweep_name, services)
        self._number = number
        self._folder = JobFolder(services.settings.jobs_dir / job_key)
        self._told = 0
        self._is_pruned = self._study.is_pruned(number)

    def should_prune(self) -> bool:
        """The trial has fallen behind, now or before: its job is to be stopped."""
        if not self._is_pruned:
            losses = evaluations(self._study.request, self._folder)
            if len(losses) > self._told:
                self._is_pruned = self._study.report(self._number, losses)
                self._told = len(losses)
        return self._is_pruned


def end_trial(sweep_name: str, number: int, job_key: str, services: Services) -> TunewayError | None:
    """Tell the study how the trial's job has ended, where that is its end. Else the error: another attempt may help."""
    study = _study(sweep_name, services)
    view = job_view(JobFolder(services.settings.jobs_dir / job_key))
    if view.state is JobState.STOPPED and study.is_pruned(number):
        study.prune(number)
        return None
    if view.state is not JobState.SUCCEEDED:
        return error_of(view)
    report = _report_of(job_key, services)
    # where nobody watched to the end: later trials are compared with these
    study.report(number, evaluations(study.request, JobFolder(services.settings.jobs_dir / job_key)))
    try:
        study.complete(number, {metric: _result(report, metric.value) for metric in study.request.objectives})
    except InvalidRequestError as error:
        study.fail(number, error.sentence())
    return None


def give_up_trial(sweep_name: str, number: int, reason: str, services: Services) -> None:
    """The trial will have no result; the sweep goes on without it."""
    log.warning("trial %d of %s is given up: %s", number, sweep_name, reason)
    _study(sweep_name, services).fail(number, reason)


def finish_sweep(sweep_name: str, services: Services) -> SweepReport:
    """What came of it: rows of the trials' jobs, the best trial as a recipe, picture and report, the parent run ended.

    A trial that nobody works on any more has failed. Raises NotFoundError where no trial was trained to its end.
    """
    from training.sweeps.picture import draw_sweep

    study = _study(sweep_name, services)
    _settle(study, services)
    for number, job_key in study.running_jobs().items():
        view = job_view(JobFolder(services.settings.jobs_dir / job_key))
        study.fail(number, error_of(view).sentence() if view.state.is_final else "the sweep was ended before it")
    _collect_all(study, services)
    report = _report(study, services)
    if not report.best:
        raise NotFoundError(
            "No trial of the sweep was trained to its end",
            value=f"{sweep_name}: {report.count(TrialState.PRUNED)} pruned, {report.count(TrialState.FAILED)} failed",
            next_step=next(
                (f"the last one failed with: {trial.reason}" for trial in reversed(report.trials) if trial.reason),
                "start it again with more trials",
            ),
        )
    folder = sweep_folder(sweep_name, services)
    recipe_path = _write_best_recipe(report, services)
    draw_sweep(report, folder / PICTURE_FILE)
    report = report.model_copy(
        update={
            "recipe_name": sweep_name,
            "recipe_path": str(recipe_path),
            "picture_path": str(folder / PICTURE_FILE),
        }
    )
    report = _tracked(report, recipe_path, services)
    write_json_atomically(folder / REPORT_FILE, report.model_dump(mode="json"))
    return report


def show_sweep(sweep_name: str, services: Services) -> SweepReport:
    """The sweep as it stands: its report where it is finished, else what is known of its trials. Raises NotFoundError."""
    study = _study(sweep_name, services)
    now = _report(study, services)
    written = read_json(sweep_folder(sweep_name, services) / REPORT_FILE)
    if written is None:
        return now
    finished = SweepReport.model_validate(written)
    return finished if (finished.trials, finished.request) == (now.trials, now.request) else now


def list_sweeps(services: Services) -> list[SweepReport]:
    """Every sweep, newest first."""
    from training.sweeps.study import sweep_names

    return [show_sweep(name, services) for name in sweep_names(services.settings.resolved_database_url)]


def trial_name(sweep_name: str, number: int) -> str:
    """Name of the trial's fine-tuning job."""
    return f"{sweep_name}-trial-{number:03d}"


def sweep_folder(sweep_name: str, services: Services) -> Path:
    """Where the sweep's picture and report are."""
    return services.settings.data_dir / "sweeps" / sweep_name


def evaluations(request: SweepRequest, folder: JobFolder) -> list[float]:
    """The losses that a trial is judged by meanwhile, one an evaluation, in order.

    For train_loss that is the last training loss before each evaluation's step.
    """
    from training.metrics import read_metrics

    by_step: dict[int, float] = {}
    latest_loss: float | None = None
    for line in read_metrics(folder.metrics):
        if "loss" in line:
            latest_loss = float(str(line["loss"]))
        if "eval_loss" in line:
            loss = float(str(line["eval_loss"])) if request.objectives[0] is SweepMetric.EVAL_LOSS else latest_loss
            if loss is not None:
                by_step[int(str(line["step"]))] = loss
    return [loss for _, loss in sorted(by_step.items())]


def _train(trial: TrialJob, services: Services) -> None:
    """Train to the end, or to where the trial is pruned or given up."""
    key = trial.submission.job_key
    for tries_left in reversed(range(TRIES)):
        watch = TrialWatch(trial.sweep_name, trial.number, key, services)
        run_job(trial.submission, services, should_stop=watch.should_prune)
        error = end_trial(trial.sweep_name, trial.number, key, services)
        if error is None:
            return
        if not isinstance(error, JobFailedError) or not tries_left:
            give_up_trial(trial.sweep_name, trial.number, error.sentence(), services)
            return
        log.warning("trial %d goes on from its last checkpoint: %s", trial.number, error)


def _study(sweep_name: str, services: Services) -> SweepStudy:
    from training.sweeps.study import SweepStudy

    return SweepStudy.open(services.settings.resolved_database_url, sweep_name)


def _train_request(request: SweepRequest, job_name: str) -> TrainRequest:
    return TrainRequest(
        job_name=job_name,
        dataset_id=request.dataset_id,
        base_model=request.base_model,
        method=request.method,
        recipe=request.recipe,
        seed=request.seed,
    )


def _recipe(request: SweepRequest, services: Services) -> Recipe:
    from training.recipe import resolve_recipe

    return resolve_recipe(request.recipe, Hyperparameters(), request.method, services.settings.recipes_dir)


def _has_begun(request: SweepRequest, services: Services) -> bool:
    try:
        _study(request.sweep_name, services)
    except NotFoundError:
        return False
    return True


def _settle(study: SweepStudy, services: Services) -> None:
    """Take over the trials whose job has ended well: the study learns from them, their jobs get their rows.

    Done before each question, because whoever followed the job may have been killed before it told the study.
    """
    for number, job_key in study.running_jobs().items():
        try:
            view = job_view(JobFolder(services.settings.jobs_dir / job_key))
        except NotFoundError:  # made, but not handed over yet
            continue
        if view.state in {JobState.SUCCEEDED, JobState.STOPPED}:
            end_trial(study.request.sweep_name, number, job_key, services)
    _collect_all(study, services)


def _collect_all(study: SweepStudy, services: Services) -> None:
    """Rows and run of every job that has its result and lacks one of them."""
    from stages.train import collect

    for trial in study.trials():
        if trial.state is not TrialState.COMPLETED or trial.job_id is None:
            continue
        with services.unit_of_work() as uow:
            job = uow.jobs.get(trial.job_id)
        if job.report is None or job.mlflow_run_id is None:
            collect(_job_key(trial.job_id), services)


def _job_key(job_id: int) -> str:
    from stages.train import job_key

    return job_key(job_id)


def _report_of(job_key: str, services: Services) -> TrainingReport:
    record = read_json(JobFolder(services.settings.jobs_dir / job_key).result)
    if record is None:
        raise NotFoundError("The trial's result is gone", value=job_key, next_step="start the sweep under another name")
    return TrainingReport.model_validate(record)


def _result(report: TrainingReport, name: str) -> float:
    value = getattr(report, name)
    if value is None or not math.isfinite(value):
        raise InvalidRequestError(f"The trial was trained, but has no {name}", value=value)
    return float(value)


def _report(study: SweepStudy, services: Services) -> SweepReport:
    return SweepReport(
        sweep_name=study.request.sweep_name,
        request=study.request,
        started_at=study.started_at,
        trials=study.trials(),
        best=study.best(),
        importances=study.importances(),
    )


def _write_best_recipe(report: SweepReport, services: Services) -> Path:
    """The best trial's recipe under the sweep's name, with the steps between evaluations of the recipe it came from."""
    from training.recipe import read_recipe
    from training.sweeps.space import with_values

    best = report.trials[report.best[0]]
    base = _recipe(report.request, services)
    found = ", ".join(f"{metric.value} {value:.4g}" for metric, value in best.results.items())
    recipe = with_values(
        base,
        {
            **best.values,
            "description": f"Best of {len(report.trials)} trials of the sweep {report.sweep_name}, "
            f"trial {best.number}: {found}. From {report.request.recipe}.",
        },
    )
    path = services.settings.recipes_dir / f"{report.sweep_name}.yaml"
    write_text_atomically(
        path, yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False, width=120)
    )
    assert read_recipe(path) == recipe, "what is written reads as what was meant"
    return path


def _run_tags(request: SweepRequest) -> dict[str, str]:
    from registry.tracking import JOB_TAG

    return {JOB_TAG: f"sweep/{request.sweep_name}", "tuneway.sweep": request.sweep_name}


def _parent_run(request: SweepRequest, services: Services) -> str | None:
    """The sweep's run, under which its trials' runs stand; None while MLflow is away: it is made up for at the end."""
    from registry.tracking import EXPERIMENT_NAME, ensure_run

    try:
        return ensure_run(
            services.settings.resolved_mlflow_tracking_url, EXPERIMENT_NAME, request.sweep_name, _run_tags(request)
        )
    except UnavailableError as error:
        log.warning("the sweep's run is made later: %s", error)
        return None


def _tracked(report: SweepReport, recipe_path: Path, services: Services) -> SweepReport:
    """The parent run with results, recipe and picture, and every trial's run below it. MLflow away changes nothing."""
    from registry.tracking import PARENT_TAG, finish_run, log_run_results

    url = services.settings.resolved_mlflow_tracking_url
    best = report.trials[report.best[0]]
    try:
        run_id = _parent_run(report.request, services)
        if run_id is None:
            return report
        for trial in report.trials:
            child = _run_of(trial, services)
            if child is not None:
                log_run_results(url, child, tags={PARENT_TAG: run_id})
        log_run_results(
            url,
            run_id,
            metrics={
                **{f"best_{metric.value}": value for metric, value in best.results.items()},
                **{f"importance.{name}": share for name, share in report.importances.items()},
                **{f"trials_{state.value}": float(report.count(state)) for state in TrialState},
            },
            tags={"tuneway.best_trial": str(best.number), "tuneway.recipe": report.sweep_name},
            artifacts={"recipe": recipe_path, "plots": Path(str(report.picture_path))},
        )
        finish_run(url, run_id)
    except UnavailableError as error:
        log.warning("MLflow lacks part of this sweep, finish it again to send it: %s", error)
        return report
    return report.model_copy(update={"mlflow_run_id": run_id})


def _run_of(trial: SweepTrial, services: Services) -> str | None:
    if trial.job_id is None:
        return None
    with services.unit_of_work() as uow:
        job = uow.jobs.get(trial.job_id)
    tracking = read_json(JobFolder(services.settings.jobs_dir / _job_key(trial.job_id)).tracking) or {}
    found = job.mlflow_run_id or tracking.get("run_id")
    return str(found) if found else None
