"""Files row by row: JSON, JSONL, CSV, TSV and Parquet, with every broken row told and none hiding the others."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO, cast

from pydantic import JsonValue

from contracts.errors import InvalidDataError
from contracts.record import JsonObject
from data_prep.imports.encoding import detect_encoding, has_undecodable_bytes
from data_prep.imports.input_files import InputFile

MAX_ROW_CHARACTERS = 1 << 20
"""A longer line is a broken file (a lost line end, an open quote), not a conversation."""
PARQUET_BATCH_ROWS = 1000

_CHUNK_CHARACTERS = 1 << 20
_NEXT_OBJECT = re.compile(r"\}\s*,\s*(?=\{)")


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """A row that could be read."""

    line: int
    """Line of a text file on which the row begins, or number of a Parquet row; from 1."""
    value: JsonObject
    raw: str | None
    """The row's text, where the format has one."""


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that could not be read."""

    line: int
    reason: str
    raw: str


ReadRow = ParsedRow | BrokenRow


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file ready to be read."""

    rows: Iterator[ReadRow]
    columns: list[str] | None
    """Column names of a table; None for JSON, whose rows may differ."""
    encoding: str | None
    bytes_read: Callable[[], int]


def open_rows(file: InputFile) -> OpenedFile:
    """Begin to read a file. Raises InvalidDataError when it is not what its ending says."""
    if file.format == "parquet":
        return _open_parquet(file)
    encoding = detect_encoding(file.path)
    binary = file.path.open("rb")
    text = io.TextIOWrapper(binary, encoding=encoding, errors="surrogateescape", newline="")
    # the wrapper reads ahead in blocks of 8 KiB: exact enough for a progress bar
    position = binary.tell
    if file.format in {"csv", "tsv"}:
        lines = _Lines(text)
        columns, delimiter = _header(lines, file)
        return OpenedFile(_closing(text, _table_rows(lines, columns, delimiter)), columns, encoding, position)
    rows = _json_array(text) if file.format == "json" and _begins_with_bracket(text, file) else _json_lines(text)
    return OpenedFile(_closing(text, rows), None, encoding, position)


def _closing(stream: TextIO, rows: Iterator[ReadRow]) -> Iterator[ReadRow]:
    with stream:
        yield from rows


def _parsed(line: int, value: object, raw: str | None) -> ReadRow:
    if not isinstance(value, dict):
        return BrokenRow(line, f"the row is a JSON {type(value).__name__}, not an object", raw or str(value))
    return ParsedRow(line, cast("JsonObject", value), raw)


def _json_lines(stream: TextIO) -> Iterator[ReadRow]:
    for number, text in _Lines(stream):
        if not text.strip():
            continue
        if len(text) >= MAX_ROW_CHARACTERS:
            yield BrokenRow(number, f"the line is longer than {MAX_ROW_CHARACTERS} characters", text)
        elif has_undecodable_bytes(text):
            yield BrokenRow(number, "the line holds bytes that are not text in the file's encoding", text)
        else:
            try:
                value = json.loads(text)
            except (json.JSONDecodeError, RecursionError) as error:
                yield BrokenRow(number, f"not valid JSON: {error}", text.rstrip("\r\n"))
            else:
                yield _parsed(number, value, text.rstrip("\r\n"))


def _begins_with_bracket(stream: TextIO, file: InputFile) -> bool:
    """The file is one JSON array. A .json file of one object a line is read as JSONL."""
    start = stream.read(4096).lstrip()
    stream.seek(0)
    if start.startswith("["):
        return True
    first_line = start.split("\n", 1)[0].strip()
    try:
        json.loads(first_line)
    except json.JSONDecodeError as error:
        if "\n" in start or not start.startswith("{"):
            raise InvalidDataError(
                "The JSON file is neither an array of rows nor one row a line",
                value=f"{file.name} begins with {first_line[:60]!r}",
                allowed='[{"messages": [...]}, ...] or one such object a line',
                next_step="write the rows as one JSON array",
            ) from error
    return False


def _json_array(stream: TextIO) -> Iterator[ReadRow]:
    decoder = json.JSONDecoder()
    buffer, position, line, at_end = "", 0, 1, False

    def read_more() -> None:
        nonlocal buffer, position, at_end
        chunk = stream.read(_CHUNK_CHARACTERS)
        at_end = chunk == ""
        buffer, position = buffer[position:] + chunk, 0

    def skip(characters: str) -> None:
        """Move to the next character that is none of these, or to the end of the file."""
        nonlocal position, line
        while True:
            while position < len(buffer) and buffer[position] in characters:
                line += buffer[position] == "\n"
                position += 1
            if position < len(buffer) or at_end:
                return
            read_more()

    skip(" \t\r\n\ufeff")
    position += 1
    while True:
        skip(" \t\r\n,")
        if position >= len(buffer):
            yield BrokenRow(line, "the array has no end: the file may be cut off", "")
            return
        if buffer[position] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, position)
            failure = ""
        except (json.JSONDecodeError, RecursionError) as error:
            if not at_end and len(buffer) - position < MAX_ROW_CHARACTERS:
                read_more()
                continue
            failure = f"not valid JSON: {getattr(error, 'msg', error)}"
            following = _NEXT_OBJECT.search(buffer, position)
            value, end = None, following.end() if following else len(buffer)
        if end == len(buffer) and not at_end:
            # a number may go on in the next block
            read_more()
            continue
        raw = buffer[position:end]
        if failure:
            yield BrokenRow(line, failure, raw.strip())
            if end == len(buffer):
                return
        elif has_undecodable_bytes(raw):
            yield BrokenRow(line, "the row holds bytes that are not text in the file's encoding", raw)
        else:
            yield _parsed(line, value, raw)
        line += raw.count("\n")
        position = end


