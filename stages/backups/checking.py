"""Reads a repository through: could everything that it names be restored?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from contracts.backups import RepositoryCheck, SnapshotCheck
from contracts.errors import DamagedFileError

if TYPE_CHECKING:
    from data_prep.rows import OnProgress
    from stages.backups.repository import BackupRepository

OBJECTS = "objects"


def check_repository(repository: BackupRepository, *, mend: bool = False, on_progress: OnProgress) -> RepositoryCheck:
    """Decrypt every object and compare it with its name; which snapshots need one that is damaged or missing.

    `mend` sets damaged objects aside, so that the next backup writes their content again where it still exists.
    """
    began = time.monotonic()
    with repository.locked(writing=mend):
        names = repository.object_names()
        damaged: set[str] = set()
        for done, name in enumerate(names):
            on_progress(OBJECTS, done, len(names))
            try:
                repository.read(name)
            except DamagedFileError:
                damaged.add(name)
        on_progress(OBJECTS, len(names), len(names))
        sound = set(names) - damaged
        snapshots = [_check(repository, snapshot_id, sound) for snapshot_id in repository.snapshot_ids()]
        if mend:
            for name in damaged:
                repository.set_aside(name)
    return RepositoryCheck(
        repository=str(repository.folder),
        snapshots=[snapshot for snapshot in snapshots if snapshot is not None],
        unreadable_snapshots=[
            snapshot_id
            for snapshot_id, snapshot in zip(repository.snapshot_ids(), snapshots, strict=True)
            if not snapshot
        ],
        objects=len(names),
        damaged_objects=len(damaged),
        set_aside=len(damaged) if mend else 0,
        seconds=time.monotonic() - began,
    )


def _check(repository: BackupRepository, snapshot_id: str, sound: set[str]) -> SnapshotCheck | None:
    """None where the snapshot itself cannot be read."""
    try:
        snapshot = repository.snapshot(snapshot_id)
    except DamagedFileError:
        return None
    damaged = [entry.path for entry in snapshot.entries if not sound.issuperset(entry.chunks)]
    damaged += [dump.name for dump in snapshot.databases if not sound.issuperset(dump.chunks)]
    return SnapshotCheck(
        snapshot_id=snapshot.snapshot_id,
        contents=snapshot.contents,
        made_at=snapshot.made_at,
        size=snapshot.size,
        is_whole=not damaged,
        damaged=damaged,
    )
