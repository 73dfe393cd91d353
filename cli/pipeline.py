"""`tuneway pipeline`: CI's door. Speaks to any Airflow over HTTP; reads nothing else of the platform's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, TypeVar

import typer

from contracts.datasets import DatasetVersion
from contracts.enums import GateDecision
from contracts.errors import InvalidRequestError, NotFoundError, TunewayError, UnavailableError
from contracts.evaluation import EvaluationReport, GateVerdict
from contracts.models import ModelVersion
from contracts.record import JsonObject, Record
from settings import load_settings
from settings.secrets import read_given_secret
from stages.airflow_client import AirflowClient, RunView, TaskView

AnyRecord = TypeVar("AnyRecord", bound=Record)

VALIDATE_REQUEST = "validate_request"
"""First task of every DAG: where it fails, the request was wrong."""
FINISH_RUN = "finish_run"
"""Last task of every DAG: it fails because another one has."""

app = typer.Typer(no_args_is_help=True, help="Trigger a pipeline on this or another machine's Airflow, and wait.")


class ExitCode(IntEnum):
    """What a CI job learns without reading anything."""

    PASSED = 0
    """The run succeeded, and its gate, if it has one, said yes."""
    FAILED = 1
    """The run failed at one of its stages."""
    REFUSED = 2
    """The request is wrong, was not accepted, or Airflow could not be reached."""
    BELOW_BAR = 3
    """The run succeeded and its gate said no, or not yet."""
    STILL_RUNNING = 4
    """--timeout passed first; the run goes on."""


class RunOutcome(Record):
    """A run's end, as it stands on stdout."""

    dag_id: str
    run_id: str
    state: str
    url: str
    gate: GateVerdict | None = None
    accuracy_base: float | None = None
    accuracy_tuned: float | None = None
    dataset_name: str | None = None
    dataset_version: str | None = None
    dataset_id: int | None = None
    model_name: str | None = None
    model_version: str | None = None
    model_id: int | None = None
    failed_tasks: dict[str, str] = {}
    """Failed tasks and the last error in each one's log."""

    @property
    def exit_code(self) -> ExitCode:
        """The verdict as a number."""
        if self.state == "failed":
            return ExitCode.REFUSED if VALIDATE_REQUEST in self.failed_tasks else ExitCode.FAILED
        if self.state != "success":
            return ExitCode.STILL_RUNNING
        if self.gate is not None and self.gate.decision is not GateDecision.PASS:
            return ExitCode.BELOW_BAR
        return ExitCode.PASSED


Url = Annotated[str | None, typer.Option(help="Airflow's address. Default: this machine's, from the settings.")]
Token = Annotated[
    str | None,
    typer.Option(help="Where the token is: a file, or the name of an environment variable. Never the token itself."),
]
User = Annotated[str | None, typer.Option(help="User name, where no token is given.")]
PasswordFile = Annotated[Path | None, typer.Option(help="File with that user's password.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print nothing but the JSON summary.")]
Timeout = Annotated[float | None, typer.Option(min=1, help="Seconds to wait at most; exit code 4 after that.")]
Poll = Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")]


