"""What runs now, how long, with how much memory."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import psutil
from rich.table import Table

from cli.lifecycle import running_jobs
from cli.processes import memory_bytes
from cli.programs import platform_programs
from cli.screen import Screen, in_units
from cli.supervisor_client import SupervisorClient
from contracts.errors import NotFoundError
from contracts.record import utc_now
from settings import Settings
from storage.job_state import job_view

STATE_COLOURS = {"RUNNING": "green", "STARTING": "yellow", "BACKOFF": "red", "FATAL": "red", "EXITED": "red"}


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process of the table."""

    name: str
    state: str
    pid: int | None
    uptime_seconds: float | None
    memory_bytes: int | None
    port: int | None
    url: str | None


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job that runs or waits."""

    key: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """The whole installation now."""

    running: bool
    data_dir: str
    processes: list[ProcessRow]
    jobs: list[JobRow]
    free_disk_bytes: int

    @property
    def memory_bytes(self) -> int:
        """Memory of all processes, without jobs."""
        return sum(row.memory_bytes or 0 for row in self.processes)

    def as_json(self) -> dict[str, Any]:
        """For `tuneway status --json`."""
        return {**asdict(self), "memory_bytes": self.memory_bytes}


def read_status(settings: Settings) -> Status:
    """Ask the supervisor and the job folders."""
    states = SupervisorClient(settings).states()
    try:
        programs = {program.name.value: program for program in platform_programs(settings)}
    except NotFoundError:
        # before the first `tuneway up` there are no secrets, and nothing runs
        programs = {}
    now = utc_now()
    rows = []
    for name in [*programs, *sorted(set(states) - set(programs))]:
        program, state = programs.get(name), states.get(name)
        pid = state.pid if state else None
        rows.append(
            ProcessRow(
                name=name,
                state=state.state if state else "STOPPED",
                pid=pid,
                uptime_seconds=(now - state.started_at).total_seconds() if state and state.started_at else None,
                memory_bytes=memory_bytes(pid) if pid else None,
                port=program.port if program else None,
                url=program.url if program else None,
            )
        )
    place = settings.data_dir
    while not place.exists():
        place = place.parent
    return Status(
        running=bool(states),
        data_dir=str(settings.data_dir),
        processes=rows,
        jobs=[_job_row(folder) for folder in running_jobs(settings)],
        free_disk_bytes=psutil.disk_usage(str(place)).free,
    )


def _job_row(folder: Any) -> JobRow:
    view = job_view(folder)
    progress = view.progress
    detail = (
        ""
        if progress is None
        else " ".join(
            f"{name}={value}"
            for name, value in progress.model_dump(mode="json", exclude_none=True).items()
            if isinstance(value, int | float | str)
        )
    )
    return JobRow(key=view.job_key, state=view.state.value, detail=detail)


def show_status(status: Status, screen: Screen) -> None:
    """The table, the jobs, the totals."""
    if not status.running:
        screen.say("status.not_running")
        return
    table = Table(box=None, pad_edge=False)
    for key in ("name", "state", "pid", "uptime", "memory", "port", "url"):
        table.add_column(
            screen.text(f"status.{key}"),
            justify="right" if key in {"pid", "uptime", "memory", "port"} else "left",
            overflow="fold",
        )
    for row in status.processes:
        colour = STATE_COLOURS.get(row.state, "white")
        table.add_row(
            row.name,
            f"[{colour}]{row.state}[/{colour}]",
            str(row.pid or ""),
            "" if row.uptime_seconds is None else str(timedelta(seconds=int(row.uptime_seconds))),
            "" if row.memory_bytes is None else in_units(row.memory_bytes),
            str(row.port or ""),
            row.url or "",
        )
    screen.out.print(table)
    for job in status.jobs:
        screen.out.print(screen.text("status.job", job=job.key, state=job.state, detail=job.detail), markup=False)
    screen.out.print(
        screen.text(
            "status.totals",
            memory=in_units(status.memory_bytes),
            jobs=len(status.jobs),
            data_dir=status.data_dir,
            free=in_units(status.free_disk_bytes),
        ),
        markup=False,
        soft_wrap=True,
    )
