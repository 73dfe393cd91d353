"""Rows of one split cut into parts at places that the rows themselves decide.

A part ends after a row whose key's checksum says so (on average every 4,096 rows, never before 2,048). Rows that were
added or changed therefore move the cuts only near themselves; the stretches between are the same bytes as before and
are stored once.
"""

from zlib import crc32

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from contracts.record import Record
from data_prep.versions.names import PART_SCHEMA
from data_prep.versions.objects import ObjectStore
from storage.stored_files import create_stored

MIN_PART_ROWS, MEAN_FURTHER_ROWS, MAX_PART_ROWS = 2_048, 4_096, 16_384
MAX_PART_BYTES = 64 * 2**20
"""Of messages, before compression: bounds the memory of a part with very long rows."""


class Part(Record):
    """One stored part."""

    sha256: str
    rows: int
    size_bytes: int


class PartWriter:
    """Takes the rows of one split in order and stores them part by part."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._waiting: list[pyarrow.Table] = []
        self._rows, self._bytes = 0, 0
        self.parts: list[Part] = []

    def add(self, table: pyarrow.Table) -> None:
        """Take rows with the columns of PART_SCHEMA."""
        sizes = pyarrow.compute.binary_length(table["messages"]).to_pylist()
        start = 0
        for index, (key, size) in enumerate(zip(table["key"].to_pylist(), sizes, strict=True)):
            self._rows += 1
            self._bytes += size
            if self._ends_after(key):
                self._waiting.append(table.slice(start, index + 1 - start))
                self._store_part()
                start = index + 1
        if start < table.num_rows:
            self._waiting.append(table.slice(start))

    def finish(self) -> list[Part]:
        """Store the rest. A split without rows has one part without rows."""
        if self._waiting or not self.parts:
            self._store_part()
        return self.parts

    def _ends_after(self, key: str) -> bool:
        if self._rows >= MAX_PART_ROWS or self._bytes >= MAX_PART_BYTES:
            return True
        return self._rows >= MIN_PART_ROWS and crc32(key.encode()) % MEAN_FURTHER_ROWS == 0

    def _store_part(self) -> None:
        table = pyarrow.concat_tables(self._waiting) if self._waiting else PART_SCHEMA.empty_table()
        self.parts.append(write_part(self._store, table))
        self._waiting, self._rows, self._bytes = [], 0, 0


def write_part(store: ObjectStore, table: pyarrow.Table) -> Part:
    """Store the rows as one part: the same rows give the same bytes, however they came in batches."""
    temporary = store.temporary()
    with create_stored(temporary) as stream:
        pyarrow.parquet.write_table(
            # one chunk a column: batches must not show in the bytes
            table.combine_chunks(),
            stream,
            compression="zstd",
            use_dictionary=["category", "source"],
            row_group_size=MAX_PART_ROWS,
        )
    size = temporary.stat().st_size
    return Part(sha256=store.put(temporary), rows=table.num_rows, size_bytes=size)
