"""The files of one side of a dataset version: `train.parquet` is a file, or a folder of parts where there are many rows."""

from pathlib import Path


def split_files(path: Path) -> list[Path]:
    """The Parquet files of a split in the order of their rows; empty where there is neither file nor folder."""
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    return [path] if path.is_file() else []
