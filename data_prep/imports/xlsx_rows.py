"""Rows of an Excel workbook, read as a stream: neither the sheet nor its texts are held in memory."""

import mmap
import os
import posixpath
import re
import struct
import zipfile
import zlib
from array import array
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any
from xml.parsers import expat

from contracts.errors import InvalidDataError
from data_prep.imports.batches import MAX_ROW_CHARACTERS, Batch, BrokenRow
from data_prep.imports.blocks import seekable
from data_prep.imports.encoding import has_undecodable_bytes
from data_prep.imports.input_files import InputFile

_BLOCK_BYTES = 1 << 18
_MOST_COLUMNS = 16_384
"""Columns of the largest sheet that Excel knows."""
_MOST_PART_BYTES = 32 << 20
"""Of the small parts (workbook, styles), which are read as a whole."""
_DATE_FORMATS = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
"""Built-in number formats that show a date or a time (ECMA-376, 18.8.30)."""
_NOT_DATE = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")

Cells = list[Any]


def open_workbook(file: InputFile, notes: list[str]) -> tuple[list[str], Generator[Batch], Callable[[], int]]:
    """Columns, rows and the share that was read: of the first visible sheet with rows, and of those with its columns.

    A sheet with other columns is passed over, which `notes` tells. Line: the row's number; in later sheets it goes on
    counting. Raises InvalidDataError when the file is no workbook.
    """
    reader = _WorkbookReader(file, notes)
    rows = reader.rows()
    columns = next(rows)
    assert isinstance(columns, list)
    return columns, rows, reader.position


class _Damaged(Exception):
    """A part of the workbook is missing or says what it cannot say."""


