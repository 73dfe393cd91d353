"""Rating tasks: answers put up, rated by experts on the dashboard or in sheets, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.enums import RatingKind
from contracts.errors import ConflictError, InvalidRequestError
from contracts.judging import JUDGE_PREFIX
from evaluation.judge_licence import judge_may_gate
from evaluation.rating_agreement import agreement_report, expert_pairs_of, judge_agreement
from evaluation.rating_items import (
    TASK_FILE,
    chosen,
    items_in_file,
    items_of_answers,
    items_of_cases,
    read_items,
    read_task,
    task_of,
    write_task,
)
from evaluation.rating_sheets import ratings_in_sheet, sheet
from storage.files import write_text_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.preferences import PreferencePair
    from contracts.ratings import AgreementReport, JudgeLicence, PutUpRequest, RatingItem, RatingTask
    from stages.services import Services


def put_up(request: PutUpRequest, services: Services) -> RatingTask:
    """The task; the same items under the same name again are the task that is there. Raises ConflictError for others."""
    items, suite_name, model_a, model_b = _source(request, services)
    items = chosen(items, request.max_items)
    task = task_of(request, items, suite_name=suite_name, model_a=model_a, model_b=model_b)
    folder = services.settings.ratings_dir / request.name
    if (folder / TASK_FILE).exists():
        present = read_task(folder)
        if present.sha256 != task.sha256 or present.kind is not task.kind:
            raise ConflictError(
                "There is a rating task of that name with other answers",
                value=request.name,
                allowed="a task never changes",
                next_step="take another name",
            )
        return present
    write_task(folder, task, items)
    return task


def _source(request: PutUpRequest, services: Services) -> tuple[list[RatingItem], str, str, str | None]:
    """Items, and what the task says of where they come from."""
    is_pairwise = request.kind is RatingKind.PAIRWISE
    if request.evaluation_id is not None:
        with services.unit_of_work() as uow:
            report = uow.evaluations.get(request.evaluation_id)
            cases = uow.evaluations.cases(request.evaluation_id)
        tuned = report.served_model_name
        models = (f"base of {tuned}", tuned) if is_pairwise else (tuned, None)
        return items_of_cases(cases, request.kind), report.main.name, *models
    if request.result_ids:
        return _results(request, services)
    assert request.answers_file is not None
    from data_prep.imports.input_files import resolve_input_file

    settings = services.settings
    path = resolve_input_file(
        request.answers_file, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
    )
    return items_in_file(path, request.kind), path.stem, "a", "b" if is_pairwise else None


def _results(request: PutUpRequest, services: Services) -> tuple[list[RatingItem], str, str, str | None]:
    """The answers of one or two stored results on the same version of a managed suite."""
    is_pairwise = request.kind is RatingKind.PAIRWISE
    if len(request.result_ids) != (2 if is_pairwise else 1):
        raise InvalidRequestError(
            f"A {request.kind.value} task is made of another number of results",
            value=", ".join(map(str, request.result_ids)),
            allowed="two results" if is_pairwise else "one result",
            next_step="name the results that `tuneway evaluate` gave",
        )
    with services.unit_of_work() as uow:
        results = [uow.suite_results.get(result_id) for result_id in request.result_ids]
        suites = {(one.conditions.suite_name, one.conditions.suite_version) for one in results}
        name, version = min(suites, key=str)
        if len(suites) > 1 or version is None:
            raise InvalidRequestError(
                "The results are not of one version of a managed suite",
                value=", ".join(f"{suite} v{number}" for suite, number in sorted(suites, key=str)),
                allowed="results whose questions are kept, and the same ones",
                next_step="evaluate the models on the same version, or give a file of answers",
            )
        cases = uow.suites.cases(uow.suites.find(name, version).suite_id)
        answers = [
            {score.case_id: score.answer for score in uow.suite_results.cases(result.result_id)} for result in results
        ]
    items = items_of_answers(cases, answers[0], answers[1] if is_pairwise else None)
    return items, name, results[0].model.name, results[1].model.name if is_pairwise else None


def list_tasks(services: Services) -> list[RatingTask]:
    """Every task, newest first."""
    folder = services.settings.ratings_dir
    tasks = [read_task(path.parent) for path in folder.glob(f"*/{TASK_FILE}")] if folder.is_dir() else []
    return sorted(tasks, key=lambda task: task.created_at, reverse=True)


def task_named(name: str, services: Services) -> RatingTask:
    """The task. Raises NotFoundError."""
    return read_task(services.settings.ratings_dir / name)


def items_of(name: str, services: Services) -> list[RatingItem]:
    """The task's items. Raises NotFoundError."""
    return read_items(services.settings.ratings_dir / name)


