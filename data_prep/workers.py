"""Numbered pieces of work done by several processes of their own: `python -m data_prep.workers MODULE FUNCTION PLAN`.

Each process opens the task once (`function(plan path)` gives a function of the piece's number), then reads numbers from
its standard input and answers each with a line when the piece is done. A piece writes its own files and leaves nothing
half done, so that a killed run goes on with the pieces that are missing. Processes of `multiprocessing` would not do:
tasks of Airflow may not have such children.
"""

import gc
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from queue import Empty, Queue

from contracts.errors import TunewayError, UnavailableError, error_from_record
from contracts.record import JsonObject
from data_prep.cluster import run_on_cluster
from settings import load_settings
from settings.encryption import use_encryption
from storage.encryption.installed import installation_of
from storage.processes import die_with_parent

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent
Task = Callable[[int], JsonObject]
"""Does the piece of that number and tells what is to be told of it."""


def default_workers() -> int:
    """One process for each core that this one may use."""
    return len(os.sched_getaffinity(0))


def run_pieces(
    module: str, function: str, plan: Path, pieces: Sequence[int], workers: int
) -> Iterator[tuple[int, JsonObject]]:
    """Do the pieces; yields each with what it told, in the order in which they end.

    Where the site has a cluster for it (setting data_scheduler), its workers do them. One piece, or one worker, is done
    in this process: starting another takes longer than most pieces. Raises the TunewayError of a piece that fails, or
    UnavailableError when a process vanishes; the rest is stopped.
    """
    settings = load_settings()
    if settings.data_scheduler is not None and len(pieces) > 1:
        yield from run_on_cluster(settings, module, function, plan, pieces)
        return
    workers = min(workers, len(pieces))
    if workers <= 1:
        task: Task = getattr(import_module(module), function)(plan)
        for piece in pieces:
            yield piece, task(piece)
        return
    waiting: Queue[int] = Queue()
    for piece in pieces:
        waiting.put(piece)
    answers: Queue[tuple[int, JsonObject] | Exception] = Queue()
    processes = [_start(module, function, plan) for _ in range(workers)]
    try:
        for process in processes:
            threading.Thread(target=_feed, args=(process, waiting, answers), daemon=True).start()
        for _ in pieces:
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _start(module: str, function: str, plan: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep.workers", module, function, str(plan)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY_ROOT,
        preexec_fn=die_with_parent,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY_ROOT),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **_whose_keys(plan),
        },
    )


def _whose_keys(plan: Path) -> dict[str, str]:
    """Where the process finds the keys of the files beside the plan: those that this one uses."""
    installation = installation_of(plan)
    if installation is None:
        return {}
    return {
        "TUNEWAY_DATA_DIR": str(installation.root),
        "TUNEWAY_ENCRYPTION": "on" if installation.encrypts else "off",
    }


def _feed(
    process: subprocess.Popen[str], waiting: "Queue[int]", answers: "Queue[tuple[int, JsonObject] | Exception]"
) -> None:
    """Give one process a piece at a time, until none waits."""
    assert process.stdin is not None
    assert process.stdout is not None
    while True:
        try:
            piece = waiting.get_nowait()
        except Empty:
            return
        try:
            process.stdin.write(f"{piece}\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (OSError, ValueError):  # ended, or closed by the other side because another piece failed
            line = ""
        if not line:
            answers.put(
                UnavailableError(
                    "A process that prepares data vanished",
                    value=f"exit code {process.wait()}",
                    next_step="run it again: it goes on with the pieces that are missing. If memory ran out "
                    "(`dmesg` tells), use fewer workers",
                )
            )
            return
        answer = json.loads(line)
        if "error" in answer:
            answers.put(error_from_record(answer["error"]))
            return
        answers.put((piece, answer["told"]))


def main(arguments: list[str]) -> None:
    """Become a worker."""
    module, function, plan = arguments
    use_encryption(load_settings())
    # what libraries print must not stand between the answers
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task: Task = getattr(import_module(module), function)(Path(plan))
    # a piece makes a million small objects that are gone with it; looking through them for cycles takes a sixth of its time
    gc.disable()
    for line in sys.stdin:
        answer: JsonObject
        try:
            answer = {"told": task(int(line))}
        except TunewayError as error:
            answer = {"error": error.as_record()}
        except Exception:
            traceback.print_exc()
            raise
        answers.write(json.dumps(answer, ensure_ascii=False) + "\n")
        answers.flush()
        gc.collect()


if __name__ == "__main__":
    main(sys.argv[1:])
