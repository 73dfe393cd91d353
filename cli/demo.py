"""`tuneway demo`: the whole pipeline on the demo input, as a new user and as CI would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from cli.screen import Stopwatch, make_screen
from contracts.enums import Arm
from contracts.errors import JobFailedError, NotFoundError, UnavailableError
from contracts.pipeline import FinetuneRequest
from settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from cli.screen import Screen
    from contracts.evaluation import CaseResult
    from contracts.models import ArmEndpoint
    from contracts.pipeline import PipelineSummary

DAG_ID = "finetune_pipeline"
BASE_MODEL = "demo-base"
DAG_KNOWN_SECONDS = 120.0
"""The dag-processor was seen to take 20 s for its first pass on a busy machine."""
ANSWER_SECONDS = 120.0


def demo(
    run_id: Annotated[str | None, typer.Option(help="Id of the run; the same id again shows the same run.")] = None,
) -> None:
    """Run the whole pipeline on the demo input, from documents to a served model."""
    from cli.lifecycle import up
    from cli.summary import print_summary
    from stages.services import open_services
    from stages.summary import read_summary

    settings, screen, watch = load_settings(), make_screen(), Stopwatch()
    request = demo_request(settings)
    pretraining = start_pretraining(settings, screen)
    try:
        up(settings, screen)
        if pretraining is not None:
            await_pretraining(settings, screen, pretraining, watch)
    except BaseException:
        if pretraining is not None and pretraining.poll() is None:
            pretraining.terminate()
        raise
    run_id = run_id or f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
    run_pipeline(settings, screen, run_id, request)
    summary = read_summary(open_services(settings), run_id)
    print_summary(summary, screen)
    show_answers(settings, screen, summary)
    show_addresses(settings, screen)
    screen.done("demo.total", seconds=watch.seconds)


def demo_request(settings: Settings) -> FinetuneRequest:
    """What the demo asks of the pipeline: demo/request.json."""
    path = settings.repository_root / "demo" / "request.json"
    return FinetuneRequest.model_validate(json.loads(path.read_text(encoding="utf-8")))


def _base_model_folder(settings: Settings) -> Path:
    return settings.models_dir / "base" / BASE_MODEL


def _pretraining_log(settings: Settings) -> Path:
    return settings.logs_dir / "demo-base-model.log"


def start_pretraining(settings: Settings, screen: Screen) -> subprocess.Popen[bytes] | None:
    """Make the small base model beside the start of the platform; None where it is there."""
    folder = _base_model_folder(settings)
    if folder.exists():
        # the script itself decides whether what is there is what it would make
        screen.say("demo.base_model_there", path=folder)
    else:
        screen.say("demo.base_model")
    log = _pretraining_log(settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "demo.pretrain", "--output", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=settings.repository_root,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"},
        )


def await_pretraining(settings: Settings, screen: Screen, process: subprocess.Popen[bytes], watch: Stopwatch) -> None:
    """Wait for the base model, showing the script's last line. Raises JobFailedError."""
    log = _pretraining_log(settings)
    shown_at = 0.0
    while process.poll() is None:
        line = _last_line(log)
        if screen.err.is_terminal:
            screen.busy("demo.base_model_working", line=line)
        elif line and time.monotonic() - shown_at > 10:
            shown_at = time.monotonic()
            screen.say("demo.base_model_working", line=line)
        time.sleep(0.5)
    screen.idle()
    if process.returncode != 0:
        raise JobFailedError(
            "The demo's base model could not be made",
            value=_last_line(log),
            next_step=f"read {log}, then run the demo again",
        )
    screen.done("demo.base_model_done", seconds=watch.seconds)


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def run_pipeline(settings: Settings, screen: Screen, run_id: str, request: FinetuneRequest) -> None:
    """Trigger the DAG as CI would and show it to its end. Raises JobFailedError when the run fails."""
    from cli.follow_run import follow_run
    from cli.pipeline import connect
    from stages.runner_client import RunnerClient

    with connect() as client:
        deadline = time.monotonic() + DAG_KNOWN_SECONDS
        while True:
            try:
                client.check_dag(DAG_ID)
                break
            except (NotFoundError, UnavailableError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
        client.trigger(DAG_ID, run_id, request.model_dump(mode="json", exclude_defaults=True), note="tuneway demo")
        screen.done("demo.triggered", dag=DAG_ID, run_id=run_id)
        screen.say("demo.watch", url=client.page_of_run(DAG_ID, run_id))
        run = follow_run(client, RunnerClient(settings), DAG_ID, run_id, screen)
        if run.state != "success":
            raise JobFailedError(
                screen.text("demo.run_failed"),
                value=f"{run_id}: {run.state}",
                next_step=screen.text("demo.run_failed_next", url=client.page_of_run(DAG_ID, run_id)),
            )


def telling_case(cases: list[CaseResult]) -> CaseResult | None:
    """The first question that the tuned model answers and the base does not; else the first one."""
    won = (case for case in cases if case.tuned_correct and not case.base_correct)
    return next(won, cases[0] if cases else None)


def show_answers(settings: Settings, screen: Screen, summary: PipelineSummary) -> None:
    """Ask both arms one real question through the service's own door."""
    from rich.table import Table

    from stages.services import open_services

    if summary.deployment is None or summary.evaluation is None:
        screen.say("demo.no_arms")
        return
    with open_services(settings).unit_of_work() as uow:
        case = telling_case(uow.evaluations.cases(summary.evaluation.evaluation_id))
    if case is None:
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title=screen.text("demo.question"))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(screen.text("demo.asked"), case.question)
    for arm in sorted(summary.deployment.arms, key=lambda arm: arm.arm is Arm.B):
        answer = ask(summary.deployment.endpoint, arm, case.question)
        table.add_row(screen.text("demo.arm", arm=arm.arm.value.upper(), model=arm.served_model_name), answer)
    table.add_row(screen.text("demo.expected"), ", ".join(case.accepted_answers))
    screen.out.print(table)


def ask(endpoint: str, arm: ArmEndpoint, question: str) -> str:
    """One arm's answer, through the service's chat door."""
    import httpx

    body = {
        "model": arm.served_model_name,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": 128,
    }
    try:
        response = httpx.post(endpoint, json=body, timeout=ANSWER_SECONDS, trust_env=False)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise UnavailableError(
            "The chat door does not answer",
            value=f"{endpoint} ({error})",
            next_step="look at `tuneway status` and `tuneway logs serving-api`",
        ) from error
    return str(response.json()["choices"][0]["message"]["content"])


def show_addresses(settings: Settings, screen: Screen) -> None:
    """Where to look, with which login, and how to stop."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title=screen.text("demo.addresses"))
    for name, url, note in (
        (screen.text("demo.dashboard"), settings.resolved_dashboard_url, screen.text("demo.dashboard_login")),
        ("Airflow", settings.resolved_airflow_url, screen.text("demo.airflow_login")),
        ("MLflow", settings.resolved_mlflow_tracking_url, ""),
        (screen.text("demo.api"), f"{settings.resolved_serving_url}/docs", ""),
    ):
        table.add_row(name, url, note)
    screen.out.print(table)
    program = "./tuneway"
    screen.out.print(screen.text("demo.how_to_stop", down=f"{program} down", summary=f"{program} summary"))
