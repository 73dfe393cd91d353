"""`tuneway sweep`: sweeps over a recipe's numbers. Each command calls one function and shows its record."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answers import print_json, told
from cli.texts import translate
from contracts.enums import TrialState
from contracts.errors import InvalidRequestError
from contracts.sweeps import SweepReport, SweepRequest
from settings import language
from settings.logs import start_logging

if TYPE_CHECKING:
    from cli.screen import Screen
    from stages.services import Services

DAG = "tune_hyperparameters"
STATE_COLOURS = {
    TrialState.RUNNING: "green",
    TrialState.COMPLETED: "cyan",
    TrialState.PRUNED: "yellow",
    TrialState.FAILED: "red",
}


def _help(key: str) -> str:
    return translate(f"sweep.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.sweep", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]


@app.command(help=_help("help_start"))
def start(
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help=_help("arg_request"))],
    here: Annotated[bool, typer.Option("--here", help=_help("opt_here"))] = False,
    as_json: AsJson = False,
) -> None:
    """Trigger the DAG with the request, checked before; with --here, do the whole sweep in this process."""
    from cli.pipeline import connect
    from cli.run_stage import validated
    from stages.tune_hyperparameters import check_request

    with told(as_json) as (screen, services):
        wanted = validated(SweepRequest, _read(request))
        if here:
            _show(_sweep_here(wanted, services), screen, as_json=as_json)
            return
        check_request(wanted, services)
        with connect() as airflow:
            airflow.check_dag(DAG)
            run = airflow.trigger(
                DAG,
                f"{wanted.sweep_name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(3)}",
                wanted.model_dump(mode="json"),
                note="tuneway sweep start",
            )
            page = airflow.page_of_run(DAG, run.run_id)
        if as_json:
            print_json({"sweep_name": wanted.sweep_name, "dag_id": DAG, "run_id": run.run_id, "url": page})
            return
        screen.done("sweep.started", page=page)
        screen.say("sweep.show_with", name=wanted.sweep_name)


@app.command("list", help=_help("help_list"))
def list_all(as_json: AsJson = False) -> None:
    """Every sweep, newest first."""
    from stages.tune_hyperparameters import list_sweeps

    with told(as_json) as (screen, services):
        reports = list_sweeps(services)
        if as_json:
            print_json([report.model_dump(mode="json") for report in reports])
        elif reports:
            _show_list(reports, screen)
        else:
            screen.say("sweep.none")


@app.command(help=_help("help_show"))
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_help("arg_name"))],
    as_json: AsJson = False,
) -> None:
    """One sweep as it stands."""
    from stages.tune_hyperparameters import show_sweep

    with told(as_json) as (screen, services):
        _show(show_sweep(name, services), screen, as_json=as_json)


def _sweep_here(request: SweepRequest, services: Services) -> SweepReport:
    from cli.run_stage import only_the_result_on_stdout
    from stages.tune_hyperparameters import tune_hyperparameters

    start_logging("sweep")
    with only_the_result_on_stdout():
        return tune_hyperparameters(request, services)


def _read(path: Path) -> Any:
    """The request; JSON is YAML too."""
    import yaml

    try:
        return yaml.safe_load(sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidRequestError(
            "The request cannot be read", value=path, next_step=str(error).splitlines()[0]
        ) from error


def _show_list(reports: list[SweepReport], screen: Screen) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("name", "begun", "trials", "result"):
        table.add_column(screen.text(f"sweep.{column}"), overflow="fold")
    for report in reports:
        best = _results(report, report.best[0]) if report.best else ""
        table.add_row(
            report.sweep_name,
            report.started_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            f"{len(report.trials)}/{report.request.trials}",
            best,
        )
    screen.out.print(table)


def _show(report: SweepReport, screen: Screen, *, as_json: bool) -> None:
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("trial", "state", "values", "result", "job"):
        table.add_column(screen.text(f"sweep.{column}"), overflow="fold")
    for trial in report.trials:
        mark = "*" if trial.number in report.best else ""
        table.add_row(
            f"{trial.number}{mark}",
            f"[{STATE_COLOURS[trial.state]}]{screen.text(f'sweep.state_{trial.state.value}')}[/]",
            ", ".join(f"{name} {_short(value)}" for name, value in trial.values.items()),
            _results(report, trial.number) or trial.reason or "",
            "" if trial.job_id is None else f"train-{trial.job_id}",
        )
    screen.out.print(table)
    screen.say(
        "sweep.summary",
        name=report.sweep_name,
        trials=len(report.trials),
        wanted=report.request.trials,
        **{state.value: report.count(state) for state in TrialState},
    )
    if report.best:
        screen.say("sweep.best", numbers=", ".join(map(str, report.best)))
    if report.importances:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in report.importances.items())
        screen.say("sweep.importances", shares=shares)
    if report.recipe_name is not None:
        screen.say("sweep.recipe", name=report.recipe_name, path=report.recipe_path)
        screen.say("sweep.picture", path=report.picture_path)


def _results(report: SweepReport, number: int) -> str:
    return ", ".join(f"{metric.value} {value:.4g}" for metric, value in report.trials[number].results.items())


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
