"""The files of one side of a dataset version: `train.parquet` is a file, or a folder of parts where there are many rows."""

import hashlib
from pathlib import Path

from storage.stored_files import sha256_of_stored


def split_files(path: Path) -> list[Path]:
    """The Parquet files of a split in the order of their rows; empty where there is neither file nor folder."""
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    return [path] if path.is_file() else []


def sha256_of_split(path: Path) -> str:
    """Hex digest of what the split's file holds, or over its parts."""
    if not path.is_dir():
        return sha256_of_stored(path)
    digest = hashlib.sha256()
    for part in sorted(path.rglob("*.parquet")):
        digest.update(f"{part.relative_to(path)}\0{sha256_of_stored(part)}\n".encode())
    return digest.hexdigest()
