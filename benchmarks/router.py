"""What the router costs, beside other routers in front of the same model server.

    python -m benchmarks.router --peers litellm,vllm-router,nginx     # or: tuneway bench router

The model server says the same to everyone at once, so that the routers are what is measured. Ours runs an A/B test:
sticky assignment, metrics, and every answer stored in PostgreSQL; the others pass through. CPU time is that of the
router's process tree (ours: until the last answer is stored), which a busy machine distorts less than time by the clock;
beside it that of the process that answers alone. What a router adds to one question after the other is told twice: of all
routers in turns, and of each a hundred times in a row while no processor falls asleep. Memory is held to its bar for the
process that answers.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from benchmarks.measuring import (
    KIB_PER_MIB,
    REPOSITORY_ROOT,
    awake_processors,
    cpu_seconds,
    own_cpu_seconds,
    own_folder,
    own_settings,
    parser,
    report,
)
from benchmarks.router_peers import INSTALL, find_peer, running_peer
from benchmarks.stub_server import ANSWER, CHUNKS, STREAM
from benchmarks.wire_load import WireLoad, ask_on_the_wire, sequential_us
from contracts.enums import Arm
from contracts.errors import TunewayError, UnavailableError
from database.embedded import EmbeddedPostgres
from database.migrate import upgrade
from deployment.client import is_healthy
from settings import Settings
from stages.services import Services, open_services
from storage.processes import process_tree
from tests.ports import free_port
from tests.serving_api.running import add_model, make_secrets, start_experiment

HOST = "127.0.0.1"
START_SECONDS = 120.0
STORING_SECONDS = 30.0
OURS = "tuneway"
IN_A_ROW = 100
"""Questions asked of one router, one after the other, before the next has its turn."""
BARS = {
    "cpu_us_32": 60.0,
    "cpu_us_per_chunk": 35.0,
    "added_sequential_us": 100.0,
    "rss_mib": 80.0,
    "cpu_256_to_8": 2.0,
    "cpu_to_vllm_router": 1.5,
    "cpu_to_litellm": 0.01,
}


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--peers", default="", help=f"with commas between: {', '.join(INSTALL)}")
    arguments.add_argument("--peers-dir", action="append", default=[], help="folder with their programs")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[8, 32, 256])
    arguments.add_argument("--streams", type=int, default=64)
    arguments.add_argument("--sequential", type=int, default=2000, help="questions asked one after the other")
    options = arguments.parse_args()
    if options.tiny:
        options.rounds, options.seconds, options.concurrency = 1, 0.3, [2, 4]
        options.streams, options.sequential = 2, 20
    with own_folder() as folder:
        _measure(options, folder)


def _measure(options: argparse.Namespace, folder: Path) -> None:
    names = [name for name in options.peers.split(",") if name]
    programs = {name: find_peer(name, options.peers_dir) for name in names}
    missing = {name: INSTALL[name] for name, program in programs.items() if program is None}
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        services, stub, ours = stack.enter_context(running_tuneway(folder))
        contestants = {OURS: ours}
        for name, program in programs.items():
            if program is not None:
                try:
                    peer = stack.enter_context(running_peer(name, program, stub, folder / name))
                except TunewayError as error:
                    failed[name] = error.sentence()
                else:
                    contestants[name] = Contestant(name, peer.url, "stub", peer.pid)
        measured = _rounds(options, contestants, f"http://{stub}/v1")
        asked = contestants[OURS].asked
        stored = _stored(services, asked)
    report(
        "router",
        options,
        {
            "measured": measured,
            "bars": _bars(measured),
            "routed_requests": asked,
            "answers_stored": stored,
            "missing_peers": missing,
            "failed_peers": failed,
        },
        [_titles(options), *(_cells(line, options) for line in measured)],
    )
    for name, how in missing.items():
        sys.stderr.write(f"{name} is not installed: {how}, then --peers-dir peers/bin\n")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU microseconds a question."""

    all_processes: float
    answering: float
    """Of the process that answers."""


