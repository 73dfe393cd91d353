"""What belongs into a backup: the paths of the data folder, by contents, and the databases."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from contracts.backups import BackupContents, BackupEntry, EntryKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from settings import Settings

KEY_FOLDERS = ("secrets", "keyring")
"""Whoever has these and the data can read everything."""
LEFT_OUT = ("postgres", "cache")
"""Dumped, or made again when needed."""
KEPT_OF_RUN = ("model_servers", "programs.d")
"""Which model servers run, and how they are started: the rest of `run/` is of one start only."""
SPOOLS = ("serving", "audit")
"""What is on its way into the database is read before the database: then it is in one of them at least, and a row that is in
both is taken once (its id is unique)."""


def database_urls(settings: Settings) -> dict[str, str]:
    """Of the databases that are this installation's, by name: the one that refers to the others first.

    Airflow and MLflow at an address of the site are backed up by the site.
    """
    urls = {"tuneway": settings.resolved_database_url}
    if settings.mlflow_tracking_url is None:
        urls["mlflow"] = settings.resolved_mlflow_database_url
    if settings.airflow_url is None:
        urls["airflow"] = settings.resolved_airflow_database_url
    return urls


def top_folders(data_dir: Path, contents: BackupContents) -> list[str]:
    """Names of what lies in the data folder and belongs into such a backup; the spools first."""
    present = {path.name for path in data_dir.iterdir()}
    if contents is BackupContents.KEYS:
        return sorted(present & set(KEY_FOLDERS))
    chosen = {name for name in present - set(KEY_FOLDERS) - set(LEFT_OUT) if not name.startswith(".")}
    return sorted(chosen, key=lambda name: (name not in SPOOLS, name))


def entries_below(data_dir: Path, name: str) -> Iterator[BackupEntry]:
    """Everything at and below the path: folders before what they hold, unfinished files and sockets left out."""
    found = _entry(data_dir, name)
    if found is None:
        return
    yield found
    if found.kind is not EntryKind.FOLDER:
        return
    try:
        below = sorted(item.name for item in os.scandir(data_dir / name))
    except FileNotFoundError:
        return
    for item in below:
        is_unfinished = item.startswith(".") and item.endswith(".tmp")
        if not is_unfinished and (name != "run" or item in KEPT_OF_RUN):
            yield from entries_below(data_dir, f"{name}/{item}")


def _entry(data_dir: Path, name: str) -> BackupEntry | None:
    path = data_dir / name
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return BackupEntry(path=name, kind=EntryKind.LINK, mode=0o777, target=str(path.readlink()))
    except FileNotFoundError:
        return None
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISDIR(found.st_mode):
        return BackupEntry(path=name, kind=EntryKind.FOLDER, mode=mode)
    if not stat.S_ISREG(found.st_mode):
        return None
    return BackupEntry(
        path=name,
        kind=EntryKind.FILE,
        mode=mode,
        size=found.st_size,
        modified_ns=found.st_mtime_ns,
        changed_ns=found.st_ctime_ns,
        inode=found.st_ino,
    )
