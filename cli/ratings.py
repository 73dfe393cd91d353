"""`tuneway ratings`: answers put up for experts and judges, rated, and compared. Each command calls one function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answers import print_json, told
from cli.texts import translate
from contracts.enums import RatingKind
from contracts.ratings import PutUpRequest
from contracts.words import significance
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.judging import JudgedTask
    from contracts.ratings import Agreement, AgreementReport, Coefficient, Confusion, JudgeLicence, RatingTask
    from contracts.suites import ScoreEstimate


def _help(key: str) -> str:
    return translate(f"ratings.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.ratings", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help=_help("arg_task"))]
Rater = Annotated[str, typer.Option("--rater", help=_help("opt_rater"))]


@app.command("put-up", help=_help("help_put_up"))
def put_up(
    name: TaskName,
    evaluation: Annotated[int | None, typer.Option("--evaluation", help=_help("opt_evaluation"))] = None,
    result: Annotated[list[int] | None, typer.Option("--result", help=_help("opt_result"))] = None,
    answers: Annotated[Path | None, typer.Option("--answers", help=_help("opt_answers"))] = None,
    kind: Annotated[RatingKind, typer.Option("--kind", help=_help("opt_kind"))] = RatingKind.PAIRWISE,
    max_items: Annotated[int | None, typer.Option("--max-items", min=1, help=_help("opt_max_items"))] = None,
    as_json: AsJson = False,
) -> None:
    """Put answers up for rating."""
    from cli.run_stage import validated
    from stages.rating_tasks import put_up as make_task

    with told(as_json) as (screen, services):
        given: dict[str, Any] = {
            "name": name,
            "kind": kind,
            "evaluation_id": evaluation,
            "result_ids": result or [],
            "answers_file": None if answers is None else str(answers),
            "max_items": max_items,
        }
        task = make_task(validated(PutUpRequest, given), services)
        if as_json:
            print_json(task.model_dump(mode="json"))
            return
        screen.done("ratings.put_up", name=task.name, items=task.items)
        screen.say("ratings.rate_with", page=f"{services.settings.resolved_dashboard_url}/rating?task={task.name}")


@app.command("list", help=_help("help_list"))
def list_all(as_json: AsJson = False) -> None:
    """Every task, newest first."""
    from stages.rating_tasks import list_tasks

    with told(as_json) as (screen, services):
        tasks = list_tasks(services)
        if as_json:
            print_json([task.model_dump(mode="json") for task in tasks])
        elif tasks:
            _show_tasks(tasks, screen)
        else:
            screen.say("ratings.none")


@app.command("export", help=_help("help_export"))
def export(
    name: TaskName,
    path: Annotated[Path, typer.Argument(metavar="FILE.csv", help=_help("arg_sheet"))],
    rater: Rater,
    as_json: AsJson = False,
) -> None:
    """Write one expert's sheet."""
    from stages.rating_tasks import export_sheet

    with told(as_json) as (screen, services):
        items = export_sheet(name, rater, path, services)
        if as_json:
            print_json({"task": name, "rater": rater, "path": str(path), "items": items})
            return
        screen.done("ratings.exported", items=items, path=path)


@app.command("import", help=_help("help_import"))
def import_(
    name: TaskName,
    path: Annotated[Path, typer.Argument(metavar="FILE.csv", help=_help("arg_sheet"))],
    rater: Rater,
    as_json: AsJson = False,
) -> None:
    """Store what an expert wrote into a sheet."""
    from stages.rating_tasks import import_sheet

    with told(as_json) as (screen, services):
        ratings = import_sheet(name, rater, path, services)
        if as_json:
            print_json({"task": name, "rater": rater, "ratings": ratings})
            return
        screen.done("ratings.imported", ratings=ratings, rater=rater)


@app.command("judge", help=_help("help_judge"))
def judge(
    name: TaskName,
    url: Annotated[str, typer.Option("--url", help=_help("opt_url"))],
    model: Annotated[str, typer.Option("--model", help=_help("opt_model"))],
    api_key_file: Annotated[str | None, typer.Option("--api-key-file", help=_help("opt_key"))] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help=_help("opt_max_tokens"))] = 512,
    max_items: Annotated[int | None, typer.Option("--max-items", min=1, help=_help("opt_max_items"))] = None,
    as_json: AsJson = False,
) -> None:
    """Have a judging model rate every item of a task."""
    from cli.run_stage import validated
    from contracts.judging import JudgeRequest
    from stages.judge import judge_task
    from stages.progress import LoggedProgress

    with told(as_json) as (screen, services):
        endpoint = {"url": url, "model": model, "api_key_file": api_key_file, "max_tokens": max_tokens}
        request = validated(JudgeRequest, {"task": name, "judge": endpoint, "max_items": max_items})
        progress = LoggedProgress()
        judged = judge_task(request, services, lambda done, total: progress("asking the judge", done, total))
        if as_json:
            print_json(judged.model_dump(mode="json"))
        else:
            _show_judged(judged, screen)