class Contestant:
    """A router on its port."""

    def __init__(self, name: str, url: str, model: str, pid: int, ready_url: str | None = None) -> None:
        self.name, self.url, self.model, self.pid = name, url, model, pid
        self.ready_url = ready_url
        self.asked = 0

    def ask(self, concurrency: int, seconds: float, *, stream: bool = False) -> tuple[WireLoad, Used]:
        """The load, and what it took."""
        before = cpu_seconds(self.pid), own_cpu_seconds(self.pid)
        load = ask_on_the_wire(
            self.url,
            self.model,
            concurrency=concurrency,
            seconds=seconds,
            expected=STREAM if stream else ANSWER,
            stream=stream,
        )
        self.wait_until_stored()
        self.asked += load.requests
        after = cpu_seconds(self.pid), own_cpu_seconds(self.pid)
        used = [(end - begin) / load.requests * 1e6 for begin, end in zip(before, after, strict=True)]
        return load, Used(*used)

    def wait_until_stored(self) -> None:
        """What the background still has to do belongs to what was asked."""
        if self.ready_url is None:
            return
        deadline = time.monotonic() + STORING_SECONDS
        while time.monotonic() < deadline:
            with urllib.request.urlopen(self.ready_url, timeout=10) as response:  # noqa: S310 - our own
                if json.load(response)["events_waiting_bytes"] == 0:
                    return
            time.sleep(0.1)

    def rss_mib(self, *, answering: bool) -> float:
        """Resident memory of the process that answers, or of all of them."""
        return sum(map(_rss_mib, [self.pid] if answering else process_tree(self.pid)))


def _rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / KIB_PER_MIB


def _rounds(options: argparse.Namespace, contestants: dict[str, Contestant], stub_url: str) -> list[dict[str, Any]]:
    cpu: dict[str, dict[int, list[Used]]] = {name: {count: [] for count in options.concurrency} for name in contestants}
    loads: dict[str, dict[int, list[WireLoad]]] = {
        name: {count: [] for count in options.concurrency} for name in contestants
    }
    chunks: dict[str, list[float]] = {name: [] for name in contestants}
    streams: dict[str, list[WireLoad]] = {name: [] for name in contestants}
    for contestant in contestants.values():
        contestant.ask(4, min(options.seconds, 1.0))
    for _ in range(options.rounds):
        for count in options.concurrency:
            for name, contestant in contestants.items():
                load, used = contestant.ask(count, options.seconds)
                cpu[name][count].append(used)
                loads[name][count].append(load)
        for name, contestant in contestants.items():
            load, used = contestant.ask(options.streams, options.seconds, stream=True)
            chunks[name].append(used.all_processes / CHUNKS)
            streams[name].append(load)
    urls = {name: (contestant.url, contestant.model) for name, contestant in contestants.items()}
    asked = {"direct": (stub_url, "stub"), **urls}
    in_turns = sequential_us(asked, options.sequential, in_a_row=1)
    with awake_processors():
        awake = sequential_us(asked, options.sequential, in_a_row=IN_A_ROW)
    contestants[OURS].asked += 2 * options.sequential
    contestants[OURS].wait_until_stored()
    lines = []
    for name, contestant in contestants.items():
        everything = [load for some in loads[name].values() for load in some] + streams[name]
        lines.append(
            {
                "router": name,
                "cpu_us": _cpu(cpu[name], lambda used: used.all_processes, median),
                "cpu_us_least": _cpu(cpu[name], lambda used: used.all_processes, min),
                "cpu_us_answering": _cpu(cpu[name], lambda used: used.answering, median),
                "loads": {str(count): some[-1].summary() for count, some in loads[name].items()},
                "cpu_us_per_chunk": round(median(chunks[name]), 1),
                "chunks_read_per_stream": round(
                    sum(load.pieces for load in streams[name]) / sum(load.requests for load in streams[name]), 1
                ),
                "first_token_ms": round(median([value for load in streams[name] for value in load.first_ms]), 2),
                "sequential_us": in_turns[name],
                "added_sequential_us": round(in_turns[name] - in_turns["direct"], 1),
                "added_awake_us": round(awake[name] - awake["direct"], 1),
                "rss_mib": round(contestant.rss_mib(answering=True), 1),
                "rss_all_mib": round(contestant.rss_mib(answering=False), 1),
                "failures": sum(len(load.failures) for load in everything),
                "other_bodies": sum(load.other_bodies for load in everything),
            }
        )
    return lines


