"""What the router costs: the same questions through serving_api and to the model server itself, in turns.

    python -m benchmarks.router

The router runs an A/B test of two versions that one embedded model server answers for, and stores every answer in
PostgreSQL, as in production. All processes share the machine: the ratio of requests a second tells what the router
takes from the model server where both compete for the same cores; its CPU time a request is the cost by itself.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.load import Load, ask_for
from benchmarks.measuring import (
    REPOSITORY_ROOT,
    base_model,
    cpu_seconds,
    demo_questions,
    middle,
    own_folder,
    own_settings,
    parser,
    report,
)
from contracts.enums import Arm
from contracts.errors import UnavailableError
from database.embedded import EmbeddedPostgres
from database.migrate import upgrade
from deployment.client import is_healthy
from deployment.ephemeral import free_port, running_server
from deployment.specification import ServerSpec
from settings import Settings
from stages.services import Services, open_services
from storage.processes import children
from tests.serving_api.running import add_model, make_secrets, start_experiment

HOST = "127.0.0.1"
SERVED_NAME = "benchmark-base"
START_SECONDS = 30.0
STORING_SECONDS = 20.0
"""Events are stored in the background; the last ones within a second or two."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One round at one concurrency: asked directly, then through the router, or the other way round."""

    direct: Load
    routed: Load
    server_cpu_ms: float
    """CPU time of the model server a routed request."""
    router_cpu_ms: float
    postgres_cpu_ms: float


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 32])
    arguments.add_argument("--stream", action="store_true", help="ask for streamed answers")
    options = arguments.parse_args()
    if options.tiny:
        options.rounds, options.seconds, options.concurrency = 1, 0.3, [2]
    with own_folder() as folder:
        _measure(options, folder)


def _measure(options: argparse.Namespace, folder: Path) -> None:
    model = base_model(folder)
    with running_postgres(folder / "postgres") as (database_url, postgres):
        upgrade(database_url)
        settings = own_settings(
            database_url=database_url, model_server_backend="embedded", serving_port=free_port(HOST)
        )
        make_secrets(settings.secrets_dir)
        services = open_services(settings)
        before = set(children(os.getpid()))
        spec = ServerSpec(model_path=str(model), served_model_name=SERVED_NAME)
        with running_server(spec, settings, folder / "model-server.log") as endpoint:
            (server,) = set(children(os.getpid())) - before
            first, second = (
                add_model(services, "benchmark", version, SERVED_NAME, endpoint.base_url, arm)
                for version, arm in (("v1", Arm.A), ("v2", Arm.B))
            )
            start_experiment(services, first, second)
            with running_router(settings, folder / "router.log") as (router_url, router):
                pids = {"server": server, "router": router, "postgres": postgres}
                urls = (endpoint.base_url, router_url)
                ask_for(urls[0], SERVED_NAME, demo_questions(), concurrency=4, seconds=0.5)
                warm_up = ask_for(urls[1], "auto", demo_questions(), concurrency=4, seconds=0.5)
                pairs = {concurrency: list[Pair]() for concurrency in options.concurrency}
                for number in range(options.rounds):
                    for concurrency in options.concurrency:
                        pairs[concurrency].append(_pair(options, urls, pids, concurrency, routed_first=number % 2 == 1))
                asked = warm_up.requests + sum(pair.routed.requests for some in pairs.values() for pair in some)
                stored = _stored(services, asked)
    measured = [{"concurrency": concurrency, **_summary(some)} for concurrency, some in pairs.items()]
    report(
        "router",
        options,
        {"model": model.name, "measured": measured, "routed_requests": asked, "answers_stored": stored},
        [
            (
                *(line["concurrency"], line["direct_requests_per_second"], line["routed_requests_per_second"]),
                *(line["ratio"], line["direct_median_ms"], line["routed_median_ms"]),
                *(line["router_cpu_ms"], line["postgres_cpu_ms"], line["server_cpu_ms"]),
            )
            for line in measured
        ],
    )


def _pair(
    options: argparse.Namespace, urls: tuple[str, str], pids: dict[str, int], concurrency: int, *, routed_first: bool
) -> Pair:
    def direct() -> Load:
        return ask_for(
            urls[0],
            SERVED_NAME,
            demo_questions(),
            concurrency=concurrency,
            seconds=options.seconds,
            stream=options.stream,
        )

    first = None if routed_first else direct()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    routed = ask_for(
        urls[1], "auto", demo_questions(), concurrency=concurrency, seconds=options.seconds, stream=options.stream
    )
    used = {name: (cpu_seconds(pid) - before[name]) * 1000 / routed.requests for name, pid in pids.items()}
    return Pair(first or direct(), routed, used["server"], used["router"], used["postgres"])


def _summary(pairs: list[Pair]) -> dict[str, Any]:
    return {
        "direct_requests_per_second": middle([pair.direct.requests_per_second for pair in pairs], 1),
        "routed_requests_per_second": middle([pair.routed.requests_per_second for pair in pairs], 1),
        "ratio": middle([pair.routed.requests_per_second / pair.direct.requests_per_second for pair in pairs], 2),
        "direct_median_ms": middle([pair.direct.median_ms for pair in pairs], 2),
        "routed_median_ms": middle([pair.routed.median_ms for pair in pairs], 2),
        "router_cpu_ms": middle([pair.router_cpu_ms for pair in pairs], 2),
        "postgres_cpu_ms": middle([pair.postgres_cpu_ms for pair in pairs], 2),
        "server_cpu_ms": middle([pair.server_cpu_ms for pair in pairs], 2),
    }


def _stored(services: Services, expected: int) -> int:
    """Answers in PostgreSQL, once all are there or none comes any more."""
    deadline = time.monotonic() + STORING_SECONDS
    while True:
        with services.unit_of_work() as uow:
            stored = int(uow.session.execute(text("SELECT count(*) FROM ab_test_logs")).scalar_one())
        if stored >= expected or time.monotonic() > deadline:
            return stored
        time.sleep(0.2)


@contextmanager
def running_postgres(folder: Path) -> Iterator[tuple[str, int]]:
    """URL and process id of a PostgreSQL from the wheel."""
    server = EmbeddedPostgres(folder, HOST, free_port(HOST), uuid.uuid4().hex)
    server.initialise()
    with (folder.parent / "postgres.log").open("wb") as log:
        process = subprocess.Popen(server.command(), stdout=log, stderr=log, start_new_session=True)
    try:
        server.wait_until_ready()
        server.create_database("tuneway")
        yield server.url("tuneway"), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=START_SECONDS)


@contextmanager
def running_router(settings: Settings, log_path: Path) -> Iterator[tuple[str, int]]:
    """OpenAI base URL and process id of the service."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving_api"], cwd=REPOSITORY_ROOT, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://{HOST}:{settings.ports['serving']}/v1"
    deadline = time.monotonic() + START_SECONDS
    try:
        while not is_healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise UnavailableError(
                    "The router did not start",
                    value=log_path.read_text(encoding="utf-8")[-1000:],
                    next_step="run `python -m serving_api` by hand",
                )
            time.sleep(0.05)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


if __name__ == "__main__":
    main()
