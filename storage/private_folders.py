"""Private folders: where what is encrypted lies in clear while it is used, in memory where it fits, else on the disk.

Memory is /dev/shm: nothing of it is on a disk but what the machine swaps out. A folder is its owner's alone (mode 0700)
and is known by the folder that it serves, so that whoever comes after a kill removes it. On a disk that several hosts share
each has its own.
"""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from storage.processes import host_name

MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it are made with mode 0700 and refused where they exist
MEMORY_SHARE = 0.5
"""Of the memory that is free, so much at most holds what is in clear; more goes to the disk."""
_ON_DISK = ".private-"
_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def make_private_folder(serves: Path, purpose: str, needed_bytes: int) -> Path:
    """An empty folder for so many bytes; one left from before under the same purpose is removed."""
    remove_private_folders(serves, purpose)
    if needed_bytes <= MEMORY_SHARE * free_memory_bytes():
        place = MEMORY / f"{_prefix(serves)}{purpose}"
        with suppress(OSError):  # somebody else's of that name
            place.mkdir(mode=0o700)
            return place
    place = serves / f"{_ON_DISK}{purpose}.{host_name()}.tmp"
    place.mkdir(mode=0o700, parents=True)
    return place


def memory_folder() -> Path | None:
    """Where small files lie in memory; None where this machine has no such place."""
    return MEMORY if free_memory_bytes() else None


def private_folders(serves: Path, purpose: str = "*") -> list[Path]:
    """Those of the purpose, or all that serve the folder, on this host."""
    return [
        *MEMORY.glob(f"{_prefix(serves)}{purpose}"),
        *(path for path in serves.glob(f"{_ON_DISK}{purpose}.*tmp") if _host_of(path) in {"", host_name()}),
    ]


def remove_private_folders(serves: Path, purpose: str = "*") -> None:
    """Remove them, with what is in them."""
    for place in private_folders(serves, purpose):
        shutil.rmtree(place, ignore_errors=True)


def free_memory_bytes() -> int:
    """What /dev/shm, the machine and this process's control groups still give; 0 where there is no /dev/shm."""
    try:
        shared = shutil.disk_usage(MEMORY).free
    except OSError:
        return 0
    return max(0, min(shared, psutil.virtual_memory().available, *_control_group_rooms()))


def _control_group_rooms() -> list[int]:
    """Bytes up to the limit of each control group above this process that has one (version 2)."""
    rooms = []
    try:
        (mine,) = (
            line[3:] for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines() if line[:3] == "0::"
        )
    except (OSError, ValueError):
        return []
    group = _CONTROL_GROUPS / mine.lstrip("/")
    while group.is_relative_to(_CONTROL_GROUPS):
        with suppress(OSError, ValueError):  # the topmost has no limit, others say "max"
            limit = int((group / "memory.max").read_text(encoding="ascii"))
            rooms.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
        group = group.parent
    return rooms


def _host_of(place: Path) -> str:
    """Whose the folder on a disk is; empty for one of a version that did not say."""
    return place.name.removeprefix(_ON_DISK).removesuffix("tmp").strip(".").partition(".")[2]


def _prefix(serves: Path) -> str:
    return f"tuneway-{hashlib.sha256(bytes(serves.resolve())).hexdigest()[:16]}-"
