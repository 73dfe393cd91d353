"""Preference pairs of a dataset version, as TRL's DPO trainer takes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contracts.errors import InvalidDataError
from storage.split_files import split_files
from storage.stored_files import open_stored

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("prompt", "chosen", "rejected")


def read_preferences(path: Path) -> list[dict[str, Any]]:
    """Rows of conversations `prompt`, `chosen` and `rejected`. Raises InvalidDataError."""
    import pyarrow.parquet as parquet

    files = split_files(path)
    if not files:
        raise InvalidDataError("A file of the dataset version is missing", value=path, next_step="make it again")
    rows = []
    for file in files:
        with open_stored(file) as stream:
            names = parquet.read_schema(stream).names
        if not set(COLUMNS) <= set(names):
            raise InvalidDataError(
                "The dataset version holds no preference pairs",
                value=f"{file}: columns {', '.join(names)}",
                allowed=f"columns {', '.join(COLUMNS)}",
                next_step="make one from a file or from A/B ratings: `tuneway train preferences NAME`",
            )
        with open_stored(file) as stream:
            rows += parquet.read_table(stream, columns=list(COLUMNS)).to_pylist()
    return [
        {
            "prompt": json.loads(row["prompt"]),
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"]}],
        }
        for row in rows
    ]
