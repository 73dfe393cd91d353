"""Reading the rows of a dataset version."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from contracts.enums import Split
from contracts.errors import NotFoundError
from contracts.record import JsonObject
from data_prep.rows import Row, messages_from_json
from data_prep.versions.names import INDEX_FILE, PART_SCHEMA, SPLIT_FILES
from data_prep.versions.writing import VersionRow
from storage.split_files import split_files
from storage.stored_files import open_stored

_BATCH_ROWS = 1_000
INDEX_BATCH_ROWS = 10_000


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
        with open_stored(path) as stream, pyarrow.parquet.ParquetFile(stream) as table:
            yield from table.iter_batches(batch_size=_BATCH_ROWS, columns=columns)


def read_sides(folder: Path) -> dict[str, Split]:
    """The side of every row of a version, by its key."""
    sides = {split.value: split for split in Split}
    with open_stored(folder / INDEX_FILE) as stream:
        table = pyarrow.parquet.read_table(stream, columns=["split", "key"])
    return {key: sides[split] for key, split in zip(table["key"].to_pylist(), table["split"].to_pylist(), strict=True)}


def read_in_source_order(folder: Path) -> Iterator[tuple[pyarrow.Table, list[Split]]]:
    """All rows of a version in source order, some thousands at a time: PART_SCHEMA's columns and `row`, and the sides.

    What `VersionWriter.add_table` takes.
    """
    streams = {split: _Rows(read_split_batches(folder, split)) for split in Split}
    with open_stored(folder / INDEX_FILE) as stored, pyarrow.parquet.ParquetFile(stored) as index:
        for batch in index.iter_batches(batch_size=INDEX_BATCH_ROWS):
            sides = numpy.array(batch["split"].to_pylist(), dtype=object)
            places, tables = [], []
            for split, stream in streams.items():
                of_split = numpy.flatnonzero(sides == split.value)
                places.append(of_split)
                tables.append(stream.take(len(of_split)))
            order = numpy.argsort(numpy.concatenate(places), kind="stable")
            table = pyarrow.concat_tables(tables).take(order)
            yield table.append_column("row", pyarrow.array(batch["row"])), [Split(side) for side in sides]


class _Rows:
    """Rows that come in batches, taken in any number at a time."""

    def __init__(self, batches: Iterator[pyarrow.RecordBatch]) -> None:
        self._batches = batches
        self._rest: list[pyarrow.RecordBatch] = []

    def take(self, rows: int) -> pyarrow.Table:
        """The next rows."""
        taken: list[pyarrow.RecordBatch] = []
        while rows:
            batch = self._rest.pop() if self._rest else next(self._batches)
            if batch.num_rows > rows:
                self._rest.append(batch.slice(rows))
                batch = batch.slice(0, rows)
            taken.append(batch)
            rows -= batch.num_rows
        return pyarrow.Table.from_batches(taken, PART_SCHEMA)


def _row_ids(folder: Path, split: Split) -> Iterator[tuple[str, str]]:
    path = folder / INDEX_FILE
    if not path.is_file():
        return
    with open_stored(path) as stream, pyarrow.parquet.ParquetFile(stream) as index:
        for batch in index.iter_batches(batch_size=INDEX_BATCH_ROWS):
            of_split = batch.filter(pyarrow.compute.equal(batch["split"], split.value))
            yield from zip(of_split["key"].to_pylist(), of_split["row"].to_pylist(), strict=True)
