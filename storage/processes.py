"""Processes of this host, told apart from later ones that got the same number."""

import ctypes
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

from contracts.record import JsonObject

PR_SET_PDEATHSIG = 1
ATTEMPT_VARIABLE = "TUNEWAY_JOB_ATTEMPT"
"""Environment variable by which every process of an attempt is recognised: `<job folder>#<attempt>`."""

KILL_SECONDS = 5.0
KILL_POLL_SECONDS = 0.02


def host_name() -> str:
    """Name of this machine among those that share a data folder: its cards are leased under it."""
    return socket.gethostname()


def boot_id() -> str:
    """Changes with each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_ticks(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; None when there is none or only its zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The program's name stands in brackets and may itself hold brackets: count from the last one.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def identity_of(pid: int) -> JsonObject:
    """What tells this process from any other before or after it."""
    return {"pid": pid, "start_ticks": start_ticks(pid), "boot_id": boot_id(), "host": host_name()}


def is_alive(identity: JsonObject) -> bool:
    """The very process of `identity_of` still runs on this host. Of another host's nothing can be seen: False."""
    pid, ticks = identity.get("pid"), identity.get("start_ticks")
    if not is_here(identity):
        return False
    if not isinstance(pid, int) or not isinstance(ticks, int) or identity.get("boot_id") != boot_id():
        return False
    return start_ticks(pid) == ticks


def is_here(identity: JsonObject) -> bool:
    """The process runs, or ran, on this host."""
    return identity.get("host", host_name()) == host_name()


def attempt_mark(job_folder: Path, attempt: int, rank: int = 0) -> str:
    """Value of ATTEMPT_VARIABLE; of an attempt over several hosts, each part has its own."""
    return f"{job_folder.resolve()}{f'@{rank}' if rank else ''}#{attempt}"


def processes_of_attempt(mark: str) -> list[int]:
    """Every living process that carries the mark, this one excepted."""
    wanted = f"{ATTEMPT_VARIABLE}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in environment and start_ticks(int(folder.name)) is not None:
            found.append(int(folder.name))
    return found


def kill_attempt(mark: str) -> list[int]:
    """SIGKILL to every process that carries the mark; the numbers of those there were.

    Returns once they are gone, and with them what they held of memory and cards; after `KILL_SECONDS` at the latest,
    since the kernel lets nothing end that waits for a disk or a card.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + KILL_SECONDS
    while living := processes_of_attempt(mark):
        for pid in living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update(living)
        if time.monotonic() > deadline:
            break
        time.sleep(KILL_POLL_SECONDS)
    return sorted(killed)


def die_with_parent() -> None:
    """From now on the kernel kills this process when its parent ends, however that happens."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Processes that `pid` started and that live."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, path.read_text(encoding="ascii").split())
        except OSError:
            continue  # the thread has ended meanwhile
    return found


def process_tree(pid: int) -> list[int]:
    """The process and all below it."""
    return [pid, *(below for child in children(pid) for below in process_tree(child))]


def resident_bytes(pids: list[int]) -> int | None:
    """Main memory of the processes, pages that several share divided among them; None where one of them has ended."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024
