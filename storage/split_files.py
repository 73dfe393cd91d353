"""The files of one side of a dataset version: `train.parquet` is a file, or a folder of parts where there are many rows."""

from pathlib import Path

from storage.stored_files import sha256_of_stored, sha256_of_stored_folder


def split_files(path: Path) -> list[Path]:
    """The Parquet files of a split in the order of their rows; empty where there is neither file nor folder."""
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    return [path] if path.is_file() else []


def sha256_of_split(path: Path) -> str:
    """Hex digest of what the split's file holds, or over its parts."""
    return sha256_of_stored_folder(path, "*.parquet") if path.is_dir() else sha256_of_stored(path)
