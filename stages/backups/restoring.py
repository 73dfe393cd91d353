"""Brings an installation back into an empty data folder and empty databases."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.backups import BackupEntry, BackupSnapshot, EntryKind, RestoreReport
from contracts.errors import CapacityError, ConflictError, InvalidRequestError
from database.dumps import restore as restore_database
from database.embedded import embedded_postgres
from database.migrate import is_known
from stages.audit import record_action, verify_audit
from stages.backups.creating import FILES
from stages.backups.mark import MARK
from stages.backups.sources import database_urls
from stages.services import Services
from storage.files import fsync_path, read_json, write_json_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_prep.rows import OnProgress
    from settings import Settings
    from stages.backups.repository import BackupRepository

POSTGRES_SECONDS = 120


def restore_installation(
    data: BackupRepository,
    keys: BackupRepository,
    settings: Settings,
    *,
    actor: str,
    snapshot_id: str | None = None,
    keys_snapshot_id: str | None = None,
    on_progress: OnProgress,
) -> RestoreReport:
    """Keys, files and databases of the snapshots, the newest where none is named; then verify the audit trail.

    Killed at any instant, the same call goes on. Raises ConflictError for a data folder or database that is not empty,
    CapacityError where the disk has no room, InvalidRequestError for a backup of a newer version, DamagedFileError.
    """
    began = time.monotonic()
    with data.locked(writing=False), keys.locked(writing=False):
        snapshot = data.snapshot(snapshot_id)
        kept_keys = keys.snapshot(keys_snapshot_id)
        if snapshot.schema_revision is not None and not is_known(snapshot.schema_revision):
            raise InvalidRequestError(
                "The backup was made by a newer version of Tuneway",
                value=f"schema {snapshot.schema_revision}",
                next_step="install the version that made it, or a newer one, and restore with that",
            )
        if Path(snapshot.data_dir).resolve() != settings.data_dir.resolve():
            raise InvalidRequestError(
                "A backup is restored to the path from which it was made: rows and manifests name files by it",
                value=settings.data_dir,
                allowed=snapshot.data_dir,
                next_step=f"set TUNEWAY_DATA_DIR={snapshot.data_dir}; it may be a link to another disk",
            )
        mark = {"snapshot": snapshot.snapshot_id, "keys": kept_keys.snapshot_id}
        _take_folder(settings.data_dir, mark)
        _require_room(settings.data_dir, snapshot.size + kept_keys.size)
        files = _restore_files(keys, kept_keys, settings.data_dir, on_progress)
        files += _restore_files(data, snapshot, settings.data_dir, on_progress)
        with _postgres(settings):
            _restore_databases(data, snapshot, settings, on_progress)
            services = Services(settings)
            checked = verify_audit(services)
            record_action(services, actor, "backup.restored", f"backup/{snapshot.snapshot_id}", dict(mark))
        (settings.data_dir / MARK).unlink()
        fsync_path(settings.data_dir)
    return RestoreReport(
        snapshot_id=snapshot.snapshot_id,
        keys_snapshot_id=kept_keys.snapshot_id,
        data_dir=str(settings.data_dir),
        files=files,
        size=snapshot.size + kept_keys.size,
        databases=[dump.name for dump in snapshot.databases],
        audit_entries=checked.chain.entries,
        audit_is_whole=checked.is_whole,
        seconds=time.monotonic() - began,
    )


def _take_folder(data_dir: Path, mark: dict[str, str]) -> None:
    present = read_json(data_dir / MARK)
    if present is None and data_dir.exists() and any(data_dir.iterdir()):
        raise ConflictError(
            "A backup is restored into an empty data folder only",
            value=data_dir,
            next_step="end the platform there (`tuneway down`) and move the folder away, or set TUNEWAY_DATA_DIR to a new one",
        )
    if present is not None and any(present.get(name) != value for name, value in mark.items()):
        raise ConflictError(
            "Another snapshot is being restored into this data folder",
            value=f"{present['snapshot']} with keys {present['keys']}",
            next_step="finish that one by naming it, or remove the folder and begin anew",
        )
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir.chmod(0o711)
    if present is None:
        write_json_atomically(data_dir / MARK, dict(mark))


def _require_room(data_dir: Path, needed: int) -> None:
    free = shutil.disk_usage(data_dir).free
    if needed > free:
        raise CapacityError(
            "The disk has no room for what is to be restored",
            value=f"{needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free",
            next_step="make room, or set TUNEWAY_DATA_DIR to a larger disk",
        )


def _restore_files(
    repository: BackupRepository, snapshot: BackupSnapshot, data_dir: Path, on_progress: OnProgress
) -> int:
    done, total = 0, sum(entry.size for entry in snapshot.entries)
    for entry in snapshot.entries:
        _restore_entry(repository, entry, data_dir)
        done += entry.size
        on_progress(FILES, done, total)
    # a folder that may not be written is made so when all lies in it
    for entry in reversed(snapshot.entries):
        if entry.kind is EntryKind.FOLDER:
            (data_dir / entry.path).chmod(entry.mode)
    return sum(entry.kind is EntryKind.FILE for entry in snapshot.entries)


def _restore_entry(repository: BackupRepository, entry: BackupEntry, data_dir: Path) -> None:
    path = data_dir / entry.path
    if entry.kind is EntryKind.FOLDER:
        path.mkdir(mode=0o700, exist_ok=True)
        return
    if entry.kind is EntryKind.LINK:
        assert entry.target is not None
        path.unlink(missing_ok=True)
        path.symlink_to(entry.target)
        return
    if path.exists() and (path.stat().st_size, path.stat().st_mtime_ns) == (entry.size, entry.modified_ns):
        return
    temporary = path.with_name(f".{path.name}.restored.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        for name in entry.chunks:
            stream.write(repository.read(name))
        stream.flush()
        os.fchmod(stream.fileno(), entry.mode)
        os.utime(stream.fileno(), ns=(entry.modified_ns, entry.modified_ns))
        os.fsync(stream.fileno())
    temporary.replace(path)


def _restore_databases(
    repository: BackupRepository, snapshot: BackupSnapshot, settings: Settings, on_progress: OnProgress
) -> None:
    urls = database_urls(settings)
    mark = read_json(settings.data_dir / MARK) or {}
    for dump in snapshot.databases:
        if dump.name not in urls or mark.get(f"database {dump.name}"):
            continue
        on_progress(f"database {dump.name}", 0, 1)
        if settings.uses_embedded_postgres:
            embedded_postgres(settings).drop_database(dump.name)
            embedded_postgres(settings).create_database(dump.name)
        restore_database(urls[dump.name], (repository.read(name) for name in dump.chunks))
        mark[f"database {dump.name}"] = True
        write_json_atomically(settings.data_dir / MARK, mark)
        on_progress(f"database {dump.name}", 1, 1)


@contextmanager
def _postgres(settings: Settings) -> Iterator[None]:
    """The embedded server for as long as the block lasts; a site's own server runs already."""
    if not settings.uses_embedded_postgres:
        yield
        return
    server = embedded_postgres(settings)
    server.initialise()
    # one that a killed restore left goes on
    if not server.is_ready():
        command = server.command()
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server.wait_until_ready(POSTGRES_SECONDS)
        yield
    finally:
        server.stop(POSTGRES_SECONDS)
