"""`tuneway evaluate`: ask one model one suite or several, and show what it scored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import print_json, told
from cli.texts import translate
from settings import language

if TYPE_CHECKING:
    from pathlib import Path

    from cli.screen import Screen
    from contracts.suites import ScoreEstimate, SuiteResult, SuitesReport
    from evaluation.test_cases import Suite
    from stages.evaluate_suites import SuitesPreview
    from stages.services import Services

POLL_SECONDS = 0.5
PLAIN_PROGRESS_POLLS = 20
"""Where there is no terminal to redraw, progress is told every 10 s."""
RATES = {"accuracy", "mean_score", "acc", "acc_norm", "f1"}
"""Scores that people read in percent."""


def _help(key: str) -> str:
    return translate(f"evaluate.{key}", language())


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help=translate("help.evaluate", language()))
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_help("arg_model"))],
    suites: Annotated[list[str], typer.Option("--suite", help=_help("opt_suite"))],
    max_cases: Annotated[int | None, typer.Option("--max-cases", min=1, help=_help("opt_max_cases"))] = None,
    max_answer_tokens: Annotated[
        int, typer.Option("--max-answer-tokens", min=1, max=8192, help=_help("opt_max_answer_tokens"))
    ] = 128,
    system_prompt: Annotated[str | None, typer.Option("--system-prompt", help=_help("opt_system_prompt"))] = None,
    judge_url: Annotated[str | None, typer.Option("--judge-url", help=_help("opt_judge_url"))] = None,
    judge_model: Annotated[str | None, typer.Option("--judge-model", help=_help("opt_judge_model"))] = None,
    speed: Annotated[bool, typer.Option("--speed", help=_help("opt_speed"))] = False,
    again: Annotated[bool, typer.Option("--again", help=_help("opt_again"))] = False,
    num_gpus: Annotated[int, typer.Option("--num-gpus", min=1, max=8, help=_help("opt_num_gpus"))] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_help("opt_dry_run"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", language()))] = False,
) -> None:
    """Evaluate, or with --dry-run tell what would be asked and what is known already."""
    from cli.run_stage import only_the_result_on_stdout, validated
    from contracts.suites import EvaluateSuitesRequest
    from stages import evaluate_suites as stage

    with told(as_json) as (screen, services):
        request = validated(
            EvaluateSuitesRequest,
            {
                "model": model,
                "suites": suites,
                "max_cases": max_cases,
                "max_answer_tokens": max_answer_tokens,
                "system_prompt": system_prompt,
                "judge_url": judge_url,
                "judge_model": judge_model,
                "speed": speed,
                "again": again,
                "num_gpus": num_gpus,
            },
        )
        if dry_run:
            _show_preview(stage.preview(request, services), screen, as_json=as_json)
            return
        key = stage.create_job(request, services).job_key
        with only_the_result_on_stdout(), _progress_of(key, services, screen):
            report = stage.evaluate_suites(request, services)
        if as_json:
            print_json(report.model_dump(mode="json"))
        else:
            show_report(report, screen)


@contextmanager
def _progress_of(job_key: str, services: Services, screen: Screen) -> Iterator[None]:
    """Show the job's progress while the block goes on."""
    from storage.job_folder import JobFolder

    path, ended = JobFolder(services.settings.jobs_dir / job_key).progress, threading.Event()
    thread = threading.Thread(target=_show_progress, args=(path, screen, ended), name="progress-shown", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        screen.idle()


def _show_progress(path: Path, screen: Screen, ended: threading.Event) -> None:
    from cli.follow_run import progress_line
    from contracts.training import JobProgress
    from storage.files import read_json

    polls = 0
    while not ended.wait(POLL_SECONDS):
        polls += 1
        value = read_json(path)
        if value is None:
            continue
        progress = JobProgress.model_validate(value)
        line = f"{progress_line(progress)}  {progress.message}"
        if screen.err.is_terminal:
            screen.busy("evaluate.progress", line=line)
        elif polls % PLAIN_PROGRESS_POLLS == 0:
            screen.say("evaluate.progress", line=line)


def show_report(report: SuitesReport, screen: Screen) -> None:
    """A line a suite, then what a reader should know of each."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("suite", "score", "value", "interval", "n", "excluded", "result"):
        table.add_column(screen.text(f"evaluate.{column}"), overflow="fold")
    for result in report.results:
        for place, score in enumerate(result.scores):
            is_first = place == 0
            table.add_row(
                _title(result) if is_first else "",
                score.name,
                _value(score, score.value),
                _interval(score, screen),
                str(score.n),
                str(sum(result.excluded.values())) if is_first else "",
                str(result.result_id) if is_first else "",
            )
    screen.out.print(table)
    for result in report.results:
        _tell(result, screen)
    for name in report.reused:
        screen.say("evaluate.reused", suite=name)


def _tell(result: SuiteResult, screen: Screen) -> None:
    name = _title(result)
    if result.unstable_answers:
        screen.warn("evaluate.unstable", suite=name, unstable=result.unstable_answers, repeated=result.repeated_answers)
    elif result.repeated_answers:
        screen.say("evaluate.stable", suite=name, repeated=result.repeated_answers)
    for reason, count in result.excluded.items():
        screen.say("evaluate.excluded_because", suite=name, count=count, reason=reason)


def _title(result: SuiteResult) -> str:
    version = result.conditions.suite_version
    return result.conditions.suite_name if version is None else f"{result.conditions.suite_name} v{version}"


def _value(score: ScoreEstimate, value: float) -> str:
    if score.name in RATES:
        return f"{value:.1%}"
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _interval(score: ScoreEstimate, screen: Screen) -> str:
    if score.interval is None:
        return screen.text("evaluate.no_interval")
    return f"{_value(score, score.interval.lower)} ~ {_value(score, score.interval.upper)}"


def _show_preview(found: SuitesPreview, screen: Screen, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "model": found.subject.model.model_dump(mode="json"),
                "engine": found.engine,
                "to_ask": [
                    {"suite": suite.name, "kind": suite.kind.value, "cases": _case_count(suite)}
                    for suite in found.to_ask
                ],
                "stored": [result.model_dump(mode="json") for result in found.stored],
            }
        )
        return
    screen.say("evaluate.model_is", model=found.subject.model.name, engine=found.engine)
    for suite in found.to_ask:
        screen.say("evaluate.would_ask", suite=suite.name, kind=suite.kind.value, cases=_case_count(suite))
    for result in found.stored:
        screen.say("evaluate.known", suite=_title(result), result=result.result_id)


def _case_count(suite: Suite) -> int:
    """Cases, or documents of a suite whose kind reads its own."""
    return len(suite.cases) or int(str(suite.settings.get("documents", 0)))
