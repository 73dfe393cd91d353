"""Makes a backup while everything runs, and keeps the newest few."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from contracts.backups import (
    BackupContents,
    BackupEntry,
    BackupReport,
    BackupSnapshot,
    DatabaseDump,
    EntryKind,
)
from contracts.errors import InvalidRequestError, NotFoundError
from contracts.record import utc_now
from database.dumps import dumped
from database.migrate import current
from stages.audit import record_action
from stages.backups.repository import BackupRepository
from stages.backups.sources import KEY_FOLDERS, SPOOLS, database_urls, entries_below, top_folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from data_prep.rows import OnProgress
    from settings import Settings
    from stages.services import Services


FILES = "files"


def refuse_bad_place(folder: Path, key_file: Path, settings: Settings) -> None:
    """Raise InvalidRequestError where a backup would lie in what it saves, or its key beside what it opens."""
    target, key, data = folder.resolve(), key_file.resolve(), settings.data_dir.resolve()
    if target.is_relative_to(data) or data.is_relative_to(target):
        raise InvalidRequestError(
            "A backup does not lie in the folder that it saves",
            value=target,
            allowed=f"a folder outside {data}, on another disk",
            next_step="name another folder",
        )
    if key.is_relative_to(target) or key.is_relative_to(data):
        raise InvalidRequestError(
            "The backup's key does not lie beside what it opens",
            value=key,
            allowed="a file of mode 0400 outside the data folder and the backup",
            next_step="keep the key elsewhere, best with two people, and name it with --key",
        )


def back_up(
    folder: Path,
    key_file: Path,
    contents: BackupContents,
    services: Services,
    *,
    actor: str,
    keep: int | None = None,
    on_progress: OnProgress,
) -> BackupReport:
    """Take a snapshot of the running installation into the repository.

    Killed at any instant it leaves the older snapshots as they were; what it had stored is found again by the next one.

    Raises InvalidRequestError, ConflictError where another backup is at work, UnavailableError where a database does not
    answer, KeyUnavailableError.
    """
    began = time.monotonic()
    settings = services.settings
    refuse_bad_place(folder, key_file, settings)
    if contents is BackupContents.KEYS and not any((settings.data_dir / name).exists() for name in KEY_FOLDERS):
        raise NotFoundError(
            "This installation has no keys yet", value=settings.data_dir, next_step="run `tuneway up` once"
        )
    repository = BackupRepository.create_or_open(folder, key_file, contents)
    with repository.locked(writing=True):
        repository.sweep()
        ids = repository.snapshot_ids()
        before = {entry.path: entry for entry in repository.snapshot(ids[-1]).entries} if ids else {}
        work = _Backup(repository, settings.data_dir, before, on_progress)
        folders = top_folders(settings.data_dir, contents)
        spools = [name for name in folders if name in SPOOLS]
        work.add_folders(spools)
        if contents is BackupContents.DATA:
            for name, url in database_urls(settings).items():
                work.add_database(name, url)
        work.add_folders([name for name in folders if name not in SPOOLS])
        made_at = utc_now()
        snapshot = BackupSnapshot(
            snapshot_id=f"{made_at:%Y%m%dT%H%M%S%f}Z",
            contents=contents,
            made_at=made_at,
            data_dir=str(settings.data_dir.resolve()),
            schema_revision=current(settings.resolved_database_url) if contents is BackupContents.DATA else None,
            entries=work.entries,
            databases=work.databases,
            vanished=work.vanished,
        )
        repository.write_snapshot(snapshot)
        removed = [] if keep is None else repository.keep(keep)
    report = BackupReport(
        snapshot_id=snapshot.snapshot_id,
        contents=contents,
        repository=str(folder),
        files=sum(entry.kind is EntryKind.FILE for entry in snapshot.entries),
        unchanged_files=work.unchanged,
        size=snapshot.size,
        written=repository.written,
        databases=[dump.name for dump in snapshot.databases],
        vanished=len(snapshot.vanished),
        removed_snapshots=removed,
        seconds=time.monotonic() - began,
    )
    record_action(
        services,
        actor,
        "backup.created",
        f"backup/{snapshot.snapshot_id}",
        {"contents": contents.value, "repository": str(folder), "files": report.files, "bytes": report.size},
    )
    return report


class _Backup:
    """A snapshot that grows."""

    def __init__(
        self, repository: BackupRepository, data_dir: Path, before: dict[str, BackupEntry], on_progress: OnProgress
    ) -> None:
        self.entries: list[BackupEntry] = []
        self.databases: list[DatabaseDump] = []
        self.vanished: list[str] = []
        self.unchanged = 0
        self._repository = repository
        self._data_dir = data_dir
        self._before = before
        self._on_progress = on_progress

    def add_database(self, name: str, url: str) -> None:
        """Dump the database straight into the repository; nothing of it lies in clear on a disk."""
        self._on_progress(f"database {name}", 0, 1)
        with dumped(url) as stream:
            ((size, chunks),) = self._repository.store([stream])
        self.databases.append(DatabaseDump(name=name, size=size, chunks=chunks))
        self._on_progress(f"database {name}", 1, 1)

    def add_folders(self, names: list[str]) -> None:
        """Everything below these folders."""
        found = [entry for name in names for entry in entries_below(self._data_dir, name)]
        changed = []
        for entry in found:
            known = self._before.get(entry.path)
            if entry.kind is not EntryKind.FILE:
                self.entries.append(entry)
            elif known is not None and _is_same(known, entry) and self._repository.has_all(known.chunks):
                self.entries.append(known)
                self.unchanged += 1
            else:
                changed.append(entry)
        read = _Files(self._data_dir, changed)
        done, total = 0, sum(entry.size for entry in changed)
        for size, chunks in self._repository.store(read.streams()):
            entry = read.entry
            self.entries.append(entry.model_copy(update={"size": size, "chunks": chunks}))
            done += entry.size
            self._on_progress(FILES, min(done, total), total)
        self.vanished += read.vanished


class _Files:
    """The listed files, opened one after the other: a file that is replaced meanwhile is read as it was opened."""

    def __init__(self, data_dir: Path, entries: list[BackupEntry]) -> None:
        self.vanished: list[str] = []
        self._data_dir = data_dir
        self._entries = entries
        self._current: BackupEntry | None = None

    @property
    def entry(self) -> BackupEntry:
        """Whose stream was given out last."""
        assert self._current is not None
        return self._current

    def streams(self) -> Iterator[IO[bytes]]:
        """Each file, closed when the next one is asked for."""
        for entry in self._entries:
            try:
                stream = (self._data_dir / entry.path).open("rb", buffering=0)
            except FileNotFoundError:
                self.vanished.append(entry.path)
                continue
            with stream:
                self._current = entry
                yield stream


def _is_same(known: BackupEntry, found: BackupEntry) -> bool:
    """Nobody wrote the file since: an edit that puts the time back still changes ctime."""
    return known.model_copy(update={"chunks": []}) == found
