"""Files row by row: JSON, JSONL, CSV, TSV, text, Parquet and Excel, with every broken row told and none hiding others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from contracts.datasets import ColumnMapping
from contracts.errors import InvalidDataError
from data_prep.imports.batches import MAX_ROW_CHARACTERS, Batch, BrokenRow, ParsedRow, ReadRow
from data_prep.imports.blocks import ByteBlocks, text_blocks
from data_prep.imports.encoding import detect_encoding
from data_prep.imports.input_files import InputFile
from data_prep.imports.json_rows import array_batches, encoded, line_batches
from data_prep.imports.parquet_rows import open_parquet
from data_prep.imports.shapes import recognise
from data_prep.imports.table_rows import open_table
from data_prep.imports.text_rows import COLUMNS, text_batches
from data_prep.imports.xlsx_rows import open_workbook
from data_prep.rows import Rejection

__all__ = ["MAX_ROW_CHARACTERS", "BrokenRow", "OpenedFile", "ParsedRow", "ReadRow", "open_rows"]


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file ready to be read once: by `batches`, or row by row."""

    batches: Generator[Batch]
    columns: list[str] | None
    """Column names of a table; None for JSON, whose rows may differ."""
    encoding: str | None
    bytes_read: Callable[[], int]
    notes: list[str] = field(default_factory=list)
    """What a person should know of the reading; may grow until the last row."""

    @property
    def rows(self) -> Iterator[ReadRow]:
        """All rows in their order."""
        for batch in self.batches:
            yield from batch.rows()


def open_rows(file: InputFile, wanted: Sequence[str] = ()) -> OpenedFile:
    """Begin to read a file. `wanted` names columns that the request's mapping needs.

    Raises InvalidDataError when it is not what its ending says, also later, where only the reading shows it.
    """
    if file.format == "parquet":
        columns, batches, position = open_parquet(file)
        return OpenedFile(batches, columns, None, position)
    if file.format == "xlsx":
        notes: list[str] = []
        columns, batches, position = open_workbook(file, notes)
        return OpenedFile(batches, columns, None, position, notes)
    encoding = detect_encoding(iter(ByteBlocks(file)), file.name)
    blocks = ByteBlocks(file)
    kind = _kind(file, encoding, wanted)
    if kind == "jsonl":
        utf8 = blocks if encoding in {"utf-8", "utf-8-sig"} else encoded(text_blocks(blocks, encoding))
        return OpenedFile(line_batches(utf8), None, encoding, blocks.position)
    text = text_blocks(blocks, encoding)
    if kind == "json":
        return OpenedFile(array_batches(text), None, encoding, blocks.position)
    if kind == "text":
        return OpenedFile(text_batches(text, file), list(COLUMNS), encoding, blocks.position)
    if kind == "row":
        return OpenedFile(_one_row("".join(text)), None, encoding, blocks.position)
    columns, batches = open_table(text, file)
    return OpenedFile(batches, columns, encoding, blocks.position)


def _one_row(text: str) -> Generator[Batch]:
    """The only object of a .json file."""
    yield Batch([1], [json.loads(text.strip("\ufeff \t\r\n"))], [], lambda _: text)


_WRAPPED = re.compile(r'\{\s*(?:"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[-+.\w]+)\s*,\s*)*"([^"\\]*)"\s*:\s*\[\s*\{')


def _kind(file: InputFile, encoding: str, wanted: Sequence[str]) -> str:
    """A word: json (an array, or an object of arrays), row (one object), jsonl, table or text."""
    if file.format in {"csv", "tsv"}:
        return "table"
    if file.format == "jsonl":
        return "jsonl"
    # a block and a bit: enough to see whether a small file is one object
    start = "".join(islice(text_blocks(ByteBlocks(file), encoding), 2)).lstrip("\ufeff \t\r\n")
    first_line, _, rest = start.partition("\n")
    one_row = _object(first_line) is not None
    if file.format == "text":
        if one_row:
            return "jsonl"
        return "json" if start.startswith("[") and start[1:].lstrip().startswith("{") else "text"
    if start.startswith("["):
        return "json"
    if start.startswith("{"):
        if one_row and rest.strip():
            return "jsonl"
        whole = _object(start) if len(start) < MAX_ROW_CHARACTERS else None
        if whole is not None and (set(wanted) & whole.keys() or _is_row(list(whole))):
            return "row"
        wrapped = _WRAPPED.match(start)
        if wrapped is not None and not _is_row([wrapped[1]]):
            return "json"
        if whole is not None:
            return "row"
        if rest.lstrip().startswith("{"):
            return "jsonl"
    raise InvalidDataError(
        "The JSON file is neither an array of rows nor one row a line",
        value=f"{file.name}, line 1",
        allowed='[{"messages": [...]}, ...] or one such object a line',
        next_step="write the rows as one JSON array",
    )


def _object(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_row(columns: Sequence[str]) -> bool:
    return not isinstance(recognise(columns, ColumnMapping()), Rejection)
