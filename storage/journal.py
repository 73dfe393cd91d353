"""A file of what was paid for once, on the disk before anything else happens: no kill loses an entry.

One JSON object a line, found by its key. A line that a kill cut in half is dropped when the file is opened again.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from contracts.errors import ConflictError, InvalidDataError
from storage.files import fsync_path


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
        entry: dict[str, Any] = json.loads(os.pread(self._descriptor, place.length, place.offset))
        del entry["key"]
        return entry

    def _read(self) -> int:
        """Find every whole line; cut off what a kill left of the last one. Returns the file's length."""
        offset = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as stream:
            stream.seek(0)
            for number, raw in enumerate(stream, 1):
                if not raw.endswith(b"\n"):
                    break
                try:
                    key = json.loads(raw)["key"]
                except (ValueError, LookupError, TypeError) as error:
                    raise InvalidDataError(
                        "The file of answers is damaged",
                        value=f"{self._path}, line {number}",
                        allowed="one JSON object a line, as it was written",
                        next_step="restore the file from a backup, or delete that line: its question is asked again",
                    ) from error
                self._places[str(key)] = _Place(offset, len(raw))
                offset += len(raw)
        if os.fstat(self._descriptor).st_size != offset:
            os.ftruncate(self._descriptor, offset)
        return offset
