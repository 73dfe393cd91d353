"""Up and down: the platform of one machine, started in order, ended without remainder."""

import fcntl
import getpass
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cli.databases import create_databases, migrate_databases
from cli.doctor import blocking_findings
from cli.processes import await_end, end_processes, environment_of, is_alive, name_of, own_processes
from cli.programs import Program, ProgramName, all_programs, platform_programs, program_named
from cli.readiness import is_ready
from cli.screen import Screen, Stopwatch
from cli.secret_files import ensure_secrets, write_airflow_urls
from cli.supervisor_client import ProcessState, SupervisorClient
from cli.supervisor_config import MODEL_SERVERS, configuration_file, log_file, programs_dir, render_configuration
from contracts.enums import JobState
from contracts.errors import CapacityError, ConflictError, NotFoundError, TunewayError, UnavailableError
from database.embedded import embedded_postgres
from settings import Settings, refuse_weak_secrets
from settings.encryption import require_kept_apart
from stages.backups.mark import require_restored
from stages.runner_client import interrupt_jobs
from stages.services import open_services
from storage.files import write_text_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view
from storage.processes import ATTEMPT_VARIABLE

POLL_SECONDS = 0.5
LOG_LINES_SHOWN = 15
JOB_STOP_SECONDS = 45
"""Longer than the launcher's 30 s between SIGTERM and SIGKILL."""
SHUTDOWN_SECONDS = 90
AIRFLOW_STARTERS = (
    ProgramName.AIRFLOW_SCHEDULER,
    ProgramName.AIRFLOW_TRIGGERER,
    ProgramName.AIRFLOW_DAG_PROCESSOR,
    ProgramName.AIRFLOW_WORKER,
)
"""They would start a stopped job again."""


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Two `up` or `down` of one installation never run at the same time."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(settings.run_dir / "lifecycle.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConflictError(
            "Another `tuneway up` or `down` of this installation is at work",
            value=settings.data_dir,
            next_step="wait until it has ended",
        ) from error
    else:
        yield
    finally:
        os.close(descriptor)


def up(
    settings: Settings,
    screen: Screen,
    *,
    names: list[str] | None = None,
    wait: bool = True,
    timeout_seconds: float = 300,
) -> None:
    """Start what does not run yet (or those named), each after what it needs. Does nothing to what runs.

    Raises CapacityError or UnavailableError: what blocks the start, or which process did not come up and the end of
    its log.
    """
    watch = Stopwatch()
    os.umask(0o077)
    require_restored(settings.data_dir)
    client = SupervisorClient(settings)
    if not client.is_running():
        screen.busy("up.checking")
        refuse_when_blocked(settings, screen)
    make_folders(settings)
    with only_one(settings):
        if settings.production:
            refuse_weak_secrets(settings.secrets_dir, may_be_new=True)
            require_kept_apart(settings)
        made = ensure_secrets(settings)
        if made:
            screen.done("up.secrets", count=len(made), folder=settings.secrets_dir)
        write_airflow_urls(settings)
        programs = platform_programs(settings)
        for name in names or []:
            program_named(name, programs)
        wanted = [program for program in programs if not names or program.name in names]
        _launch_supervisor(settings, screen, client)
        states = client.states()
        starting = [program for program in wanted if not _is_up(states.get(program.name))]
        if starting:
            _prepare_postgres(settings, screen, client, programs, timeout_seconds)
            _prepare_databases(settings, screen)
            for program in starting:
                client.start(program.name)
        if not wait:
            screen.idle()
            screen.done("up.not_waited")
            return
        rest = [program for program in wanted if program.name is not ProgramName.POSTGRES or not starting]
        await_ready(settings, screen, client, rest, timeout_seconds, quiet=not starting)
    screen.idle()
    if starting:
        screen.done("up.done", seconds=watch.seconds)
    else:
        screen.done("up.already")
    _show_addresses(settings, screen, wanted)


