"""The inbox: files that people drop, taken once each, when they are whole.

A file is whole when nobody has written to it for a while. It is taken by renaming it into `taken/<date>/`, which
happens or does not: whoever is killed in between leaves it in one of the two places, and what was taken without a run
having begun is found again by `taken_files`.
"""

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from contracts.errors import InvalidRequestError
from contracts.record import utc_now
from data_prep.imports.input_files import COMPRESSIONS, FORMATS
from storage.files import fsync_path

TAKEN_FOLDER = "taken"
SETTLED_AFTER = timedelta(seconds=30)
"""Longer than the pauses of a copy over the network; a program that writes more slowly must write a temporary name."""
_TEMPORARY_ENDINGS = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp", ".download")
_TEMPORARY_STARTS = (".", "~", "_")
"""`~$book.xlsx` is Excel's lock; `_` is what Hadoop and others write before the name is right."""


@dataclass(frozen=True, slots=True)
class InboxFile:
    """A file that has settled, as it was seen."""

    path: Path
    size_bytes: int
    modified_ns: int


def settled_files(inbox: Path, *, settled_after: timedelta = SETTLED_AFTER) -> list[InboxFile]:
    """Files of the inbox that may be taken, the oldest first.

    Those with an ending that can be imported, not empty, not hidden or temporary, no links, and unchanged for
    `settled_after`. An inbox that does not exist is empty.
    """
    try:
        entries = list(os.scandir(inbox))
    except FileNotFoundError:
        return []
    now_ns = time.time_ns()
    wait_ns = int(settled_after.total_seconds() * 1e9)
    found = []
    for entry in entries:
        if not _is_wanted(entry.name):
            continue
        try:
            if not entry.is_file(follow_symlinks=False):
                continue
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # somebody took it meanwhile
            continue
        # a copy may keep the old time of the file it copies: the change of the entry itself cannot be set
        changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        if status.st_size > 0 and (now_ns - changed_ns >= wait_ns or settled_after <= timedelta(0)):
            found.append(InboxFile(Path(entry.path), status.st_size, status.st_mtime_ns))
    return sorted(found, key=lambda file: (file.modified_ns, file.path.name))


def take(file: InboxFile) -> Path | None:
    """Move the file to `taken/<date>/` of its inbox, and give its new place.

    None when another has taken it, or it has changed since it was seen: it is then settled later, or never. Of several
    that try, one gets it. A name that is taken already gets a number: `rows-2.csv`.
    """
    folder = file.path.parent / TAKEN_FOLDER / utc_now().date().isoformat()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = _reserved(folder, file.path.name)
    moved = False
    try:
        if _is_as_seen(file, file.path):
            file.path.rename(target)
            moved = True
    except FileNotFoundError:  # another was faster
        pass
    finally:
        if not moved:
            target.unlink()
    if not moved:
        return None
    if not _is_as_seen(file, target):
        # written to in the last moment: back it goes, unless a new file has its name already
        with suppress(FileExistsError):
            os.link(target, file.path)
            target.unlink()
        return None
    fsync_path(folder)
    fsync_path(file.path.parent)
    return target


def _reserved(folder: Path, name: str) -> Path:
    """A name in the folder that is free: kept by an empty file, which the move replaces."""
    number = 1
    while True:
        target = folder / _numbered(name, number)
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            number += 1
        else:
            return target


def _is_as_seen(file: InboxFile, path: Path) -> bool:
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.modified_ns)


def take_settled_files(inbox: Path, *, settled_after: timedelta = SETTLED_AFTER) -> list[Path]:
    """Take every file that has settled; gives their new places, the oldest first."""
    taken = (take(file) for file in settled_files(inbox, settled_after=settled_after))
    return [path for path in taken if path is not None]


def taken_files(inbox: Path, known: Sequence[Path] = ()) -> list[Path]:
    """Files that were taken, but for those known: after a kill, those for which nothing has been begun."""
    begun = {path.resolve() for path in known}
    # an empty file is a name that was reserved by somebody who was killed before the move
    found = (path for path in sorted((inbox / TAKEN_FOLDER).glob("*/*")) if path.is_file() and path.stat().st_size)
    return [path for path in found if path.resolve() not in begun]


def dataset_name_of(path: Path) -> str:
    """The dataset that a dropped file belongs to: what stands before `__` or a date in its name.

    `tolls__2026-11.csv`, `tolls-2026-11-24.csv` and `tolls.jsonl.gz` are all `tolls`. Raises InvalidRequestError when
    nothing is left that may name a dataset.
    """
    name = path.name.lower()
    for ending in (*COMPRESSIONS, *FORMATS):
        name = name.removesuffix(ending)
    name = re.split(r"__|[-_. ](?:19|20)\d\d", name)[0]
    name = re.sub(r"[^a-z0-9._-]+", "-", name).strip("-._")[:63]
    if not name:
        raise InvalidRequestError(
            "The dropped file's name does not tell which dataset it belongs to",
            value=path.name,
            allowed="a name that begins with the dataset's, in letters a-z and digits: tolls__2026-11.csv",
            next_step="rename it and drop it again",
        )
    return name


def _is_wanted(name: str) -> bool:
    folded = name.lower()
    if folded.startswith(_TEMPORARY_STARTS) or folded.endswith(_TEMPORARY_ENDINGS):
        return False
    for ending in COMPRESSIONS:
        folded = folded.removesuffix(ending)
    return folded.endswith(tuple(FORMATS))


def _numbered(name: str, number: int) -> str:
    if number == 1:
        return name
    stem, dot, endings = name.partition(".")
    return f"{stem}-{number}{dot}{endings}"