def _cpu(
    found: dict[int, list[Used]], of: Callable[[Used], float], middle: Callable[[list[float]], float]
) -> dict[str, float]:
    return {str(count): round(middle([of(used) for used in some]), 1) for count, some in found.items()}


def _bars(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was promised, and whether it holds here."""
    ours = measured[0]
    cpu = ours["cpu_us"]
    others = {line["router"]: line["cpu_us"].get("32") for line in measured[1:]}
    found = {
        "cpu_us_32": cpu.get("32"),
        "cpu_us_per_chunk": ours["cpu_us_per_chunk"],
        "added_sequential_us": ours["added_sequential_us"],
        "rss_mib": ours["rss_mib"],
        "cpu_256_to_8": round(cpu["256"] / cpu["8"], 2) if {"8", "256"} <= set(cpu) else None,
        "cpu_to_vllm_router": _ratio(cpu.get("32"), others.get("vllm-router")),
        "cpu_to_litellm": _ratio(cpu.get("32"), others.get("litellm")),
    }
    return [
        {
            "bar": name,
            "at_most": bar,
            "measured": found[name],
            "is_met": None if found[name] is None else found[name] <= bar,
        }
        for name, bar in BARS.items()
    ]


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else round(above / below, 4)


def _titles(options: argparse.Namespace) -> tuple[str, ...]:
    counts = (f"CPU µs at {count}" for count in options.concurrency)
    answering = (f"answering at {count}" for count in options.concurrency)
    rest = (
        "CPU µs a chunk",
        "added µs, one by one",
        "added, awake",
        "RSS MiB",
        "of all",
        "failures",
        "other bodies",
    )
    return ("router", *counts, *answering, *rest)


def _cells(line: dict[str, Any], options: argparse.Namespace) -> tuple[object, ...]:
    counts = (line["cpu_us"][str(count)] for count in options.concurrency)
    answering = (line["cpu_us_answering"][str(count)] for count in options.concurrency)
    rest = (
        "cpu_us_per_chunk",
        "added_sequential_us",
        "added_awake_us",
        "rss_mib",
        "rss_all_mib",
        "failures",
        "other_bodies",
    )
    return (line["router"], *counts, *answering, *(line[name] for name in rest))


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
def running_tuneway(folder: Path) -> Iterator[tuple[Services, str, Contestant]]:
    """The router with an A/B test of two models on one model server; also the services, and the server's host and port."""
    with ExitStack() as stack:
        database_url, _ = stack.enter_context(running_postgres(folder / "postgres"))
        upgrade(database_url)
        settings = own_settings(database_url=database_url, serving_port=free_port())
        make_secrets(settings.secrets_dir)
        services = open_services(settings)
        stub = stack.enter_context(running_stub(free_port()))
        first, second = (
            add_model(services, "stub", version, f"stub-v{version}", f"http://{stub}/v1", arm)
            for version, arm in (("1", Arm.A), ("2", Arm.B))
        )
        start_experiment(services, first, second)
        url, pid = stack.enter_context(running_router(settings, folder / "router.log"))
        yield services, stub, Contestant(OURS, url, "auto", pid, ready_url=url.replace("/v1", "/ready"))


@contextmanager
def running_postgres(folder: Path) -> Iterator[tuple[str, int]]:
    """URL and process id of a PostgreSQL from the wheel."""
    server = EmbeddedPostgres(folder, HOST, free_port(), uuid.uuid4().hex)
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
def running_stub(port: int) -> Iterator[str]:
    """Host and port of the model server that costs nothing."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.stub_server", str(port)], cwd=REPOSITORY_ROOT)
    deadline = time.monotonic() + START_SECONDS
    try:
        while not is_healthy(f"http://{HOST}:{port}/v1"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise UnavailableError("The model server of the benchmark did not start", value=port)
            time.sleep(0.05)
        yield f"{HOST}:{port}"
    finally:
        process.terminate()
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