def export_sheet(name: str, rater: str, path: Path, services: Services) -> int:
    """Write one expert's sheet; returns how many items it has."""
    task, items = task_named(name, services), items_of(name, services)
    check_rater(rater)
    with services.unit_of_work() as uow:
        done = uow.ratings.of_rater([item.item_key for item in items], rater)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, sheet(task, items, rater, done))
    return len(items)


def import_sheet(name: str, rater: str, path: Path, services: Services) -> int:
    """Store what an expert wrote into a sheet, all of it or nothing; returns how many ratings there were."""
    task, items = task_named(name, services), items_of(name, services)
    check_rater(rater)
    ratings = ratings_in_sheet(path, task, items, rater)
    with services.unit_of_work() as uow:
        return uow.ratings.rate(ratings)


def agreement_of(name: str, services: Services) -> AgreementReport:
    """How far the raters of a task agree, judges beside experts."""
    task, items = task_named(name, services), items_of(name, services)
    with services.unit_of_work() as uow:
        ratings = uow.ratings.of_items(item.item_key for item in items)
    return agreement_report(task, ratings)


def licences_of(report: AgreementReport, services: Services) -> list[JudgeLicence]:
    """For each judge of the report: may it decide a gate?"""
    settings = services.settings
    return [
        judge_may_gate(one, judge=one.judge, bar=settings.judge_agreement_bar, min_items=settings.judge_min_items)
        for one in report.judges
    ]


def licence_of(judge: str, services: Services, kind: RatingKind = RatingKind.RUBRIC) -> JudgeLicence:
    """May this judge decide a gate? By all items, of whatever task, that it and experts rated.

    `judge` is the name under which its ratings stand, as a result's conditions tell it (`stages.judge.judge_version`).
    """
    settings = services.settings
    with services.unit_of_work() as uow:
        ratings = uow.ratings.beside(judge)
    return judge_may_gate(
        judge_agreement(judge, kind, ratings),
        judge=judge,
        bar=settings.judge_agreement_bar,
        min_items=settings.judge_min_items,
    )


def expert_pairs(name: str, services: Services) -> list[PreferencePair]:
    """What experts prefer, as pairs to learn from. Raises InvalidRequestError for a task without pairs of answers."""
    task, items = task_named(name, services), items_of(name, services)
    if task.kind is not RatingKind.PAIRWISE:
        raise InvalidRequestError(
            "The rating task has no pairs of answers",
            value=f"{name} is {task.kind.value}",
            allowed=RatingKind.PAIRWISE.value,
            next_step="take a task in which two answers were compared",
        )
    with services.unit_of_work() as uow:
        ratings = uow.ratings.of_items(item.item_key for item in items)
    return expert_pairs_of(items, ratings)


def check_rater(rater: str) -> None:
    """A person's name. Raises InvalidRequestError."""
    if not rater.strip() or rater.startswith(JUDGE_PREFIX) or len(rater) > 100:
        raise InvalidRequestError(
            "That is no expert's name",
            value=rater,
            allowed=f"1 to 100 characters that do not begin with {JUDGE_PREFIX}",
            next_step="give the expert's name",
        )