class _WorkbookReader:
    def __init__(self, file: InputFile, notes: list[str]) -> None:
        self._file = file
        self._notes = notes
        self._done = 0
        self._total = 1

    def position(self) -> int:
        return self._file.size_bytes * min(self._done, self._total) // self._total

    def rows(self) -> Generator[Any]:
        """First the columns, then batches."""
        try:
            with seekable(self._file) as stream, zipfile.ZipFile(stream) as archive:
                yield from self._sheets(archive)
        except (
            _Damaged, zipfile.BadZipFile, zlib.error, expat.ExpatError, struct.error, EOFError, OSError, KeyError,
            ValueError, NotImplementedError, RuntimeError, OverflowError, IndexError, LookupError,
        ) as error:  # fmt: skip
            if isinstance(error, OSError) and not isinstance(error, zipfile.BadZipFile) and error.errno is not None:
                raise
            with self._file.opened() as stream:
                encrypted = stream.read(4) == b"\xd0\xcf\x11\xe0"
            raise InvalidDataError(
                "The file is an Excel file with a password, or of before 2007"
                if encrypted
                else "The file is not an Excel file, or it is damaged or cut off",
                value=self._file.name,
                allowed="a whole .xlsx file without a password",
                next_step="save it again in Excel as 'Excel workbook (.xlsx)' without a password, or as 'CSV UTF-8'",
            ) from error

    def _sheets(self, archive: zipfile.ZipFile) -> Iterator[Any]:
        self._file.require_unpacked(sum(part.file_size for part in archive.infolist()))
        workbook = _read_workbook(archive)
        self._total = max(1, sum(archive.getinfo(part).file_size for _, part in workbook.sheets))
        columns: list[str] | None = None
        number = 1
        with _SharedTexts(archive, workbook.shared_texts) as texts:
            for name, part in workbook.sheets:
                sheet = _rows_of(self._counted(archive, part), texts, workbook)
                header: tuple[int, Cells] | None = None
                for line, cells in sheet:
                    if any(cell is not None and str(cell).strip() for cell in cells):
                        header = (line, cells)
                        break
                if header is None:
                    continue
                names = [str(cell).strip() if cell is not None else "" for cell in header[1]]
                while names and not names[-1]:
                    names.pop()
                if columns is None:
                    self._require_header(names)
                    columns = names
                    yield columns
                elif names != columns:
                    self._notes.append(
                        f"the sheet {name[:31]} was passed over: its columns differ from the first sheet's"
                    )
                    continue
                last = header[0]
                for batch, last in _batches(sheet, columns, number - 1, header[0]):  # noqa: B007 - used after the loop
                    yield batch
                number += last
        if columns is None:
            raise InvalidDataError(
                "The workbook holds no row",
                value=self._file.name,
                allowed="a visible sheet whose first row names the columns",
                next_step="check how it was exported",
            )

    def _require_header(self, names: list[str]) -> None:
        given = [name for name in names if name]
        repeated = len(set(given)) < len(given)
        if repeated or any(map(has_undecodable_bytes, given)):
            raise InvalidDataError(
                "The first row of the sheet does not name its columns" + (" once each" if repeated else ""),
                value=f"{self._file.name}, row 1",
                allowed="a first row such as question, answer, category",
                next_step="add a header row",
            )

    def _counted(self, archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
        with archive.open(part) as stream:
            while block := stream.read(_BLOCK_BYTES):
                self._done += len(block)
                yield block


def _batches(
    sheet: Iterator[tuple[int, Cells]], columns: list[str], offset: int, last: int
) -> Iterator[tuple[Batch, int]]:
    batch = Batch()
    width = len(columns)
    named = [(index, name) for index, name in enumerate(columns) if name]
    for line, cells in sheet:
        last = line
        if len(cells) > width:
            if any(cells[width:]):
                flaw = f"{len(cells)} cells where the header names {width} columns"
                batch.broken.append(BrokenRow(offset + line, flaw, _shown(cells)))
                continue
            del cells[width:]
        elif len(cells) < width:
            cells += [None] * (width - len(cells))
        characters = 0
        empty = True
        for cell in cells:
            if cell is not None and cell != "":
                empty = False
                if cell.__class__ is str:
                    characters += len(cell)
        if empty:
            continue
        if characters > MAX_ROW_CHARACTERS:
            flaw = f"the row is longer than {MAX_ROW_CHARACTERS} characters"
            batch.broken.append(BrokenRow(offset + line, flaw, _shown(cells)))
        else:
            batch.lines.append(offset + line)
            batch.values.append({name: cells[index] for index, name in named})
        if len(batch) >= 2000:
            yield batch, last
            batch = Batch()
    yield batch, last


def _shown(cells: Cells) -> str:
    return "\t".join("" if cell is None else str(cell) for cell in cells)


@dataclass(frozen=True, slots=True)
class _Workbook:
    sheets: list[tuple[str, str]]
    """Name and part of each visible sheet, in order."""
    shared_texts: str | None
    date_styles: frozenset[int]
    """Cell styles that show a number as a date."""
    epoch: datetime


def _read_workbook(archive: zipfile.ZipFile) -> _Workbook:
    names = {name.lower().lstrip("/"): name for name in archive.namelist()}

    def relations(part: str) -> dict[str, tuple[str, str]]:
        folder, name = posixpath.split(part)
        found = {}
        path = names.get(posixpath.join(folder, "_rels", f"{name}.rels").lower())
        for tag, attributes in _elements(archive, path) if path else []:
            if tag == "Relationship":
                target = attributes.get("Target", "")
                target = (
                    target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
                )
                kind = attributes.get("Type", "").rsplit("/", 1)[-1]
                found[attributes.get("Id", "")] = (kind, names.get(target.lower(), ""))
        return found

    main = next((target for kind, target in relations("").values() if kind == "officeDocument" and target), None)
    main = main or names.get("xl/workbook.xml")
    if main is None:
        raise _Damaged("no workbook part")
    parts = relations(main)
    sheets = []
    epoch = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet's dates have no zone
    for tag, attributes in _elements(archive, main):
        if tag == "sheet" and attributes.get("state", "visible") == "visible":
            identity = next((value for name, value in attributes.items() if name.rsplit(":", 1)[-1] == "id"), "")
            kind, part = parts.get(identity, ("", ""))
            if part and kind == "worksheet":
                sheets.append((attributes.get("name", ""), part))
        elif tag == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
            epoch = datetime(1904, 1, 1)  # noqa: DTZ001 - a sheet's dates have no zone
    styles = next((part for kind, part in parts.values() if kind == "styles" and part), None)
    texts = next((part for kind, part in parts.values() if kind == "sharedStrings" and part), None)
    return _Workbook(sheets, texts, _date_styles(archive, styles) if styles else frozenset(), epoch)


def _elements(archive: zipfile.ZipFile, part: str) -> list[tuple[str, dict[str, str]]]:
    """Elements of a small part in order: local name and attributes; ends have the name with a slash before it."""
    if archive.getinfo(part).file_size > _MOST_PART_BYTES:
        raise _Damaged("a part is too large")
    found: list[tuple[str, dict[str, str]]] = []
    parser = _parser()
    parser.StartElementHandler = lambda tag, attributes: found.append((tag.rsplit(":", 1)[-1], attributes))
    parser.EndElementHandler = lambda tag: found.append(("/" + tag.rsplit(":", 1)[-1], {}))
    with archive.open(part) as stream:
        parser.Parse(stream.read(_MOST_PART_BYTES), True)
    return found


def _date_styles(archive: zipfile.ZipFile, part: str) -> frozenset[int]:
    own: dict[int, bool] = {}
    dates = []
    inside = False
    number = 0
    for tag, attributes in _elements(archive, part):
        if tag == "numFmt":
            code = _NOT_DATE.sub("", attributes.get("formatCode", "")).lower()
            own[int(attributes.get("numFmtId", "-1"))] = (
                any(letter in code for letter in "ymdhs") and "general" not in code
            )
        elif tag in {"cellXfs", "/cellXfs"}:
            inside = tag == "cellXfs"
        elif tag == "xf" and inside:
            used = int(attributes.get("numFmtId", "0"))
            if own.get(used, used in _DATE_FORMATS):
                dates.append(number)
            number += 1
    return frozenset(dates)


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_: object) -> None:
    raise _Damaged("a document type, which a workbook does not have")


