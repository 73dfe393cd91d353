"""Which files may be read: only those that lie in an allowed folder once every link is followed."""

import difflib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from contracts.errors import CapacityError, InvalidDataError, InvalidRequestError, TooLargeError
from storage.segments import SegmentReader
from storage.stored_files import open_stored, sha256_of_stored

FORMATS = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Endings that may follow the format's: `rows.jsonl.gz`."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that exists, lies where it may, and is of a known format."""

    path: Path
    name: str
    """How rows and reports name it."""
    format: str
    size_bytes: int
    sha256: str
    compression: str | None = None
    """gzip, zstd or None."""
    origin: str | None = None
    """How a version's sources name it; None: by its path."""
    most_unpacked_bytes: int | None = None
    """What a compressed file may become; None: whatever the disk holds."""

    def opened(self) -> BinaryIO:
        """The file's bytes, also where they arrived in segments or are encrypted here; unbuffered."""
        if self.path.is_dir():
            return cast("BinaryIO", SegmentReader(self.path))
        return open_stored(self.path, buffering=0)

    def require_unpacked(self, size: int) -> None:
        """Raises TooLargeError where so many unpacked bytes are too many for this file."""
        if self.most_unpacked_bytes is not None and size > self.most_unpacked_bytes:
            raise TooLargeError(
                "The file unpacks to too much",
                value=f"{self.name}: {self.size_bytes} bytes become {size} or more",
                allowed=f"{self.most_unpacked_bytes} bytes",
                next_step="cut it into several files, or send it unpacked",
            )


def resolve_input_file(given: str, *, relative_to: Path, allowed_roots: Sequence[Path]) -> Path:
    """The real path of a file named in a request.

    Raises InvalidRequestError when the path leads outside the allowed folders (also through a symbolic link) or
    there is no such file. Of files outside, not even their existence is told.
    """
    path = (relative_to / Path(given).expanduser()).resolve()
    roots = [root.resolve() for root in allowed_roots]
    if not any(path.is_relative_to(root) for root in roots):
        raise InvalidRequestError(
            "The file lies outside the folders from which files may be read",
            value=given,
            allowed=", ".join(str(root) for root in allowed_roots),
            next_step="copy it into one of these folders, or add its folder to the setting TUNEWAY_INPUT_ROOTS",
        )
    if not path.is_file():
        siblings = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, siblings, n=3)
        raise InvalidRequestError(
            "There is no such file" if not path.exists() else "This is not a file",
            value=given,
            allowed=f"a file; did you mean {' or '.join(close)}?" if close else "an existing file",
            next_step="correct the path in the request",
        )
    return path


def list_input_files(allowed_roots: Sequence[Path], *, besides: Path, listed: int = 200) -> list[Path]:
    """Files of a known format in the allowed folders, the newest first; nothing hidden and nothing below `besides`."""
    found: dict[Path, float] = {}
    for root in allowed_roots:
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(".") and Path(folder, name) != besides]
            for path in (Path(folder, name) for name in names if not name.startswith(".")):
                if _format_of(path) is not None and path.is_file():
                    found[path] = path.stat().st_mtime
    return sorted(found, key=lambda path: (-found[path], str(path)))[:listed]


def _format_of(path: Path) -> str | None:
    """The format that the name's ending says, compressed or not."""
    compressed = path.suffix.lower() in COMPRESSIONS
    return FORMATS.get((Path(path.stem) if compressed else path).suffix.lower())


def open_input_files(given: Sequence[str], *, relative_to: Path, allowed_roots: Sequence[Path]) -> list[InputFile]:
    """All files of an import request, checked before the first row is read.

    Raises InvalidRequestError or InvalidDataError for the first that cannot be taken.
    """
    paths = [resolve_input_file(name, relative_to=relative_to, allowed_roots=allowed_roots) for name in given]
    if len(set(paths)) < len(paths):
        twice = next(name for name, path in zip(given, paths, strict=True) if paths.count(path) > 1)
        raise InvalidRequestError(
            "A file is named twice", value=twice, allowed="each file once", next_step="remove it from input_files"
        )
    names = [path.name for path in paths]
    files = []
    for name, path in zip(given, paths, strict=True):
        file_format, compression = format_of(name)
        size = path.stat().st_size
        if size == 0:
            raise InvalidDataError(
                "The file is empty", value=name, allowed="at least one row", next_step="check how it was exported"
            )
        shown = path.name if names.count(path.name) == 1 else name
        files.append(InputFile(path, shown, file_format, size, sha256_of_stored(path), compression))
    return files


def format_of(name: str) -> tuple[str, str | None]:
    """Format and compression of a file of that name. Raises InvalidDataError."""
    path = Path(name)
    file_format = _format_of(path)
    if file_format is None:
        raise InvalidDataError(
            "The file's format is not known",
            value=name,
            allowed=f"{', '.join(FORMATS)}, each also with {' or '.join(COMPRESSIONS)} after it",
            next_step="convert the file, or correct its ending",
        )
    return file_format, COMPRESSIONS.get(path.suffix.lower())


def require_disk_space(folder: Path, needed_bytes: int, min_free_disk_gb: float) -> None:
    """Raises CapacityError when writing `needed_bytes` would leave less than the floor free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free - needed_bytes < min_free_disk_gb * 1e9:
        raise CapacityError(
            f"The disk of {folder} has too little room: this step writes up to {needed_bytes / 1e9:.2f} GB",
            value=f"{free / 1e9:.2f} GB free",
            allowed=f"at least {min_free_disk_gb:g} GB left afterwards",
            next_step="free space, or lower TUNEWAY_MIN_FREE_DISK_GB",
        )