def prepare_to_run(settings: Settings, name: str) -> tuple[list[str], dict[str, str]]:
    """Command and variables of one process in the foreground, after making what it alone needs.

    Raises NotFoundError listing the names there are.
    """
    bin_dir = Path(sys.executable).parent
    if name == MODEL_SERVERS:
        make_folders(settings)
        settings.supervisor_socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = configuration_file(settings)
        write_text_atomically(path, render_configuration(settings, []), mode=0o600)
        command = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", str(path)]
        return command, {"PATH": f"{bin_dir}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    if name == ProgramName.POSTGRES and settings.uses_embedded_postgres:
        make_folders(settings)
        ensure_secrets(settings)
        embedded_postgres(settings).initialise()
    program = program_named(name, all_programs(settings))
    return list(program.command), program.environment


def refuse_when_blocked(settings: Settings, screen: Screen) -> None:
    """Raise CapacityError with everything that stands in the way of a start."""
    findings = blocking_findings(settings, screen.language)
    if not findings:
        return
    screen.idle()
    raise CapacityError(
        screen.text("doctor.blocked", count=len(findings)),
        value="; ".join(f"{finding.check}: {finding.detail}" for finding in findings),
        next_step="; ".join(dict.fromkeys(finding.next_step for finding in findings)),
    )


def make_folders(settings: Settings) -> None:
    """The data folder and what every process expects in it."""
    # 0711: PostgreSQL's own account passes through to its folder, nobody lists what is there
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.data_dir.chmod(0o711)
    for folder in (
        settings.run_dir,
        programs_dir(settings),
        settings.logs_dir,
        settings.airflow_home,
        settings.jobs_dir,
        settings.drop_dir,
        settings.models_dir / "base",
    ):
        folder.mkdir(parents=True, exist_ok=True)


def _launch_supervisor(settings: Settings, screen: Screen, client: SupervisorClient) -> None:
    """Have supervisord run with the present configuration."""
    configuration = render_configuration(settings)
    path = configuration_file(settings)
    if client.is_running():
        if path.read_text(encoding="utf-8") != configuration:
            screen.warn("up.settings_changed")
        return
    leftovers = [process for process in own_processes(settings) if not _belongs_to_job(process)]
    if leftovers:
        screen.warn("up.leftovers", count=len(leftovers))
        end_processes(leftovers)
    write_text_atomically(path, configuration, mode=0o600)
    client.launch()


def _belongs_to_job(process: psutil.Process) -> bool:
    """A job of the runner outlives the runner and its supervisor: the next runner takes it over."""
    environment = environment_of(process.pid)
    return "TUNEWAY_JOB_GPU_IDS" in environment or ATTEMPT_VARIABLE in environment


def _is_up(state: ProcessState | None) -> bool:
    return state is not None and state.is_up


def _prepare_postgres(
    settings: Settings,
    screen: Screen,
    client: SupervisorClient,
    programs: list[Program],
    timeout_seconds: float,
) -> None:
    if not settings.uses_embedded_postgres:
        return
    server = embedded_postgres(settings)
    if not server.is_initialised:
        screen.busy("up.postgres_files")
        server.initialise()
    client.start(ProgramName.POSTGRES)
    postgres = program_named(ProgramName.POSTGRES, programs)
    await_ready(settings, screen, client, [postgres], timeout_seconds)


def _prepare_databases(settings: Settings, screen: Screen) -> None:
    screen.busy("up.databases")
    watch = Stopwatch()
    if settings.uses_embedded_postgres:
        create_databases(settings)
    migrate_databases(settings)
    screen.done("up.databases_done", seconds=watch.seconds)
    show_first_admin(settings, screen)


def show_first_admin(settings: Settings, screen: Screen) -> None:
    """Where nobody administers the platform yet, make the account and show its password: it is written nowhere."""
    from stages.accounts import ensure_first_admin

    made = ensure_first_admin(open_services(settings), getpass.getuser())
    if made is not None:
        screen.idle()
        screen.warn("up.first_admin", name=made.account.username, password=made.password)


def await_ready(
    settings: Settings,
    screen: Screen,
    client: SupervisorClient,
    programs: list[Program],
    timeout_seconds: float,
    *,
    quiet: bool = False,
) -> None:
    """Return when every program is ready. Raises UnavailableError naming the one that is not."""
    watch = Stopwatch()
    pending = list(programs)
    while pending:
        screen.busy("up.waiting", names=", ".join(program.name for program in pending))
        states = client.states()
        for program in list(pending):
            state = states.get(program.name)
            if state is None or state.has_given_up or (watch.seconds > timeout_seconds):
                raise _did_not_come_up(settings, program, state, watch.seconds)
            if is_ready(program, state, settings):
                pending.remove(program)
                if not quiet:
                    screen.done("up.ready", name=program.name, seconds=watch.seconds)
        if pending:
            time.sleep(POLL_SECONDS)


def _did_not_come_up(
    settings: Settings, program: Program, state: ProcessState | None, seconds: float
) -> UnavailableError:
    path = log_file(settings, program.name)
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    word = "unknown to the supervisor" if state is None else f"{state.state}, {state.description}"
    log_end = "\n    ".join(lines[-LOG_LINES_SHOWN:])
    return UnavailableError(
        f"The process {program.name} did not become ready within {seconds:.0f} s",
        value=f"{word}; the end of its log:\n    {log_end}",
        next_step=f"read `tuneway logs {program.name}`, correct the cause, then `tuneway up` again",
    )


def _show_addresses(settings: Settings, screen: Screen, programs: list[Program]) -> None:
    screen.say("up.addresses")
    for program in programs:
        if program.url is not None:
            screen.err.print(f"  {program.name:<20} {program.url}", soft_wrap=True)
    if any(program.name is ProgramName.AIRFLOW_API_SERVER for program in programs):
        screen.say("up.login")
    screen.say("up.how_to_stop")


def down(settings: Settings, screen: Screen) -> None:
    """End everything this installation started, and nothing else; return when it is gone."""
    watch = Stopwatch()
    client = SupervisorClient(settings)
    if not settings.data_dir.is_dir() or not (client.is_running() or own_processes(settings)):
        screen.done("down.not_running")
        return
    with only_one(settings):
        started = {process.pid: process for process in own_processes(settings)}
        supervisor_pid = client.pid()
        if supervisor_pid is not None:
            screen.busy("down.airflow")
            _stop_together(client, AIRFLOW_STARTERS)
        _stop_jobs(settings, screen)
        if supervisor_pid is not None:
            screen.busy("down.stopping")
            # side by side; supervisord itself would stop one after the other
            _stop_together(client, [name for name in client.states() if name != ProgramName.POSTGRES])
            client.shut_down()
            _await_end(supervisor_pid)
        # those that lost the marks (PostgreSQL's backends do) are known from before
        left = {**started, **{process.pid: process for process in own_processes(settings)}}
        alive = [process for process in left.values() if is_alive(process)]
        if alive:
            screen.warn("down.leftovers", names=", ".join(f"{name_of(process)} ({process.pid})" for process in alive))
            immortal = end_processes(alive)
            if immortal:
                raise UnavailableError(
                    "Some processes could not be ended",
                    value=", ".join(str(process.pid) for process in immortal),
                    next_step="look at them with ps; a process in state D waits for its disk",
                )
    screen.idle()
    screen.done("down.done", seconds=watch.seconds)


def _stop_together(client: SupervisorClient, names: Iterable[str]) -> None:
    """Stop those of the processes that run, and return when they have ended."""
    states = client.states()
    stopping = [name for name in names if name in states and states[name].pid]
    for name in stopping:
        client.stop(name, wait=False)
    watch = Stopwatch()
    while watch.seconds < SHUTDOWN_SECONDS:
        states = client.states()
        if not any(name in states and states[name].pid for name in stopping):
            return
        time.sleep(POLL_SECONDS)


def running_jobs(settings: Settings) -> list[JobFolder]:
    """Folders of the jobs whose newest attempt has not ended."""
    folders = []
    for path in sorted(settings.jobs_dir.glob("*/submission.json")):
        folder = JobFolder(path.parent)
        try:
            state = job_view(folder).state
        except TunewayError:
            continue
        if state in {JobState.RUNNING, JobState.QUEUED}:
            folders.append(folder)
    return folders


def _stop_jobs(settings: Settings, screen: Screen) -> None:
    """End the running jobs so that the next start goes on with them: training saves a checkpoint meanwhile."""
    running = [folder.root.name for folder in running_jobs(settings)]
    if not running:
        return
    screen.say("down.jobs", count=len(running), jobs=", ".join(running))
    interrupt_jobs(settings, JOB_STOP_SECONDS)


def _await_end(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        await_end([psutil.Process(pid)], SHUTDOWN_SECONDS)


def restart(settings: Settings, screen: Screen, name: str) -> None:
    """Stop one process, start it again and wait until it is ready. Raises NotFoundError, UnavailableError."""
    client = SupervisorClient(settings)
    states = client.states()
    if name not in states:
        raise NotFoundError(
            "There is no such process",
            value=name,
            allowed=", ".join(states) or "none: the platform is not running",
            next_step="see `tuneway status`",
        )
    client.stop(name)
    client.start(name)
    programs = [program for program in platform_programs(settings) if program.name == name]
    await_ready(settings, screen, client, programs, 120)
    screen.idle()
    screen.done("restart.done", name=name)