def _unescaped(text: str) -> str:
    r"""Excel writes characters that XML does not know as _x000D_."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


class _SharedTexts:
    """The texts that cells refer to by number: in a file that is memory only, mapped, with their places in an array."""

    def __init__(self, archive: zipfile.ZipFile, part: str | None) -> None:
        self._archive = archive
        self._part = part
        self._places = array("Q", [0])
        self._file: IO[bytes] | None = None
        self._map: mmap.mmap | None = None

    def __enter__(self) -> "_SharedTexts":
        if self._part is not None:
            self._file = os.fdopen(os.memfd_create("shared texts"), "w+b")
            try:
                self._store(self._part, self._file)
                self._file.flush()
                if self._places[-1]:
                    self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            except BaseException:
                self._file.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._map is not None:
            self._map.close()
        if self._file is not None:
            self._file.close()

    def text(self, number: int) -> str:
        """The text of this number. Raises IndexError when there is none."""
        if number < 0 or number + 1 >= len(self._places):
            raise IndexError(number)
        begin, end = self._places[number], self._places[number + 1]
        if self._map is None or begin == end:
            return ""
        return self._map[begin:end].decode("utf-8", "surrogatepass")

    def _store(self, part: str, target: IO[bytes]) -> None:
        pieces: list[str] = []
        waiting: list[bytes] = []
        place = 0
        in_text = False
        phonetic = 0

        def start(tag: str, _: dict[str, str]) -> None:
            nonlocal in_text, phonetic
            tag = tag.rsplit(":", 1)[-1]
            if tag == "t":
                in_text = phonetic == 0
            elif tag == "rPh":  # how to pronounce the text
                phonetic += 1
            elif tag == "si":
                pieces.clear()

        def end(tag: str) -> None:
            nonlocal in_text, phonetic, place
            tag = tag.rsplit(":", 1)[-1]
            if tag == "t":
                in_text = False
            elif tag == "rPh":
                phonetic -= 1
            elif tag == "si":
                content = _unescaped("".join(pieces)).encode("utf-8", "surrogatepass")
                waiting.append(content)
                place += len(content)
                self._places.append(place)

        def text(given: str) -> None:
            if in_text:
                pieces.append(given)

        parser = _parser()
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
        with self._archive.open(part) as stream:
            while block := stream.read(_BLOCK_BYTES):
                parser.Parse(block, False)
                target.write(b"".join(waiting))
                waiting.clear()
            parser.Parse(b"", True)
        target.write(b"".join(waiting))


def _rows_of(blocks: Iterator[bytes], texts: _SharedTexts, workbook: _Workbook) -> Iterator[tuple[int, Cells]]:
    """Number and cells of each row of a sheet."""
    ready: list[tuple[int, Cells]] = []
    cells: Cells = []
    line = 0
    kind = style = ""
    column = -1
    keeps = False
    pieces: list[str] = []
    kinds: dict[str, str] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal cells, line, kind, style, column, keeps
        what = kinds.get(tag) or _kind_of(tag, kinds)
        if what == "c":
            reference = attributes.get("r")
            column = _column(reference) if reference else column + 1
            kind, style = attributes.get("t", ""), attributes.get("s", "")
            pieces.clear()
        elif what == "v":
            keeps = True
        elif what == "row":
            line = int(attributes.get("r") or line + 1)
            cells, column = [], -1

    def end(tag: str) -> None:
        nonlocal keeps
        what = kinds[tag]
        if what == "v":
            keeps = False
        elif what == "c":
            if pieces:
                value = _value(pieces[0] if len(pieces) == 1 else "".join(pieces), kind, style, texts, workbook)
                if column >= len(cells):
                    if column >= _MOST_COLUMNS:
                        raise _Damaged("too many columns")
                    cells.extend([None] * (column - len(cells) + 1))
                cells[column] = value
        elif what == "row":
            ready.append((line, cells))

    def text(given: str) -> None:
        if keeps:
            pieces.append(given)

    parser = _parser()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    for block in blocks:
        parser.Parse(block, False)
        yield from ready
        ready.clear()
    parser.Parse(b"", True)
    yield from ready


def _kind_of(tag: str, kinds: dict[str, str]) -> str:
    """What an element of a sheet is: a row, a cell (`c`), a value (`v`, or `t` inside the cell), or something else."""
    local = tag.rsplit(":", 1)[-1]
    kinds[tag] = {"v": "v", "t": "v", "c": "c", "row": "row"}.get(local, "-")
    return kinds[tag]


_columns: dict[str, int] = {}
_LETTERS = re.compile("[A-Z]{1,3}")


def _column(reference: str) -> int:
    """0 for A7, 27 for AB1."""
    letters = reference.rstrip("0123456789")
    number = _columns.get(letters)
    if number is None:
        if not _LETTERS.fullmatch(letters):
            raise _Damaged("a cell has no place")
        number = 0
        for letter in letters:
            number = number * 26 + ord(letter) - 64
        number = _columns[letters] = number - 1
    return number


def _value(text: str, kind: str, style: str, texts: _SharedTexts, workbook: _Workbook) -> Any:
    if kind == "s":
        return texts.text(int(text))
    if kind in {"str", "inlineStr"}:
        return _unescaped(text)
    if kind == "b":
        return text.strip() == "1"
    if kind == "e":  # #N/A, #DIV/0!
        return None
    if kind == "d":
        return text
    number = float(text)
    if style and int(style) in workbook.date_styles:
        return _date(number, workbook.epoch)
    if number != number or number in (float("inf"), float("-inf")):
        return None
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _date(days: float, epoch: datetime) -> str | float:
    """The day, the time or both, as ISO 8601 writes them."""
    try:
        moment = epoch + timedelta(seconds=round(days * 86400))
    except (OverflowError, ValueError):
        return days
    if 0 <= days < 1:
        return moment.time().isoformat()
    return moment.date().isoformat() if days == int(days) else moment.isoformat(" ")
