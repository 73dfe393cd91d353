"""`tuneway job`: the runner's jobs. Each command calls one function of stages/jobs.py and shows its record."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import print_json, told
from cli.texts import translate
from contracts.enums import JobState
from settings import language

if TYPE_CHECKING:
    from rich.table import Table

    from cli.screen import Screen
    from contracts.enums import CompressionMethod
    from contracts.jobs import JobDetail, JobListing, JobView
    from stages.services import Services

STATE_COLOURS = {
    JobState.RUNNING: "green",
    JobState.QUEUED: "yellow",
    JobState.FAILED: "red",
    JobState.LOST: "red",
    JobState.STOPPED: "yellow",
    JobState.SUCCEEDED: "cyan",
}


def _help(key: str) -> str:
    return translate(f"job.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.job", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Job = Annotated[str, typer.Argument(metavar="JOB", help=_help("arg_job"))]


@app.command("list", help=_help("help_list"))
def list_all(
    running: Annotated[bool, typer.Option("--running", help=_help("opt_running"))] = False, as_json: AsJson = False
) -> None:
    """Every job, newest first."""
    from stages.jobs import list_jobs

    with told(as_json) as (screen, services):
        settings = services.settings
        listings = list_jobs(settings, {JobState.QUEUED, JobState.RUNNING} if running else None)
        if as_json:
            print_json(
                [
                    {"name": job.name, "compression": job.compression, **job.view.model_dump(mode="json")}
                    for job in listings
                ]
            )
        elif listings:
            _show_list(listings, screen)
        else:
            screen.say("job.none")


@app.command(help=_help("help_show"))
def show(job: Job, as_json: AsJson = False) -> None:
    """One job with its checkpoints."""
    from stages.jobs import describe_job, find_job

    with told(as_json) as (screen, services):
        settings = services.settings
        detail = describe_job(find_job(job, settings), settings)
        if as_json:
            print_json(detail.model_dump(mode="json"))
        else:
            _show_detail(detail, screen)


@app.command(help=_help("help_logs"))
def logs(
    job: Job,
    follow: Annotated[bool, typer.Option("--follow", "-f", help=translate("help.logs_follow", language()))] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help=translate("help.logs_lines", language()))] = 100,
    attempt: Annotated[int | None, typer.Option(min=1, help=_help("opt_attempt"))] = None,
    as_json: AsJson = False,
) -> None:
    """The log of a job's newest attempt; with --follow until the attempt has ended."""
    from cli import logs as log_files
    from stages.jobs import find_job
    from storage.job_state import job_view

    with told(as_json) as (screen, services):
        settings = services.settings
        folder = find_job(job, settings)
        number = attempt or job_view(folder).attempt
        path = folder.attempt(number).log
        text, offset = log_files.last_lines(path, lines) if path.exists() else ("", 0)
        if as_json:
            print_json({"job_key": folder.root.name, "attempt": number, "path": str(path), "lines": text.splitlines()})
            return
        sys.stdout.write(text)
        sys.stdout.flush()
        if not path.exists() and not follow:
            screen.say("logs.none", path=path)
        if follow:
            log_files.follow(path, offset, sys.stdout, goes_on=_until_ended(folder.attempt(number).exit))


@app.command(help=_help("help_stop"))
def stop(job: Job, as_json: AsJson = False) -> None:
    """Stop a job and say from which step it can go on."""
    from stages.jobs import find_job, stop_job
    from storage.job_state import job_view

    with told(as_json) as (screen, services):
        settings = services.settings
        folder = find_job(job, settings)
        key, before = folder.root.name, job_view(folder)
        screen.busy("job.stopping", job=key)
        view, step = stop_job(folder, settings)
        _record("job.stopped", key, services)
        screen.idle()
        if as_json:
            print_json(
                {**view.model_dump(mode="json"), "checkpoint_step": step, "was_running": before.finished_at is None}
            )
        elif before.state.is_final:
            screen.say("job.ended_before", job=key, state=screen.text(f"job.state_{view.state.value}"))
        elif step is None:
            screen.done("job.stopped_without", job=key)
        else:
            screen.done("job.stopped", job=key, step=step)
            screen.say("job.resume_with", job=key)


@app.command(help=_help("help_resume"))
def resume(
    job: Job,
    checkpoint: Annotated[str | None, typer.Option(help=_help("opt_checkpoint"))] = None,
    as_json: AsJson = False,
) -> None:
    """Start a job's next attempt; returns when the runner has accepted it."""
    from stages.jobs import find_job, resume_job

    with told(as_json) as (screen, services):
        settings = services.settings
        folder = find_job(job, settings)
        resumed = resume_job(folder, checkpoint, settings)
        _record("job.resumed", folder.root.name, services)
        view, step = resumed.job, resumed.checkpoint_step
        if as_json:
            told_once = {"checkpoint_step": step, "set_aside": resumed.set_aside}
            print_json({**view.model_dump(mode="json"), **told_once})
            return
        if step is None:
            screen.done("job.resumed_anew", job=view.job_key, attempt=view.attempt)
        else:
            screen.done("job.resumed", job=view.job_key, attempt=view.attempt, step=step)
        if resumed.set_aside:
            screen.say("job.set_aside_days", names=", ".join(resumed.set_aside), days=f"{settings.set_aside_days:g}")
        screen.say("job.follow_with", job=view.job_key)


