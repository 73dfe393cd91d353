"""The files of registered models, each stored once under its SHA-256, whatever names and versions it belongs to.

    <models>/store/sha256/<first two digits>/<digest>      the bytes, read-only
    <models>/registered/<name>/v<n>-<hash8>/<path>         the same bytes under another name: a hard link

No server stands between: whoever serves a version reads its folder.
"""

import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from contracts.errors import ConflictError
from contracts.record import Record
from storage.files import fsync_path, read_json, sha256_of_file

MANIFEST_FILE = "manifest.json"
REGISTERED_DIR = "registered"
KEPT_FOR = timedelta(days=14)
"""How long a folder that no row refers to is kept: time to notice that the wrong database was asked."""
_CHUNK_BYTES = 8 << 20


class ModelGarbage(Record):
    """What was removed, or would be."""

    dry_run: bool
    folders: list[str]
    """Registered folders that no model version refers to."""
    objects: int
    """Stored files that no folder has."""
    unfinished: int
    """What killed registrations left."""
    freed_bytes: int
    kept_objects: int


class ModelStore:
    """The files of all registered models of an installation."""

    def __init__(self, models_dir: Path) -> None:
        self.root = models_dir / "store"
        self.registered = models_dir / REGISTERED_DIR

    def path(self, digest: str) -> Path:
        """Where the file of that digest is, or would be."""
        return self.root / "sha256" / digest[:2] / digest

    def put(self, source: Path, digest: str, size: int) -> None:
        """Take a copy of the file into the store, unless it is there already. A stored file whose bytes have rotted is replaced.

        Raises ConflictError where the source has other bytes by now than `digest` says.
        """
        target = self.path(digest)
        if target.is_file() and target.stat().st_size == size and sha256_of_file(target) == digest:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            if _copy(source, temporary) != digest:
                raise ConflictError(
                    "The job's output changed while it was copied",
                    value=source,
                    next_step="see that nothing writes to the job's folder, then register again",
                )
            temporary.chmod(0o444)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_path(target.parent)

    def link(self, digest: str, target: Path) -> None:
        """Let the file appear under another name: a hard link, or a copy where the file system has none."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self.path(digest), target)
        except OSError:
            shutil.copyfile(self.path(digest), target)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While the block runs, no garbage is collected. The kernel lets go when the process ends, however it ends."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """While the block runs, nobody registers. Raises ConflictError when somebody does at the moment."""
        try:
            with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield
        except BlockingIOError as error:
            raise ConflictError(
                "A model is being registered",
                value=self.registered,
                next_step="collect garbage again when the registration has ended",
            ) from error

    @contextmanager
    def _locked(self, operation: int) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, operation)
            yield
        finally:
            os.close(descriptor)


def _copy(source: Path, target: Path) -> str:
    """Copy the file to the disk; the digest of the bytes copied."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while chunk := reading.read(_CHUNK_BYTES):
            digest.update(chunk)
            writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest()


def collect_model_garbage(
    store: ModelStore, referenced: Collection[Path], *, kept_for: timedelta = KEPT_FOR, dry_run: bool = False
) -> ModelGarbage:
    """Remove registered folders that are not `referenced`, then stored files that no folder has.

    Call it within `store.collecting()`. Killed at any instant, it has removed garbage only.
    """
    needed = {folder.resolve() for folder in referenced}
    present = [path for path in store.registered.glob("[!.]*/[!.]*") if path.is_dir()]
    orphans = sorted(path for path in present if path.resolve() not in needed and _age(path) >= kept_for)
    unfinished = [*store.registered.glob("*/.*.tmp"), *(store.root / "sha256").glob("??/.*.tmp")]
    doomed = [*orphans, *(path for path in unfinished if path.is_dir())]
    links: dict[int, int] = {}
    for folder in doomed:
        for path in folder.rglob("*"):
            if path.is_file():
                links[path.stat().st_ino] = links.get(path.stat().st_ino, 0) + 1
    listed = {digest for folder in present if folder not in orphans for digest in _digests(folder)}
    unneeded, kept = [], 0
    for path in (store.root / "sha256").glob("??/[!.]*"):
        found = path.stat()
        if path.name not in listed and found.st_nlink - links.get(found.st_ino, 0) == 1:
            unneeded.append(path)
        else:
            kept += 1
    removed_inodes = {path.stat().st_ino for path in unneeded}
    freed = sum(path.stat().st_size for path in unneeded) + sum(
        _own_bytes(path, removed_inodes) for path in (*orphans, *unfinished)
    )
    if not dry_run:
        for folder in orphans:
            _remove_folder(folder)
        for path in unfinished:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        for path in unneeded:
            path.unlink(missing_ok=True)
    return ModelGarbage(
        dry_run=dry_run,
        folders=[str(folder) for folder in orphans],
        objects=len(unneeded),
        unfinished=len(unfinished),
        freed_bytes=freed,
        kept_objects=kept,
    )


def _digests(folder: Path) -> set[str]:
    files = (read_json(folder / MANIFEST_FILE) or {}).get("files")
    return {str(entry["sha256"]) for entry in files if isinstance(entry, dict)} if isinstance(files, list) else set()


def _age(folder: Path) -> timedelta:
    return timedelta(seconds=time.time() - folder.stat().st_mtime)


def _own_bytes(path: Path, counted: set[int]) -> int:
    """Bytes that vanish with the path and that no stored file has."""
    files = [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]
    return sum(
        entry.stat().st_size for entry in files if entry.stat().st_nlink == 1 and entry.stat().st_ino not in counted
    )


def _remove_folder(folder: Path) -> None:
    """Out of sight first: a folder that is half removed must not look like a registered one."""
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    folder.rename(temporary)
    fsync_path(folder.parent)
    shutil.rmtree(temporary)