@app.command()
def trigger(
    dag: Annotated[str, typer.Argument(help="finetune_pipeline, prepare_dataset, train_model, ...")],
    conf: Annotated[str, typer.Option(help="JSON file of the request; - reads standard input.")] = "",
    run_id: Annotated[str | None, typer.Option(help="The run's id; the same id again is the same run.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    url: Url = None,
    token: Token = None,
    user: User = None,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    poll: Poll = 2.0,
) -> None:
    """Start a run; with --wait, follow it. Exit code: 0 passed, 1 failed, 2 refused, 3 below the bar, 4 timeout."""
    with _errors_told(as_json):
        request = read_conf(conf)
        identity = run_id or f"cli__{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(3)}"
        with connect(url, token, user, password_file) as airflow:
            airflow.check_dag(dag)

            def begin() -> RunView:
                return airflow.trigger(dag, identity, request, note="tuneway pipeline trigger")

            # the same id again is the same run
            run = airflow.patiently(begin, poll_seconds=poll) if wait else begin()
            if not as_json:
                typer.echo(f"{run.dag_id} {run.run_id}: {airflow.page_of_run(dag, identity)}", err=True)
            if wait:
                run = show_progress(airflow, dag, identity, timeout, poll, is_quiet=as_json)
                outcome = airflow.patiently(lambda: outcome_of(airflow, run), poll_seconds=poll)
            else:
                outcome = outcome_of(airflow, run)
        typer.echo(outcome.model_dump_json(indent=1))
    raise typer.Exit(outcome.exit_code if wait else ExitCode.PASSED)


@app.command()
def wait(
    dag: Annotated[str, typer.Argument(help="The run's DAG.")],
    run_id: Annotated[str, typer.Argument(help="The run's id.")],
    url: Url = None,
    token: Token = None,
    user: User = None,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    poll: Poll = 2.0,
) -> None:
    """Follow a run to its end. Exit code: 0 passed, 1 failed, 2 refused, 3 below the bar, 4 timeout."""
    with _errors_told(as_json):
        with connect(url, token, user, password_file) as airflow:
            run = show_progress(airflow, dag, run_id, timeout, poll, is_quiet=as_json)
            outcome = airflow.patiently(lambda: outcome_of(airflow, run), poll_seconds=poll)
        typer.echo(outcome.model_dump_json(indent=1))
    raise typer.Exit(outcome.exit_code)


def connect(
    url: str | None = None, token: str | None = None, user: str | None = None, password_file: Path | None = None
) -> AirflowClient:
    """The given Airflow, or this machine's with the password that `tuneway up` has made."""
    if token is not None:
        return AirflowClient(url or load_settings().resolved_airflow_url, token=read_given_secret(token))
    if user is not None or password_file is not None:
        if user is None or password_file is None:
            raise InvalidRequestError(
                "A user's name and password belong together",
                value=f"--user {user}, --password-file {password_file}",
                next_step="give both, or --token",
            )
        password = read_given_secret(str(password_file))
        return AirflowClient(url or load_settings().resolved_airflow_url, username=user, password=password)
    settings = load_settings()
    if url is not None and url.rstrip("/") != settings.resolved_airflow_url:
        raise InvalidRequestError(
            "Another machine's Airflow asks who you are",
            value=url,
            allowed="--token, or --user and --password-file",
            next_step="give one of them",
        )
    from contracts.identity import PLATFORM_USER
    from settings.secrets import SecretName, read_secret

    try:
        password = read_secret(settings.secrets_dir, SecretName.AIRFLOW_PLATFORM_PASSWORD)
    except NotFoundError as error:
        raise NotFoundError(
            "This machine's platform has not been started yet",
            value=settings.data_dir,
            next_step="run `tuneway up`, or give --url and --token",
        ) from error
    return AirflowClient(settings.resolved_airflow_url, username=PLATFORM_USER, password=password)


def read_conf(source: str) -> JsonObject:
    """The request in a file or on standard input; empty where none is given."""
    if not source:
        return {}
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(
            f"The request cannot be read: {error}", value=source, next_step="correct --conf"
        ) from None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidRequestError(
            f"The request is not JSON: {error}", value=source, next_step="correct the file"
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequestError(
            "The request is not a JSON object",
            value=type(value).__name__,
            allowed='{"input_files": [...], ...}',
            next_step="correct the file",
        )
    return value


def show_progress(
    airflow: AirflowClient, dag_id: str, run_id: str, timeout: float | None, poll: float, *, is_quiet: bool
) -> RunView:
    """Follow the run; one line on stderr each time a task changes its state. The run as it was last seen."""
    told: dict[str, tuple[str | None, int]] = {}

    def say(line: str) -> None:
        if not is_quiet:
            typer.echo(f"{datetime.now().astimezone():%H:%M:%S} {line}", err=True)

    last: RunView | None = None
    unreachable = False

    def say_unreachable(error: UnavailableError) -> None:
        nonlocal unreachable
        if not unreachable:
            say(f"{error.what}, trying again")
        unreachable = True

    for run, tasks in airflow.follow(
        dag_id, run_id, poll_seconds=poll, timeout_seconds=timeout, on_unreachable=say_unreachable
    ):
        last, unreachable = run, False
        for task in tasks:
            now = (task.state, task.try_number)
            if task.state is not None and told.get(task.task_id) != now:
                told[task.task_id] = now
                say(progress_line(task))
    if last is None:
        return airflow.run(dag_id, run_id)
    say(f"{dag_id} {last.state}")
    return last


def progress_line(task: TaskView) -> str:
    """One task's state, and for how long it took once it has ended."""
    line = f"  {task.task_id:<20} {task.state}"
    if task.started_at is not None and task.ended_at is not None and task.state != "skipped":
        line += f" ({(task.ended_at - task.started_at).total_seconds():.0f} s)"
    return f"{line}, try {task.try_number}" if task.try_number > 1 else line


def outcome_of(airflow: AirflowClient, run: RunView) -> RunOutcome:
    """What the run's tasks have left, read over the API."""

    def find(task_id: str, kind: type[AnyRecord]) -> AnyRecord | None:
        value: Any = airflow.result(run.dag_id, run.run_id, task_id)
        return None if value is None else kind.model_validate(value)

    evaluation = find("collect_evaluation", EvaluationReport)
    dataset = find("prepare", DatasetVersion)
    model = find("register", ModelVersion)
    failed = [task for task in airflow.tasks(run.dag_id, run.run_id) if task.state == "failed"]
    causes = [task for task in failed if task.task_id != FINISH_RUN] or failed
    return RunOutcome(
        dag_id=run.dag_id,
        run_id=run.run_id,
        state=run.state,
        url=airflow.page_of_run(run.dag_id, run.run_id),
        gate=find("gate", GateVerdict),
        accuracy_base=None if evaluation is None else evaluation.main.base.accuracy,
        accuracy_tuned=None if evaluation is None else evaluation.main.tuned.accuracy,
        dataset_name=None if dataset is None else dataset.name,
        dataset_version=None if dataset is None else dataset.version,
        dataset_id=None if dataset is None else dataset.dataset_id,
        model_name=None if model is None else model.model_name,
        model_version=None if model is None else model.version,
        model_id=None if model is None else model.model_id,
        failed_tasks={task.task_id: _last_error(airflow, run, task) for task in causes},
    )


def _last_error(airflow: AirflowClient, run: RunView, task: TaskView) -> str:
    try:
        lines = airflow.log(run.dag_id, run.run_id, task.task_id, task.try_number).splitlines()
    except TunewayError as error:
        return f"its log could not be read: {error}"
    for line in reversed(lines):
        kind, found, sentence = line.partition(": ")
        if found and kind in {"AirflowFailException", "AirflowException"}:
            return sentence
    return next((line for line in reversed(lines) if " ERROR " in line), "its log has no error: was it ended by hand?")


@contextmanager
def _errors_told(as_json: bool) -> Iterator[None]:
    """A refusal in its four parts, without a traceback."""
    try:
        yield
    except TunewayError as error:
        if as_json:
            typer.echo(json.dumps({"error": error.as_record()}, ensure_ascii=False, indent=1))
        typer.echo(str(error), err=True)
        raise typer.Exit(ExitCode.REFUSED) from None
