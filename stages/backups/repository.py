"""A repository of backups: a folder of encrypted objects, each stored once, and snapshots that name them.

<folder>/
format.json          written first
keyring/             the repository's own keys, wrapped by the backup key, which lies elsewhere
objects/ab/ab….      one chunk each, compressed, encrypted; its name is a keyed hash of its content
snapshots/<id>       encrypted; written last, so that a killed backup leaves nothing that is named
lock
"""

from __future__ import annotations

import fcntl
import hmac
import os
import secrets
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import zstandard

from contracts.backups import BackupContents, BackupSnapshot
from contracts.errors import ConflictError, DamagedFileError, InvalidRequestError, KeyUnavailableError, NotFoundError
from stages.backups.chunks import content_chunks, gear_table
from storage.encryption.container import EncryptedReader, EncryptedWriter
from storage.encryption.key_keepers import KeyFile
from storage.encryption.keyring import Keyring
from storage.files import read_json, write_json_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from contracts.record import JsonObject
    from stages.backups.chunks import Readable

FORMAT = 1
SCOPE = "backup"
WRITERS = 4
"""Threads that compress, encrypt and flush."""
WAITING_CHUNKS = 8
"""At most so many chunks of 16 MiB are in memory."""
COMPRESSION_LEVEL = 3
MOST_UNPACKED = 64 * 1024 * 1024


