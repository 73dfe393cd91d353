"""Reading the rows of a dataset version."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute
import pyarrow.parquet

from contracts.enums import Split
from contracts.errors import NotFoundError
from contracts.record import JsonObject
from data_prep.rows import Row, messages_from_json
from data_prep.versions.names import INDEX_FILE, SPLIT_FILES
from data_prep.versions.writing import VersionRow
from storage.split_files import split_files

_BATCH_ROWS = 1_000


def read_version_rows(folder: Path, split: Split) -> Iterator[VersionRow]:
    """The rows of one side of a version, as a stream. A row that the index does not know is called by its key."""
    row_ids = _row_ids(folder, split)
    for batch in read_split_batches(folder, split):
        for value in batch.to_pylist():
            key = value.get("key") or ""
            indexed_key, row_id = next(row_ids, ("", ""))
            stored = value.get("metadata")
            metadata: JsonObject = (
                json.loads(stored) if stored else {"category": value["category"], "source": value["source"]}
            )
            row = Row(row_id if indexed_key == key else key, messages_from_json(value["messages"]), metadata, key)
            yield VersionRow(
                row, value["quality_score"], split, json.loads(value.get("parts") or "{}"), value.get("toxicity") or 0.0
            )


def read_split_batches(folder: Path, split: Split, columns: list[str] | None = None) -> Iterator[pyarrow.RecordBatch]:
    """The rows of one side as record batches, in order."""
    files = split_files(folder / SPLIT_FILES[split])
    if not files:
        raise NotFoundError(
            "A file of the dataset version is missing",
            value=folder / SPLIT_FILES[split],
            next_step="restore it from the backup, or remove the folder and prepare the dataset again",
        )
    for path in files:
        with pyarrow.parquet.ParquetFile(path) as table:
            yield from table.iter_batches(batch_size=_BATCH_ROWS, columns=columns)


def read_sides(folder: Path) -> dict[str, Split]:
    """The side of every row of a version, by its key."""
    sides = {split.value: split for split in Split}
    table = pyarrow.parquet.read_table(folder / INDEX_FILE, columns=["split", "key"])
    return {key: sides[split] for key, split in zip(table["key"].to_pylist(), table["split"].to_pylist(), strict=True)}


def _row_ids(folder: Path, split: Split) -> Iterator[tuple[str, str]]:
    path = folder / INDEX_FILE
    if not path.is_file():
        return
    with pyarrow.parquet.ParquetFile(path) as index:
        for batch in index.iter_batches(batch_size=10_000):
            of_split = batch.filter(pyarrow.compute.equal(batch["split"], split.value))
            yield from zip(of_split["key"].to_pylist(), of_split["row"].to_pylist(), strict=True)
