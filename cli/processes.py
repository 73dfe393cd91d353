"""Which processes of this machine were started by this installation's supervisor."""

import os
import time
from pathlib import Path

import psutil

from settings import Settings

POLL_SECONDS = 0.1


def environment_of(pid: int) -> dict[str, str]:
    """The variables a process was started with; empty where they cannot be read."""
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in content.split(b"\0") if b"=" in entry)
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs}


def is_ours(pid: int, settings: Settings) -> bool:
    """The process carries this installation's marks."""
    environment = environment_of(pid)
    return environment.get("TUNEWAY_SUPERVISED") == "1" and environment.get("TUNEWAY_DATA_DIR") == str(
        settings.data_dir
    )


def _postgres_server(settings: Settings) -> list[psutil.Process]:
    """The postmaster named in the data folder, with its backends (they overwrite their variables)."""
    try:
        pid = int((settings.data_dir / "postgres" / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0])
        process = psutil.Process(pid)
        if str(settings.data_dir / "postgres") not in process.cmdline():
            return []
        return [process, *process.children(recursive=True)]
    except (OSError, ValueError, psutil.Error):
        return []


def own_processes(settings: Settings) -> list[psutil.Process]:
    """Everything this installation's supervisor started and what those started, without the present command's line."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = {process.pid: process for process in _postgres_server(settings)}
    for pid in psutil.pids():
        if pid not in spared and pid not in found and is_ours(pid, settings):
            try:
                found[pid] = psutil.Process(pid)
            except psutil.NoSuchProcess:
                continue
    return [process for pid, process in found.items() if pid not in spared and is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    """The very process still runs."""
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def name_of(process: psutil.Process) -> str:
    """Its program's name, or a question mark when it has just ended."""
    try:
        return process.name()
    except psutil.Error:
        return "?"


def await_end(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until they have ended, be it that nobody reaps them; those that have not."""
    until = time.monotonic() + seconds
    while (alive := [process for process in processes if is_alive(process)]) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return alive


def end_processes(processes: list[psutil.Process], grace_seconds: float = 10) -> list[psutil.Process]:
    """SIGTERM, then SIGKILL to those that stay; return those still there after it."""
    for process in processes:
        _signal(process, kill=False)
    alive = await_end(processes, grace_seconds)
    for process in alive:
        _signal(process, kill=True)
    return await_end(alive, 5)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        # psutil compares the start time first: a reused process id is left alone
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


def memory_bytes(pid: int) -> int:
    """Proportional memory of a process and its children."""
    total = 0
    try:
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            total += _proportional_memory(one)
    except psutil.Error:
        return total
    return total


def _proportional_memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, OSError):
        return 0