@app.command("agreement", help=_help("help_agreement"))
def agreement(name: TaskName, as_json: AsJson = False) -> None:
    """How far experts agree with each other and judges with them, and whether a judge may gate."""
    from stages.rating_tasks import agreement_of, licences_of

    with told(as_json) as (screen, services):
        report = agreement_of(name, services)
        licences = licences_of(report, services)
        if as_json:
            found = report.model_dump(mode="json")
            print_json({**found, "licences": [licence.model_dump(mode="json") for licence in licences]})
        else:
            _show_agreement(report, licences, screen)


def _table(screen: Screen, *columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(screen.text(f"ratings.{column}"), overflow="fold")
    return table


def _show_tasks(tasks: list[RatingTask], screen: Screen) -> None:
    table = _table(screen, "name", "kind", "suite", "items", "begun")
    for task in tasks:
        table.add_row(
            task.name,
            screen.text(f"ratings.kind_{task.kind.value}"),
            task.suite_name,
            str(task.items),
            task.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        )
    screen.out.print(table)


def _show_judged(judged: JudgedTask, screen: Screen) -> None:
    if judged.pairwise is not None:
        report = judged.pairwise
        screen.done(
            "ratings.judged_pairs", n=report.n, model_b=report.model_b, rate=_estimate(report.win_rate_b),
            wins=report.wins_b, ties=report.ties, losses=report.wins_a, p=significance(report.sign_test_p),
        )  # fmt: skip
        screen.say("ratings.consistency", share=_estimate(report.consistency))
        if report.first_position_rate is not None:
            screen.say("ratings.first_position", share=_estimate(report.first_position_rate))
        excluded = report.excluded
    else:
        assert judged.rubric is not None
        screen.done("ratings.judged_scores", n=judged.rubric.n, score=_estimate(judged.rubric.mean_score))
        excluded = judged.rubric.excluded
    if excluded:
        screen.warn("ratings.excluded", reasons=", ".join(f"{name} {count}" for name, count in excluded.items()))


def _show_agreement(report: AgreementReport, licences: list[JudgeLicence], screen: Screen) -> None:
    for rater, count in report.counts.by_rater.items():
        screen.say("ratings.progress", rater=rater, done=count, total=report.counts.items)
    if report.experts is None:
        screen.say("ratings.one_expert")
    else:
        screen.say("ratings.experts", numbers=_numbers(report.experts))
    for one, licence in zip(report.judges, licences, strict=True):
        screen.say("ratings.judge", judge=one.judge, numbers=_numbers(one.agreement))
        _show_confusion(one.confusion, screen)
        (screen.done if licence.may_gate else screen.warn)(
            "ratings.may_gate" if licence.may_gate else "ratings.may_not_gate",
            bar=f"{licence.bar:g}",
            items=licence.items,
            min_items=licence.min_items,
        )


def _show_confusion(confusion: Confusion, screen: Screen) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(screen.text("ratings.expert_by_judge"))
    for label in confusion.labels:
        table.add_column(label, justify="right")
    for label, counts in zip(confusion.labels, confusion.counts, strict=True):
        table.add_row(label, *map(str, counts))
    screen.out.print(table)


def _numbers(agreement: Agreement) -> str:
    parts = [f"n {agreement.items}", f"α({agreement.level.value}) {_coefficient(agreement.deciding)}"]
    if agreement.kappa is not None:
        parts.append(f"κ {_coefficient(agreement.kappa)}")
    if agreement.weighted_kappa is not None:
        parts.append(f"weighted κ {_coefficient(agreement.weighted_kappa)}")
    return ", ".join(parts)


def _coefficient(found: Coefficient) -> str:
    if found.value is None:
        return "-"
    bounds = "" if found.interval is None else f" [{found.interval.lower:.3f}, {found.interval.upper:.3f}]"
    return f"{found.value:.3f}{bounds}"


def _estimate(score: ScoreEstimate) -> str:
    bounds = "" if score.interval is None else f" [{score.interval.lower:.3f}, {score.interval.upper:.3f}]"
    return f"{score.value:.3f}{bounds}"
