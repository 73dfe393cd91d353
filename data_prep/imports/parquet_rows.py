"""Rows of Parquet."""

from collections.abc import Callable, Generator
from datetime import date, datetime
from itertools import pairwise
from typing import Any, BinaryIO

from contracts.errors import InvalidDataError
from data_prep.imports.batches import Batch, BrokenRow
from data_prep.imports.blocks import seekable
from data_prep.imports.input_files import InputFile

_BATCH_ROWS = 2000
_BUFFER_BYTES = 1 << 20


def open_parquet(file: InputFile) -> tuple[list[str], Generator[Batch], Callable[[], int]]:
    """Columns, rows and the share of the file that was read. Raises InvalidDataError when it is not Parquet."""
    rows = _rows(file)
    columns, total = next(rows)
    done = 0

    def batches() -> Generator[Batch]:
        nonlocal done
        for batch in rows:
            assert isinstance(batch, Batch)
            done += len(batch)
            yield batch

    assert isinstance(columns, list)
    return columns, batches(), lambda: file.size_bytes * done // max(total, 1)


def _rows(file: InputFile) -> Any:
    """First the columns and the number of rows, then batches."""
    import pyarrow

    with seekable(file) as stream:
        try:
            table = _table(stream)
            names = list(table.schema_arrow.names)
            total = table.metadata.num_rows
            groups = (table.metadata.row_group(number) for number in range(table.metadata.num_row_groups))
            file.require_unpacked(sum(group.total_byte_size for group in groups))
            if len(set(names)) < len(names):
                raise _refusal(file, "names a column twice")
            yield names, total
            number = 1
            # no buffers ahead: row groups may be as large as the file
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, use_threads=True):
                yield _batch(batch, names, number)
                number += batch.num_rows
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError, MemoryError) as error:
            raise _refusal(file, "is not a Parquet file, or it is damaged or cut off") from error


def _table(stream: BinaryIO) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER_BYTES)


def _refusal(file: InputFile, what: str) -> InvalidDataError:
    return InvalidDataError(
        f"The file {what}",
        value=file.name,
        allowed="a whole Parquet file",
        next_step="export or copy it again",
    )


def _batch(given: Any, names: list[str], number: int) -> Batch:
    columns = [_cells(column) for column in given.columns]
    lines = list(range(number, number + given.num_rows))
    if not columns:
        return Batch(broken=[BrokenRow(line, "the row has no column", "") for line in lines])
    values = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return Batch(lines, values)


def _cells(column: Any) -> list[Any]:
    """The column's values as JSON knows them: dates and decimals become text. Lists and structs, too, by columns."""
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        return _cells(column.dictionary_decode())
    if types.is_string(kind) or types.is_large_string(kind):
        cells: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return cells
    if types.is_struct(kind):
        names = [field.name for field in kind]
        children = [_cells(child) for child in column.flatten()]
        rows = [dict(zip(names, cells, strict=True)) for cells in zip(*children, strict=True)]
        rows = rows or [{} for _ in range(len(column))]
        return _with_nulls(column, rows)
    if types.is_list(kind) or types.is_large_list(kind):
        first = column.offsets[0].as_py() if len(column) else 0
        offsets = [offset - first for offset in column.offsets.to_pylist()]
        items = _cells(column.flatten()) if column.null_count == 0 else _cells(_list_items(column))
        return _with_nulls(column, [items[start:end] for start, end in pairwise(offsets)])
    return [_plain(cell) for cell in column.to_pylist()]


def _list_items(column: Any) -> Any:
    """The values between the first and the last offset, those of empty (null) lists too."""
    return column.values.slice(column.offsets[0].as_py(), column.offsets[-1].as_py() - column.offsets[0].as_py())


def _with_nulls(column: Any, cells: list[Any]) -> list[Any]:
    if column.null_count == 0:
        return cells
    return [cell if valid else None for cell, valid in zip(cells, column.is_valid().to_pylist(), strict=True)]


def _plain(cell: Any) -> Any:
    if cell is None or isinstance(cell, str | bool | int | float):
        return cell
    if isinstance(cell, dict):
        return {str(name): _plain(item) for name, item in cell.items()}
    if isinstance(cell, list | tuple):
        return [_plain(item) for item in cell]
    if isinstance(cell, datetime | date):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "backslashreplace")
    return str(cell)