class _Lines:
    """Numbered lines of a text, where the last ones can be given back."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._returned: list[tuple[int, str]] = []
        self._next_number = 1

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> tuple[int, str]:
        if self._returned:
            return self._returned.pop()
        text = self._stream.readline(MAX_ROW_CHARACTERS)
        if text == "":
            raise StopIteration
        number = self._next_number
        while not text.endswith(("\n", "\r")) and (rest := self._stream.readline(MAX_ROW_CHARACTERS)):
            if rest.endswith(("\n", "\r")):
                break
        self._next_number += 1
        return number, text

    def give_back(self, lines: Sequence[tuple[int, str]]) -> None:
        """These lines come again, in this order, before the rest."""
        self._returned.extend(reversed(lines))


class _Record:
    """The lines that one table row was read from."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self.consumed: list[tuple[int, str]] = []

    def __iter__(self) -> "_Record":
        return self

    def __next__(self) -> str:
        if sum(len(text) for _, text in self.consumed) > MAX_ROW_CHARACTERS:
            raise csv.Error(f"a quoted field is longer than {MAX_ROW_CHARACTERS} characters")
        number, text = next(self._lines)
        self.consumed.append((number, text))
        return text


def _read_record(lines: _Lines, delimiter: str) -> tuple[list[tuple[int, str]], list[str] | None, str]:
    """Lines, fields and failure of the next table row. Raises StopIteration at the end of the file."""
    record = _Record(lines)
    try:
        fields = next(csv.reader(record, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return record.consumed, None, f"not a valid table row: {error}"
    return record.consumed, fields, ""


def _header(lines: _Lines, file: InputFile) -> tuple[list[str], str]:
    csv.field_size_limit(MAX_ROW_CHARACTERS)
    try:
        number, text = next(lines)
    except StopIteration:
        text = ""
        number = 1
    lines.give_back([(number, text)])
    delimiter = "\t" if file.format == "tsv" else max(",;\t|", key=text.count)
    _, fields, failure = _read_record(lines, delimiter)
    columns = [field.strip().lstrip("\ufeff") for field in fields or []]
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if failure or repeated or not any(columns):
        raise InvalidDataError(
            "The first line of the table does not name its columns" + (f" once each: {repeated}" if repeated else ""),
            value=f"{file.name}: {text.strip()[:80]!r}",
            allowed="a first line such as question,answer,category",
            next_step="add a header line",
        )
    return columns, delimiter


def _table_rows(lines: _Lines, columns: list[str], delimiter: str) -> Iterator[ReadRow]:
    while True:
        try:
            consumed, fields, failure = _read_record(lines, delimiter)
        except StopIteration:
            return
        number = consumed[0][0]
        raw = "".join(text for _, text in consumed)
        if fields is not None and not any(field.strip() for field in fields):
            continue
        if fields is not None and len(fields) != len(columns):
            failure = f"{len(fields)} fields where the header names {len(columns)} columns"
        if not failure and has_undecodable_bytes(raw):
            failure = "the row holds bytes that are not text in the file's encoding"
        elif failure and len(consumed) > 1:
            # an open quote swallows the lines after it: only the first one is given up
            lines.give_back(consumed[1:])
            raw = consumed[0][1]
        if failure:
            yield BrokenRow(number, failure, raw.rstrip("\r\n"))
        else:
            assert fields is not None
            yield ParsedRow(number, dict(zip(columns, fields, strict=True)), raw.rstrip("\r\n"))


def _open_parquet(file: InputFile) -> OpenedFile:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file.path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InvalidDataError(
            "The file is not a Parquet file, or it is cut off",
            value=file.name,
            allowed="a whole Parquet file",
            next_step="export or copy it again",
        ) from error
    done = 0

    def rows() -> Iterator[ReadRow]:
        nonlocal done
        with table:
            for batch in table.iter_batches(batch_size=PARQUET_BATCH_ROWS):
                for value in batch.to_pylist():
                    done += 1
                    yield ParsedRow(done, {name: _plain(cell) for name, cell in value.items()}, None)

    total = max(table.metadata.num_rows, 1)
    return OpenedFile(rows(), list(table.schema_arrow.names), None, lambda: file.size_bytes * done // total)


def _plain(cell: Any) -> JsonValue:
    """A Parquet cell as JSON knows it; dates and decimals become text."""
    if cell is None or isinstance(cell, str | bool | int | float):
        return cell
    if isinstance(cell, dict):
        return {str(name): _plain(item) for name, item in cell.items()}
    if isinstance(cell, list):
        return [_plain(item) for item in cell]
    return str(cell)
