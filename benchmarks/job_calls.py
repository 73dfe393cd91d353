"""How long the admin API takes to create a job while Airflow is up, and a line of a job's log to reach who follows it.

    python -m benchmarks.job_calls --dataset 1 --base-model demo-base    # beside a running platform: TUNEWAY_DATA_DIR

Creates jobs through the real API, Airflow and runner, one after another; waits until one of them trains, appends lines
with the time to its log as the trainer does, and follows it by server-sent events. All jobs are stopped at the end.
"""

import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.measuring import parser, percentile, report
from contracts.errors import UnavailableError
from contracts.identity import AccountKind, Role
from settings import load_settings
from stages.accounts import add_account, create_key, set_active
from stages.services import open_services
from storage.job_folder import JobFolder
from storage.job_state import job_view

TRAINS_WITHIN_SECONDS = 300.0
CALM_SECONDS = 0.7
"""Between calls: a hundred a minute are let in from one address."""
MARK = "benchmark line "


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--dataset", type=int, default=1)
    arguments.add_argument("--base-model", default="demo-base")
    arguments.add_argument("--jobs", type=int, default=50)
    arguments.add_argument("--lines", type=int, default=1000)
    options = arguments.parse_args()
    if options.tiny:
        options.jobs, options.lines = 2, 50
    services = open_services(load_settings())
    account = f"bench-{uuid.uuid4().hex[:8]}"
    add_account(account, Role.ADMIN, "benchmark", services, kind=AccountKind.SERVICE)
    key = create_key(account, "job-calls", ["job:*", "dataset:read"], timedelta(hours=1), "benchmark", services).key
    url = f"{services.settings.resolved_serving_url}/api/v1/admin/finetuning/jobs"
    created: list[int] = []
    try:
        with httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=60) as api:
            try:
                took = [_create(api, url, account, options, created) for _ in range(options.jobs)]
                log = _training_log(created, services.settings)
                delays = _followed(api, f"{url}/{_number(log)}/logs/events", log, options.lines)
            finally:
                for number in reversed(created):
                    api.post(f"{url}/{number}/stop").raise_for_status()
                    time.sleep(CALM_SECONDS)
    finally:
        set_active(account, False, "benchmark", services)
    measured = {
        "create_ms": {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "most": round(max(took), 1)},
        "line_ms": {"p50": percentile(delays, 0.5), "p99": percentile(delays, 0.99), "most": round(max(delays), 1)},
        "lines": len(delays),
        "jobs": len(created),
    }
    cells = [*measured["create_ms"].values(), *measured["line_ms"].values()]  # type: ignore[attr-defined]
    report("job_calls", options, measured, [[len(created), len(delays), *cells]])


def _create(api: httpx.Client, url: str, account: str, options: Any, created: list[int]) -> float:
    """Milliseconds until the job is written down and its run is with Airflow."""
    time.sleep(CALM_SECONDS)
    body = {
        "job_name": f"{account}-{len(created)}",
        "base_model": options.base_model,
        "dataset_id": options.dataset,
        "method": "lora",
        "hyperparameters": {"num_epochs": 400},
        "gpu_ids": "0",
        "project": "benchmark",
        "priority": "low",
    }
    started = time.perf_counter()
    answer = api.post(url, json=body)
    took = (time.perf_counter() - started) * 1000
    answer.raise_for_status()
    assert answer.json()["is_started"], answer.text
    created.append(answer.json()["job"]["job_id"])
    return took


def _training_log(created: list[int], settings: Any) -> Path:
    """The log of the first of them that trains. Raises UnavailableError where none does in time."""
    deadline = time.monotonic() + TRAINS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        for number in created:
            folder = JobFolder(settings.jobs_dir / f"train-{number}")
            view = job_view(folder) if folder.submission.exists() else None
            if view is not None and view.progress is not None and view.progress.stage == "training":
                return folder.attempt(view.attempt).log
        time.sleep(0.5)
    raise UnavailableError("None of the jobs began to train", value=created, next_step="see Airflow's page")


def _number(log: Path) -> int:
    return next(int(part.removeprefix("train-")) for part in log.parts if part.startswith("train-"))


def _followed(api: httpx.Client, url: str, log: Path, lines: int) -> list[float]:
    """Milliseconds from each line's writing until a client has it."""

    def write() -> None:
        time.sleep(1.0)
        for _ in range(lines):
            with log.open("a", encoding="utf-8") as stream:
                stream.write(f"{MARK}{time.monotonic_ns()}\n")
            time.sleep(0.02)

    delays: list[float] = []
    writer = threading.Thread(target=write, daemon=True)
    with api.stream("GET", url) as response:
        response.raise_for_status()
        writer.start()
        for line in response.iter_lines():
            if MARK in line:
                delays.append((time.monotonic_ns() - int(line.rpartition(MARK)[2].split()[0].rstrip('"\\'))) / 1e6)
                if len(delays) == lines:
                    break
    writer.join()
    return delays


if __name__ == "__main__":
    main()
