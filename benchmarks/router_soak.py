"""Whether the router grows or loses anything under long load.

    python -m benchmarks.router_soak --requests 2000000     # or: tuneway bench router --soak 2000000

32 users ask without a pause, every tenth slice of time for streams. After each slice: memory of the process that answers and of
all, open files and threads, and the rows in PostgreSQL are counted and then removed, so that millions of questions need no disk.
"""

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.measuring import own_folder, parser, report
from benchmarks.router import STORING_SECONDS, Contestant, running_tuneway
from benchmarks.wire_load import WireLoad
from stages.services import Services
from storage.processes import process_tree

IN_FLIGHT = 32
SLICE_SECONDS = 5.0
STREAMS_EACH = 10
WARM_SHARE = 0.1
"""Of the questions: pools, caches and heap reach their size; growth counts from there on."""


def main() -> None:
    """Ask, count and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--requests", type=int, default=2_000_000)
    arguments.add_argument("--max-seconds", type=float, default=None, help="end earlier")
    options = arguments.parse_args()
    if options.tiny:
        options.requests = 200
    with own_folder() as folder:
        _measure(options, folder)


def _measure(options: argparse.Namespace, folder: Path) -> None:
    with ExitStack() as stack:
        services, _, ours = stack.enter_context(running_tuneway(folder))
        points = _soak(options, services, ours)
    warm = next(point for point in points if point["requests"] >= WARM_SHARE * points[-1]["requests"])
    last = points[-1]
    report(
        "router_soak",
        options,
        {
            "requests": last["requests"],
            "seconds": last["seconds"],
            "failures": last["failures"],
            "other_bodies": last["other_bodies"],
            "lost_rows": last["requests"] - last["rows"],
            "rss_mib": {"warm": warm["rss_mib"], "end": last["rss_mib"]},
            "rss_growth_mib": round(last["rss_mib"] - warm["rss_mib"], 1),
            "rss_all_mib": {"warm": warm["rss_all_mib"], "end": last["rss_all_mib"]},
            "open_files": {"warm": warm["open_files"], "end": last["open_files"]},
            "threads": {"warm": warm["threads"], "end": last["threads"]},
            "points": points,
        },
        [
            ("requests", "rows", "RSS MiB", "of all", "open files", "threads"),
            *(
                tuple(point[name] for name in ("requests", "rows", "rss_mib", "rss_all_mib", "open_files", "threads"))
                for point in points
            ),
        ],
    )


def _soak(options: argparse.Namespace, services: Services, ours: Contestant) -> list[dict[str, Any]]:
    loads: list[WireLoad] = []
    points: list[dict[str, Any]] = []
    rows = 0
    began = time.monotonic()
    slice_seconds = 0.5 if options.tiny else SLICE_SECONDS
    while True:
        stream = len(loads) % STREAMS_EACH == STREAMS_EACH - 1
        load, _ = ours.ask(IN_FLIGHT, slice_seconds, stream=stream)
        loads.append(load)
        rows += _counted_and_removed(services, ours.asked - rows)
        open_files, threads = _open_files_and_threads(ours.pid)
        points.append(
            {
                "requests": ours.asked,
                "rows": rows,
                "seconds": round(time.monotonic() - began, 1),
                "rss_mib": round(ours.rss_mib(answering=True), 1),
                "rss_all_mib": round(ours.rss_mib(answering=False), 1),
                "open_files": open_files,
                "threads": threads,
                "failures": sum(len(some.failures) for some in loads),
                "other_bodies": sum(some.other_bodies for some in loads),
            }
        )
        is_late = options.max_seconds is not None and time.monotonic() - began > options.max_seconds
        if ours.asked >= options.requests or is_late:
            return points


def _counted_and_removed(services: Services, expected: int) -> int:
    """Answers in PostgreSQL, once all are there or none comes any more."""
    deadline = time.monotonic() + STORING_SECONDS
    while True:
        with services.unit_of_work() as uow:
            rows = int(uow.session.execute(text("SELECT count(*) FROM ab_test_logs")).scalar_one())
            if rows >= expected or time.monotonic() > deadline:
                uow.session.execute(text("TRUNCATE ab_test_logs CASCADE"))
                return rows
        time.sleep(0.2)


def _open_files_and_threads(pid: int) -> tuple[int, int]:
    members = process_tree(pid)
    counts = [[len(list(Path(f"/proc/{member}/{name}").iterdir())) for member in members] for name in ("fd", "task")]
    return sum(counts[0]), sum(counts[1])


if __name__ == "__main__":
    main()