def _record(action: str, key: str, services: Services) -> None:
    """Jobs are stopped and resumed also while PostgreSQL is away: the event then waits on disk."""
    from contracts.audit import AuditEvent
    from stages.audit_waiting import record_or_keep

    record_or_keep(
        AuditEvent(actor=getpass.getuser(), action=action, subject=f"job/{key.removeprefix('train-')}"), services
    )


def _until_ended(exit_file: Path) -> Callable[[], bool]:
    """True until one look after the attempt's end, so that its last lines are shown too."""
    ended = False

    def goes_on() -> bool:
        nonlocal ended
        before, ended = ended, exit_file.exists()
        return not before

    return goes_on


def _show_list(listings: list[JobListing], screen: Screen) -> None:
    table = _table(screen, "key", "name", "kind", "state", "attempt", "step", "loss", "speed", "eta", "started")
    for job in listings:
        view = job.view
        told = _progress(view, screen)
        if view.place is not None:
            told["step"] = screen.text("job.place_short", position=view.place.position, waiting=view.place.waiting)
        table.add_row(
            view.job_key,
            job.name,
            _kind(view, job.compression, screen),
            _state(view, screen),
            str(view.attempt),
            *(told.get(name, "") for name in ("step", "loss", "speed", "eta")),
            _moment(view.started_at),
        )
    screen.out.print(table)


def _show_detail(detail: JobDetail, screen: Screen) -> None:
    from rich.markup import escape

    from cli.screen import in_units
    from contracts.errors import error_from_record

    view = detail.view
    rows = {
        "key": view.job_key,
        "name": escape(detail.name),
        "kind": _kind(view, None if detail.compression is None else detail.compression.method, screen),
        "state": _state(view, screen),
        "place": _place(view, screen),
        "attempt": str(view.attempt),
        "gpus": ", ".join(map(str, view.gpu_ids)),
        **_progress(view, screen),
        "started": _moment(view.started_at),
        "finished": _moment(view.finished_at),
        "folder": escape(detail.folder),
        "log": escape(detail.log_path),
    }
    table = _table(screen)
    table.show_header = False
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(screen.text(f"job.{name}"), value)
    screen.out.print(table)
    for restart in detail.restarts:
        screen.warn(
            "job.restarted", at=str(restart.get("at"))[:19], what=restart.get("what"), value=restart.get("value") or ""
        )
    if detail.compression is not None:
        from stages.compression_report import compression_lines

        for line in compression_lines(detail.compression, screen.language):
            screen.out.print(escape(line))
    if detail.checkpoints:
        checkpoints = _table(screen, "checkpoint", "step", "loss", "eval_loss", "size")
        for saved in detail.checkpoints:
            checkpoints.add_row(
                saved.name,
                f"{saved.step:,}",
                *(f"{saved.metrics[name]:.4f}" if name in saved.metrics else "" for name in ("loss", "eval_loss")),
                in_units(saved.size_bytes),
            )
        screen.out.print(checkpoints)
    elif view.kind.value == "train":
        screen.say("job.no_checkpoints")
    if detail.set_aside:
        screen.say("job.set_aside", names=", ".join(detail.set_aside))
    if view.error is not None:
        screen.show_error(error_from_record(view.error))


def _kind(view: JobView, compression: CompressionMethod | None, screen: Screen) -> str:
    """What the job does; of a compression also how."""
    kind = screen.text(f"job.kind_{view.kind.value}")
    return kind if compression is None else f"{kind} ({compression.value})"


def _place(view: JobView, screen: Screen) -> str:
    """Where a waiting job stands, and when it will start."""
    place = view.place
    if place is None:
        return ""
    return screen.text(
        "job.place_value",
        position=place.position,
        waiting=place.waiting,
        start=_moment(place.expected_start_at) or screen.text("job.start_unknown"),
        reason=screen.text(f"job.waits_{place.reason}"),
    )


def _progress(view: JobView, screen: Screen) -> dict[str, str]:
    """The job's progress as a person reads it; what it has not told is left out."""
    from cli.screen import in_units
    from stages.progress import duration

    progress = view.progress
    if progress is None:
        return {}
    told = {
        "stage": progress.stage if not view.state.is_final else "",
        "step": f"{progress.step:,}/{progress.total_steps:,}" if progress.total_steps else "",
        "message": progress.message,
    }
    for name, value in (("loss", progress.loss), ("eval_loss", progress.eval_loss), ("grad_norm", progress.grad_norm)):
        told[name] = "" if value is None else f"{value:.4f}"
    told["learning_rate"] = "" if progress.learning_rate is None else f"{progress.learning_rate:.3g}"
    if progress.tokens_per_second is not None:
        told["speed"] = screen.text("job.speed_value", value=progress.tokens_per_second)
    if progress.memory_mb is not None:
        told["memory"] = in_units(progress.memory_mb * 1_000_000)
    if progress.eta_seconds is not None and not view.state.is_final:
        told["eta"] = duration(progress.eta_seconds)
    return told


def _state(view: JobView, screen: Screen) -> str:
    return f"[{STATE_COLOURS[view.state]}]{screen.text(f'job.state_{view.state.value}')}[/]"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _table(screen: Screen, *columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(screen.text(f"job.{column}"), overflow="fold")
    return table
