"""Files that are whole or absent, whatever is killed when."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.record import JsonObject


def fsync_path(path: Path) -> None:
    """Flush a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text_atomically(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace the file as a whole: readers see the old or the new text, never a part."""
    write_bytes_atomically(path, text.encode(), mode=mode)


def write_bytes_atomically(path: Path, content: bytes, *, mode: int = 0o666, replace: bool = True) -> bool:
    """Replace the file as a whole: readers see the old or the new bytes, never a part.

    `mode`, less the umask, holds from the first byte on. Without `replace` a file that is there stays: of two processes
    that make a secret, the first one's is kept, and the other one learns so by False.
    """
    is_new = True
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            temporary.replace(path)
        else:
            try:
                os.link(temporary, path)
            except FileExistsError:
                is_new = False
    finally:
        temporary.unlink(missing_ok=True)
    fsync_path(path.parent)
    return is_new


def write_json_atomically(path: Path, value: JsonObject) -> None:
    """Replace a JSON file as a whole."""
    write_bytes_atomically(path, _json_text(value).encode())


def write_json_once(path: Path, value: JsonObject) -> bool:
    """Write a JSON file that never changes: False where there is one already, which stays."""
    return write_bytes_atomically(path, _json_text(value).encode(), replace=False)


def _json_text(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def read_json(path: Path) -> JsonObject | None:
    """The file's object, or None where there is no such file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    assert isinstance(value, dict)
    return value


def sha256_of_file(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_folder(folder: Path, pattern: str = "*") -> str:
    """Hex digest over the names and bytes of the folder's files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob(pattern) if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0{sha256_of_file(path)}\n".encode())
    return digest.hexdigest()


@contextmanager
def folder_written_whole(target: Path) -> Iterator[Path]:
    """A temporary folder to fill; it takes the target's name at the end, or vanishes on an error.

    Write the manifest last inside it. If the target exists already (another attempt was faster), the new
    folder is dropped: the caller guarantees that the same name means the same content.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        for path in temporary.rglob("*"):
            fsync_path(path)
        fsync_path(temporary)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
        fsync_path(target.parent)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)
