"""Start a job's launcher on this host: by the runner, or by a stage's own process where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from glob import escape
from typing import TYPE_CHECKING

from contracts.enums import JobKind, LeaseKind
from contracts.errors import InvalidDataError
from contracts.record import utc_now
from storage.compiled_extensions import extensions_folder
from storage.files import read_json
from storage.job_state import host_of, job_folders, job_view, launchers_here
from storage.processes import ATTEMPT_VARIABLE, attempt_mark, host_name, is_alive

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.jobs import JobSubmission
    from contracts.record import JsonObject
    from settings import Settings
    from storage.job_folder import JobFolder

HOLDERS_FOLDER = "card-holders"
"""Below run_dir: one file for each process that holds cards without being a job."""
GPU_IDS_VARIABLE = "TUNEWAY_JOB_GPU_IDS"
"""The leased cards as a JSON list, for launcher.json."""
INTERFACE_VARIABLES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")
"""What NCCL and gloo read for the network interface between hosts."""


def acceptance(settings: Settings) -> JsonObject:
    """Content of an attempt's queued.json: from now on it is this host's."""
    return {"at": utc_now().isoformat(), "host": host_name(), "runner_url": settings.resolved_runner_url}


def is_of_host(folder: JobFolder, attempt: int, host: str) -> bool:
    """The attempt is that host's to start, to follow and to end. One that does not say whose it is is everybody's."""
    return host_of(folder, attempt) in {None, host}


def lease_owner(submission: JobSubmission) -> str:
    """Owner of the cards of one attempt: a later attempt never inherits or frees them."""
    return f"{submission.job_key}#{submission.attempt}"


def lease_kind(submission: JobSubmission) -> LeaseKind:
    """What its cards are for."""
    evaluates = submission.kind in {JobKind.EVALUATE, JobKind.EVALUATE_SUITES}
    return LeaseKind.EVALUATION if evaluates else LeaseKind.TRAINING


def slots(settings: Settings, gpus: int) -> int:
    """Cards that may be leased: gpu_slots, or fewer where the host has fewer. Without cards, CPU workers."""
    return min(settings.gpu_slots, gpus) if gpus else settings.gpu_slots


def job_cards(settings: Settings, gpus: int) -> list[int]:
    """Cards that jobs may get: all but those that are kept for model servers."""
    return [card for card in range(slots(settings, gpus)) if card not in settings.serving_gpus]


def holder_file(settings: Settings, owner: str) -> Path:
    """Who the process is that leases cards for itself: its identity, and the cards as `gpu_ids`."""
    return settings.run_dir / HOLDERS_FOLDER / f"{owner}.json"


def forget_holder(settings: Settings, owner: str) -> None:
    """Remove the holder's file, and what a kill in the middle of its writing left beside it."""
    path = holder_file(settings, owner)
    path.unlink(missing_ok=True)
    for unfinished in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        unfinished.unlink(missing_ok=True)


def cards_in_use(settings: Settings) -> set[int]:
    """Cards of the launchers and other holders that live on this host, whatever the database says.

    A host that lost its leases while the database was away must not give its cards out twice.
    """
    found: set[int] = set()
    for folder in job_folders(settings.jobs_dir):
        try:
            view = job_view(folder)
        except InvalidDataError:
            continue
        for launcher in launchers_here(folder, view.attempt):
            found.update(_cards_of(launcher))
    for path in (settings.run_dir / HOLDERS_FOLDER).glob("[!.]*.json"):
        holder = read_json(path)
        if holder is not None and is_alive(holder):
            found.update(_cards_of(holder))
    return found


def _cards_of(holder: JsonObject) -> list[int]:
    cards = holder["gpu_ids"]
    assert isinstance(cards, list)
    return [int(str(card)) for card in cards]


def start_launcher(
    settings: Settings, folder: JobFolder, submission: JobSubmission, cards: list[int], gpus: int, *, rank: int = 0
) -> subprocess.Popen[bytes]:
    """The launcher's process, in a session of its own; its output and the job's go to the attempt's log.

    `rank`: which part of an attempt over several hosts this one does; the first part's launcher is the attempt's.
    """
    attempt = folder.attempt(submission.attempt)
    paths = attempt.part(rank) if rank else attempt
    paths.root.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        **settings.as_environment(),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(settings.repository_root),
        "TORCH_EXTENSIONS_DIR": str(extensions_folder(settings.cache_dir)),
        GPU_IDS_VARIABLE: str(cards),
        ATTEMPT_VARIABLE: attempt_mark(folder.root, submission.attempt, rank),
        "CUDA_VISIBLE_DEVICES": ",".join(str(card) for card in cards) if gpus else "",
    }
    if not gpus:
        # Default threading was about ten times slower on shared cores, and one thread adds up in one order.
        environment["OMP_NUM_THREADS"] = "1"
    if settings.node_interface is not None and submission.num_nodes > 1:
        environment |= dict.fromkeys(INTERFACE_VARIABLES, settings.node_interface)
    program = ["runner.part_launcher", str(rank)] if rank else ["runner.launcher"]
    with paths.log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", program[0], str(folder.root), str(submission.attempt), *program[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=settings.repository_root,
            env=environment,
        )
