"""Rows in Parquet files, by their number over all files: memory for those that are asked for only."""

from collections.abc import Sequence
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet

from data_prep.rows import Row, messages_from_json
from storage.stored_files import open_stored


class StoredRows:
    """Rows of several files, numbered from 0 in the order of the files."""

    def __init__(self, files: Sequence[Path], counts: Sequence[int] | None = None) -> None:
        """`counts`: rows of each file, read from the files unless given."""
        if counts is None:
            counts = [_rows_of(path) for path in files]
        self.files = list(files)
        self._starts = numpy.concatenate([[0], numpy.cumsum(counts)]).astype(numpy.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def start(self, file: int) -> int:
        """Number of the file's first row; for the number of files, the number of rows."""
        return int(self._starts[file])

    def table(self, file: int, columns: Sequence[str] | None = None) -> pyarrow.Table:
        """The file's rows, with these columns or all."""
        with open_stored(self.files[file]) as stream:
            return pyarrow.parquet.read_table(stream, columns=None if columns is None else list(columns))

    def columns(self, names: Sequence[str]) -> pyarrow.Table:
        """These columns of all rows."""
        return pyarrow.concat_tables([self.table(file, names) for file in range(len(self.files))]).combine_chunks()

    def rows_at(self, numbers: Sequence[int]) -> list[Row]:
        """The conversations of these numbers, in the order asked; without metadata."""
        wanted = numpy.asarray(numbers, dtype=numpy.int64)
        files = numpy.searchsorted(self._starts, wanted, side="right") - 1
        found: list[Row | None] = [None] * len(wanted)
        for file in numpy.unique(files):
            places = numpy.flatnonzero(files == file)
            column = self.table(int(file), ["messages"])["messages"].take(wanted[places] - self._starts[file])
            for place, text in zip(places, column.to_pylist(), strict=True):
                found[place] = Row(str(wanted[place]), messages_from_json(text))
        return [row for row in found if row is not None]


def _rows_of(path: Path) -> int:
    with open_stored(path) as stream:
        return int(pyarrow.parquet.read_metadata(stream).num_rows)
