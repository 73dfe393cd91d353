"""A file of what was paid for once, on the disk before anything else happens: no kill loses an entry.

One JSON object an entry, found by its key: an encrypted record where the installation encrypts, else a line. One that a
kill cut in half is dropped when the file is opened again. A file goes on as it was begun.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from contracts.errors import ConflictError, InvalidDataError
from storage.encryption.container import HEADER_BYTES, MAGIC
from storage.encryption.records import RecordCipher, new_records, open_records, was_never_begun
from storage.files import fsync_path
from storage.stored_files import keyring_for, scope_of_stored


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    length: int


class KeyedJournal:
    """The file; a context manager that one process holds at a time. In memory are keys and places only.

    A key that is added again has its newest entry from then on.
    """

    def __init__(self, path: Path, in_use: ConflictError) -> None:
        """`in_use` is raised where another process holds the file."""
        self._path = path
        self._places: dict[str, _Place] = {}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # entries may hold what documents and answers hold: for the owner's eyes
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise in_use from error
        try:
            self._records = _cipher(self._descriptor, path, writes=True)
            self._end = self._read()
        except BaseException:
            os.close(self._descriptor)
            raise
        fsync_path(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def add(self, key: str, entry: dict[str, Any], *, sync: bool = True) -> None:
        """Keep an entry. When this returns with `sync`, it and all before it survive a power cut."""
        # escaped: a lone surrogate of a broken server is kept too
        raw = (json.dumps({"key": key, **entry}, ensure_ascii=True) + "\n").encode()
        if self._records is not None:
            raw = self._records.seal(raw, self._end)
        written = 0
        while written < len(raw):
            written += os.write(self._descriptor, raw[written:])
        if sync:
            self.sync()
        self._places[key] = _Place(self._end, len(raw))
        self._end += len(raw)

    def sync(self) -> None:
        """What was added survives a power cut when this returns."""
        os.fdatasync(self._descriptor)

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of the key; None where there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        raw = os.pread(self._descriptor, place.length, place.offset)
        entry: dict[str, Any] = json.loads(raw if self._records is None else self._records.open(raw, place.offset))
        del entry["key"]
        return entry

    def forget(self, keys: Collection[str]) -> None:
        """Take all entries of these keys out for good, also older ones: the file is written anew, and takes its place.

        The last that may be done with this journal.
        """
        kept = [entry for entry in _entries(self._descriptor, self._path, self._records) if entry[0] not in keys]
        temporary = self._path.with_name(f".{self._path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with KeyedJournal(temporary, ConflictError("somebody else's name", value=temporary)) as anew:
                for key, entry, _ in kept:
                    anew.add(key, entry, sync=False)
                anew.sync()
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_path(self._path.parent)

    def _read(self) -> int:
        """Find every whole entry; cut off what a kill left of the last one. Returns the file's length."""
        end = 0 if self._records is None else HEADER_BYTES
        for key, _, place in _entries(self._descriptor, self._path, self._records):
            self._places[key] = place
            end = place.offset + place.length
        if os.fstat(self._descriptor).st_size != end:
            os.ftruncate(self._descriptor, end)
        return end


def journal_entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and content of every whole entry, older ones of a key too; nobody is kept from writing meanwhile.

    Raises InvalidDataError, DamagedFileError or KeyUnavailableError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for key, entry, _ in _entries(descriptor, path, _cipher(descriptor, path, writes=False)):
            yield key, entry
    finally:
        os.close(descriptor)


def _cipher(descriptor: int, path: Path, *, writes: bool) -> RecordCipher | None:
    """None for a file of lines. One that was not begun yet becomes what the installation wants."""
    start = os.pread(descriptor, len(MAGIC), 0)
    scope = scope_of_stored(path)
    if writes and scope is not None and was_never_begun(start, os.fstat(descriptor).st_size):
        return new_records(descriptor, path, keyring_for(path), scope)
    return open_records(descriptor, path, keyring_for(path)) if start == MAGIC else None


def _entries(descriptor: int, path: Path, cipher: RecordCipher | None) -> Iterator[tuple[str, dict[str, Any], _Place]]:
    """Every whole entry with its key and place."""
    stored = _lines(descriptor) if cipher is None else cipher.stored_records(descriptor)
    for number, (place, raw) in enumerate(stored, 1):
        text = raw if cipher is None else cipher.open(raw, place)
        try:
            entry = json.loads(text)
            key = str(entry.pop("key"))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InvalidDataError(
                "The file of answers is damaged",
                value=f"{path}, line {number}",
                allowed="one JSON object a line, as it was written",
                next_step="restore the file from a backup, or delete that line: its question is asked again",
            ) from error
        yield key, entry, _Place(place, len(raw))


def _lines(descriptor: int) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        stream.seek(0)
        for raw in stream:
            if not raw.endswith(b"\n"):
                return
            yield offset, raw
            offset += len(raw)
