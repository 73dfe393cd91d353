"""Rows of CSV and TSV."""

import csv
import io
from collections.abc import Generator, Iterable, Iterator

from contracts.errors import InvalidDataError
from data_prep.imports.batches import MAX_ROW_CHARACTERS, NOT_TEXT, TOO_LONG, Batch, BrokenRow
from data_prep.imports.encoding import has_undecodable_bytes
from data_prep.imports.input_files import InputFile

_MOST_RUNAWAYS = 20
"""So many quotes without an end, and fields of several lines are no longer believed: each costs reading 1 MB again."""


def open_table(blocks: Iterable[str], file: InputFile) -> tuple[list[str], Generator[Batch]]:
    """Columns and rows of a table. Raises InvalidDataError when its first line does not name the columns."""
    csv.field_size_limit(2 * MAX_ROW_CHARACTERS)
    lines = _whole_lines(blocks)
    first = next(lines, [])
    while first and not first[0].strip():
        first = first[1:]
        if not first:
            first = next(lines, [])
    text = first[0] if first else ""
    delimiter = "\t" if file.format == "tsv" else max(",;\t|", key=text.count)
    reader = csv.reader(iter(first), delimiter=delimiter, strict=True)
    try:
        fields = next(reader, [])
        failure = len(text) > MAX_ROW_CHARACTERS
    except csv.Error:
        fields, failure = [], True
    columns = [field.strip().lstrip("\ufeff") for field in fields]
    repeated = len({column for column in columns if column}) < len([column for column in columns if column])
    if failure or repeated or not any(columns) or has_undecodable_bytes("".join(columns)):
        raise InvalidDataError(
            "The first line of the table does not name its columns" + (" once each" if repeated else ""),
            value=f"{file.name}, line 1",
            allowed="a first line such as question,answer,category",
            next_step="add a header line",
        )
    used = reader.line_num
    return columns, _TableReader(columns, delimiter).batches(first[used:], lines, 1 + used)


def _whole_lines(blocks: Iterable[str]) -> Iterator[list[str]]:
    """Lines with their ends; of an endless one no more than its beginning is kept."""
    rest = ""
    for block in blocks:
        if "\n" not in block and "\r" not in block:
            if len(rest) <= MAX_ROW_CHARACTERS:
                rest += block
            continue
        # newline="": \n, \r and \r\n end a line, and stay
        lines = list(io.StringIO(rest + block, newline=""))
        # a carriage return at the end of a block may be half of \r\n
        rest = lines.pop() if not lines[-1].endswith("\n") else ""
        if lines:
            yield lines
    if rest:
        yield list(io.StringIO(rest, newline=""))


def _raw(lines: list[str]) -> str:
    return "".join(lines).rstrip("\r\n")


class _TableReader:
    """Rows of a table, where an open quote costs the line it stands in only."""

    def __init__(self, columns: list[str], delimiter: str) -> None:
        self._columns = columns
        self._delimiter = delimiter
        # a column without a name is left out
        self._named = [index for index, column in enumerate(columns) if column]
        self._runaways = 0

    def batches(self, lines: list[str], following: Iterator[list[str]], number: int) -> Generator[Batch]:
        at_end = False
        while not at_end:
            more = next(following, None)
            at_end = more is None
            batch, used = self._parsed(lines, number, at_end)
            yield batch
            number += used
            lines = lines[used:] + (more or [])

    def _parsed(self, lines: list[str], first_number: int, at_end: bool) -> tuple[Batch, int]:
        """Rows, and the number of lines they took: the last row may go on in lines that are not here yet."""
        batch = Batch()
        spans: list[tuple[int, int]] = []
        batch.raw_of = lambda index: _raw(lines[spans[index][0] : spans[index][1]])
        columns, width = self._columns, len(self._columns)
        all_named = len(self._named) == width
        suspicious = any(map(_is_long, lines)) or not _is_clean("".join(lines))
        start = 0
        while start < len(lines):
            base = start
            reader = csv.reader(
                map(lines.__getitem__, range(start, self._last_line(start, lines))),
                delimiter=self._delimiter,
                strict=True,
            )
            failure = ""
            while True:
                try:
                    fields = next(reader)
                except StopIteration:
                    break
                except csv.Error as error:
                    end = base + reader.line_num
                    failure = f"not a valid table row: {error}"
                    if end == len(lines) and "unexpected end" in str(error):
                        if not at_end and sum(map(len, lines[start:])) <= MAX_ROW_CHARACTERS:
                            return batch, start
                        self._runaways += 1
                else:
                    end = base + reader.line_num
                    if len(fields) != width:
                        if fields and "".join(fields).strip():
                            failure = f"{len(fields)} fields where the header names {width} columns"
                    elif suspicious or end - start > 1:
                        failure = _flaw(lines[start:end])
                    if not failure:
                        if len(fields) == width and "".join(fields).strip():
                            spans.append((start, end))
                            batch.lines.append(first_number + start)
                            batch.values.append(
                                dict(zip(columns, fields, strict=True))
                                if all_named
                                else {columns[index]: fields[index] for index in self._named}
                            )
                        start = end
                        continue
                # an open quote swallows the lines after it: only the first one is given up
                taken = end if failure == NOT_TEXT else start + 1
                batch.broken.append(BrokenRow(first_number + start, failure, _raw(lines[start:taken])))
                failure = ""
                start = taken
                if taken != end:
                    break
        return batch, len(lines)

    def _last_line(self, start: int, lines: list[str]) -> int:
        """Where to stop reading: after too many quotes without an end, a row is one line."""
        return len(lines) if self._runaways < _MOST_RUNAWAYS else start + 1


def _is_long(line: str) -> bool:
    return len(line) > MAX_ROW_CHARACTERS


def _is_clean(text: str) -> bool:
    return text.isascii() or not has_undecodable_bytes(text)


def _flaw(lines: list[str]) -> str:
    text = "".join(lines)
    if len(text) > MAX_ROW_CHARACTERS:
        return TOO_LONG
    return "" if _is_clean(text) else NOT_TEXT
