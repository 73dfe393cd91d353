"""Parts of dataset versions, each stored once under the SHA-256 of what it holds: `<name>/objects/<first two digits>/<digest>.parquet`."""

import os
import shutil
import uuid
from pathlib import Path

from contracts.errors import DamagedFileError, KeyUnavailableError
from storage.files import fsync_path
from storage.stored_files import sha256_of_stored

OBJECTS_DIR = "objects"


class ObjectStore:
    """The parts of one dataset name."""

    def __init__(self, name_dir: Path) -> None:
        self.root = name_dir / OBJECTS_DIR

    def path(self, digest: str) -> Path:
        """Where the part of that digest is, or would be."""
        return self.root / digest[:2] / f"{digest}.parquet"

    def temporary(self) -> Path:
        """A path on the same file system for a part that is being written; garbage until `put`."""
        self.root.mkdir(parents=True, exist_ok=True)
        return self.root / f".{uuid.uuid4().hex}.tmp"

    def put(self, written: Path) -> str:
        """Take the written file into the store; returns its digest. A part that is there already is not stored again.

        A stored part whose bytes have rotted is replaced.
        """
        digest = sha256_of_stored(written)
        target = self.path(digest)
        if target.is_file() and _holds(target, digest):
            written.unlink()
            return digest
        target.parent.mkdir(exist_ok=True)
        written.chmod(0o444)
        fsync_path(written)
        written.replace(target)
        fsync_path(target.parent)
        return digest

    def link(self, digest: str, target: Path) -> None:
        """Let the part appear under another name: a hard link, or a copy where the file system has none."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self.path(digest), target)
        except OSError:
            shutil.copyfile(self.path(digest), target)

    def digests(self) -> set[str]:
        """Every part that is stored."""
        return {path.stem for path in self.root.glob("??/*.parquet")}


def _holds(path: Path, digest: str) -> bool:
    try:
        return sha256_of_stored(path) == digest
    except (DamagedFileError, KeyUnavailableError):
        return False
