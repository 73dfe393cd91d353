"""The two model servers on the same model: time to the first answer, memory, answers a second.

    python -m benchmarks.model_servers

Each is started twice: the first start also converts the model (embedded) or fills caches (vLLM). Then both stay up and
are asked in turns.
"""

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import MAX_TOKENS, Load, ask_for
from benchmarks.measuring import (
    base_model,
    demo_questions,
    middle,
    own_folder,
    own_settings,
    parser,
    pss_mib,
    report,
)
from deployment import client
from deployment.ephemeral import running_server
from deployment.specification import ServerSpec
from settings import load_settings
from storage.processes import children, process_tree

SERVED_NAME = "benchmark-base"
COMPARED_ANSWERS = 20


@dataclass(slots=True)
class Server:
    """One backend and what was measured of it."""

    backend: str
    url: str = ""
    pid: int = 0
    start_seconds: list[float] = field(default_factory=list)
    """Process start to the first answer, first and second start."""
    idle_mib: float = 0.0
    """After the first answer."""
    busy_mib: float = 0.0
    """After the last one."""
    answers: list[str] = field(default_factory=list)
    loads: dict[int, list[Load]] = field(default_factory=dict)
    """Rounds by concurrency."""

    def start(self, stack: ExitStack, spec: ServerSpec, folder: Path) -> None:
        """Serve until the stack closes."""
        settings = own_settings(model_server_backend=self.backend)
        before = set(children(os.getpid()))
        began = time.monotonic()
        endpoint = stack.enter_context(running_server(spec, settings, folder / f"{self.backend}.log"))
        self.start_seconds.append(time.monotonic() - began)
        self.url = endpoint.base_url
        (self.pid,) = set(children(os.getpid())) - before


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 32])
    arguments.add_argument(
        "--backends", nargs="+", choices=("embedded", "vllm"), help="those that are installed, unless given"
    )
    options = arguments.parse_args()
    if options.tiny:
        options.rounds, options.seconds, options.concurrency, options.backends = 1, 0.3, [2], ["embedded"]
    with own_folder() as folder:
        if options.backends is None:
            options.backends = ["embedded", *(["vllm"] if load_settings().vllm_python.is_file() else [])]
        _measure(options, folder)


def _measure(options: argparse.Namespace, folder: Path) -> None:
    model = base_model(folder)
    spec = ServerSpec(model_path=str(model), served_model_name=SERVED_NAME)
    questions = demo_questions()
    servers = [Server(backend) for backend in options.backends]
    with ExitStack() as stack:
        for server in servers:
            with ExitStack() as once:
                server.start(once, spec, folder)
        for server in servers:
            server.start(stack, spec, folder)
            server.idle_mib = pss_mib(server.pid)
            server.answers = [
                client.ask(server.url, SERVED_NAME, question, MAX_TOKENS) for question in questions[:COMPARED_ANSWERS]
            ]
        for number in range(options.rounds):
            for concurrency in options.concurrency:
                for server in servers if number % 2 == 0 else reversed(servers):
                    load = ask_for(server.url, SERVED_NAME, questions, concurrency=concurrency, seconds=options.seconds)
                    server.loads.setdefault(concurrency, []).append(load)
        for server in servers:
            server.busy_mib = pss_mib(server.pid)
        measured = [_summary(server) for server in servers]
    same = sum(len(set(answers)) == 1 for answers in zip(*(server.answers for server in servers), strict=True))
    report(
        "model_servers",
        options,
        {
            "model": model.name,
            "measured": measured,
            "ratios": _ratios(servers),
            "same_answers": f"{same} of {COMPARED_ANSWERS}",
        },
        [
            (
                *(line["backend"], line["start_seconds"][0], line["start_seconds"][1], line["idle_mib"]),
                *(line["busy_mib"], *(rate["requests_per_second"] for rate in line["load"])),
            )
            for line in measured
        ],
    )


def _summary(server: Server) -> dict[str, Any]:
    return {
        "backend": server.backend,
        "processes": len(process_tree(server.pid)),
        "start_seconds": [round(seconds, 2) for seconds in server.start_seconds],
        "idle_mib": round(server.idle_mib),
        "busy_mib": round(server.busy_mib),
        "load": [
            {
                "concurrency": concurrency,
                "requests_per_second": middle([load.requests_per_second for load in loads], 1),
                "median_ms": middle([load.median_ms for load in loads], 1),
            }
            for concurrency, loads in server.loads.items()
        ],
    }


def _ratios(servers: Sequence[Server]) -> dict[str, float]:
    """Requests a second of the first server against the second, round by round, by concurrency."""
    if len(servers) < 2:
        return {}
    first, second = servers
    return {
        str(concurrency): middle(
            [
                one.requests_per_second / other.requests_per_second
                for one, other in zip(loads, second.loads[concurrency], strict=True)
            ],
            2,
        )
        for concurrency, loads in first.loads.items()
    }


if __name__ == "__main__":
    main()