class BackupRepository:
    """One repository, opened with the backup key. Safe for one writer and many readers at a time."""

    def __init__(self, folder: Path, keyring: Keyring, contents: BackupContents, naming_key: bytes) -> None:
        self.folder = folder
        self.contents = contents
        self.written = 0
        """Bytes that objects took since it was opened."""
        self._keyring = keyring
        self._naming_key = naming_key
        self._gear = gear_table(b"tuneway backup chunks" + naming_key)
        self._known: set[str] | None = None

    @classmethod
    def create_or_open(cls, folder: Path, key_file: Path, contents: BackupContents) -> BackupRepository:
        """The repository in the folder, made where the folder is empty or absent.

        Raises InvalidRequestError for a folder that holds something else, or other contents.
        """
        if not (folder / "format.json").exists():
            if folder.exists() and any(folder.iterdir()):
                raise InvalidRequestError(
                    "This folder is not a backup repository, and not empty",
                    value=folder,
                    allowed="an empty folder, or one that `tuneway backup` made",
                    next_step="name another folder",
                )
            keyring = Keyring(folder / "keyring", KeyFile(key_file))
            key_id, _ = keyring.current_key(SCOPE)
            described: JsonObject = {
                "format": FORMAT,
                "contents": contents.value,
                "naming_key_id": key_id,
                "naming_salt": secrets.token_hex(16),
            }
            write_json_atomically(folder / "format.json", described)
        return cls.open(folder, key_file, contents)

    @classmethod
    def open(cls, folder: Path, key_file: Path, contents: BackupContents | None = None) -> BackupRepository:
        """An existing repository, of these contents where any are named. Raises NotFoundError, InvalidRequestError, KeyUnavailableError, DamagedFileError."""
        described = read_json(folder / "format.json")
        if described is None:
            raise NotFoundError(
                "There is no backup repository in this folder",
                value=folder,
                next_step="name the folder that `tuneway backup --to` or `--keys-to` was given",
            )
        if described.get("format") != FORMAT:
            raise InvalidRequestError(
                "The repository was written by another version of Tuneway",
                value=f"format {described.get('format')}",
                allowed=f"format {FORMAT}",
                next_step="restore with the version that made it",
            )
        held = BackupContents(str(described["contents"]))
        if contents not in {None, held}:
            raise InvalidRequestError(
                "The repository holds something else",
                value=f"{folder}: {held.value}",
                allowed=contents,
                next_step="data and keys lie in two repositories: name each by its own option",
            )
        keyring = Keyring(folder / "keyring", KeyFile(key_file))
        try:
            naming_key = keyring.value_key(
                SCOPE, str(described["naming_key_id"]), bytes.fromhex(str(described["naming_salt"]))
            )
        except (DamagedFileError, KeyUnavailableError) as error:
            raise KeyUnavailableError(
                "The key does not open this repository",
                value=key_file,
                allowed="the key file with which the repository was made",
                next_step="find the right key file; without it nobody can read the backup",
            ) from error
        return cls(folder, keyring, held, naming_key)

    @contextmanager
    def locked(self, *, writing: bool) -> Iterator[None]:
        """One writer, or any number of readers. Raises ConflictError at once where that cannot be."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if writing else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                "Another backup, check or restore is at work on this repository",
                value=self.folder,
                next_step="wait until it has ended",
            ) from error
        else:
            yield
        finally:
            os.close(descriptor)

    def store(self, streams: Iterable[Readable]) -> Iterator[tuple[int, list[str]]]:
        """Put each stream's chunks into the repository; its length in bytes and the names of its chunks.

        Chunks are written side by side while the next ones are read: all are there when this has come to its end.
        """
        known = self._known_names()
        waiting: deque[Future[int]] = deque()
        with ThreadPoolExecutor(WRITERS, "backup") as pool:
            for stream in streams:
                size = 0
                names: list[str] = []
                for chunk in content_chunks(stream, self._gear):
                    size += len(chunk)
                    name = self._name(chunk)
                    names.append(name)
                    if name in known:
                        continue
                    known.add(name)
                    waiting.append(pool.submit(self._write, name, chunk))
                    while len(waiting) > WAITING_CHUNKS:
                        self.written += waiting.popleft().result()
                yield size, names
            self.written += sum(future.result() for future in waiting)

    def has_all(self, names: Iterable[str]) -> bool:
        """The chunks are there, unread."""
        return self._known_names().issuperset(names)

    def read(self, name: str) -> bytes:
        """A chunk. Raises DamagedFileError where it is absent or is not what was stored."""
        path = self._path(name)
        try:
            with EncryptedReader(path, self._keyring) as reader:
                packed = reader.read()
            chunk = zstandard.ZstdDecompressor().decompress(packed, max_output_size=MOST_UNPACKED)
        except FileNotFoundError as error:
            raise _damaged(path, "it is missing") from error
        except (zstandard.ZstdError, KeyUnavailableError) as error:
            raise _damaged(path, str(error)) from error
        if self._name(chunk) != name:
            raise _damaged(path, "it holds another chunk")
        return chunk

    def write_snapshot(self, snapshot: BackupSnapshot) -> None:
        """Name what was stored; from now on it can be restored."""
        packed = zstandard.compress(snapshot.model_dump_json().encode(), COMPRESSION_LEVEL)
        with EncryptedWriter(self.folder / "snapshots" / snapshot.snapshot_id, self._keyring, SCOPE) as writer:
            writer.write(packed)

    def snapshot_ids(self) -> list[str]:
        """Oldest first."""
        folder = self.folder / "snapshots"
        return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.exists() else []

    def snapshot(self, snapshot_id: str | None = None) -> BackupSnapshot:
        """The snapshot of that id, or the newest. Raises NotFoundError, DamagedFileError."""
        ids = self.snapshot_ids()
        if not ids or (snapshot_id is not None and snapshot_id not in ids):
            raise NotFoundError(
                "The repository has no such snapshot",
                value=snapshot_id or self.folder,
                allowed=", ".join(ids[-5:]) or "none yet",
                next_step="take one of these, or make a backup",
            )
        with EncryptedReader(self.folder / "snapshots" / (snapshot_id or ids[-1]), self._keyring) as reader:
            packed = reader.read()
        return BackupSnapshot.model_validate_json(zstandard.ZstdDecompressor().decompress(packed))

    def keep(self, newest: int) -> list[str]:
        """Remove all snapshots but the newest, then every object that none of those names; ids of those removed."""
        ids = self.snapshot_ids()
        removed = ids[:-newest]
        if not removed:
            return []
        named = {name for snapshot_id in ids[-newest:] for name in _chunks_of(self.snapshot(snapshot_id))}
        for snapshot_id in removed:
            (self.folder / "snapshots" / snapshot_id).unlink()
        for name in self.object_names():
            if name not in named:
                self._path(name).unlink(missing_ok=True)
        self._known = None
        return removed

    def object_names(self) -> list[str]:
        """Of all objects."""
        folder = self.folder / "objects"
        if not folder.exists():
            return []
        return [path.name for part in folder.iterdir() for path in part.iterdir() if path.name[0] != "."]

    def set_aside(self, name: str) -> None:
        """Take a damaged object out, so that the next backup of its content writes it again."""
        path = self._path(name)
        target = self.folder / "damaged" / name
        target.parent.mkdir(exist_ok=True)
        if path.exists():
            path.replace(target)
        self._known = None

    def sweep(self) -> int:
        """Remove what a killed writer left; how many files. Only under the writer's lock."""
        left = [*self.folder.glob("objects/*/.*.tmp"), *self.folder.glob("snapshots/.*.tmp")]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _write(self, name: str, chunk: bytes) -> int:
        packed = zstandard.ZstdCompressor(COMPRESSION_LEVEL).compress(chunk)
        path = self._path(name)
        with EncryptedWriter(path, self._keyring, SCOPE) as writer:
            writer.write(packed)
        return path.stat().st_size

    def _known_names(self) -> set[str]:
        if self._known is None:
            self._known = set(self.object_names())
        return self._known

    def _name(self, chunk: bytes) -> str:
        return hmac.digest(self._naming_key, chunk, "sha256").hex()

    def _path(self, name: str) -> Path:
        return self.folder / "objects" / name[:2] / name


def _chunks_of(snapshot: BackupSnapshot) -> Iterator[str]:
    for entry in snapshot.entries:
        yield from entry.chunks
    for dump in snapshot.databases:
        yield from dump.chunks


def _damaged(path: Path, why: str) -> DamagedFileError:
    return DamagedFileError(
        f"An object of the backup cannot be read: {why}",
        value=path,
        next_step="`tuneway verify-backup --mend` sets it aside; the next backup then writes its content again",
    )
