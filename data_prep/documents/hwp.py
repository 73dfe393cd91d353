"""HWP 5 (the binary format of Hancom's word processor) to blocks, after the format that Hancom has published.

A compound file (OLE) with one stream a section; a section is a sequence of records in levels. Read are paragraphs,
outline levels and the numbers they show, tables with merged cells, text boxes and notes. Page headers and footers, hidden
comments and pictures are left out. Documents for distribution only (배포용) and HWP 3 are refused with what to do instead.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.errors import InvalidDataError
from data_prep.documents.chunks import Block
from data_prep.documents.flow import FlowCell, joined_list_items, paragraph_blocks, table_blocks
from data_prep.documents.hwpx import heading_level, is_contents, list_pattern
from data_prep.documents.numbering import Counter, LevelFormat
from data_prep.documents.problems import broken, needs_password, too_large

KIND = "HWP document"
MAX_SECTION_BYTES = 256 << 20

_SIGNATURE = b"HWP Document File"
_COMPRESSED, _PASSWORD, _DISTRIBUTION, _DRM = 0x1, 0x2, 0x4, 0x10

_NUMBERING, _PARAGRAPH_SHAPE, _STYLE = 23, 25, 26
_PARAGRAPH, _TEXT, _CONTROL, _LIST, _TABLE, _EQUATION = 66, 67, 71, 72, 77, 88
_SECTION_DEFINITION, _TABLE_CONTROL = b"secd", b"tbl "
_LEFT_OUT = frozenset({b"head", b"foot", b"tcmt", b"%%me"})
"""Page headers, page footers, hidden comments, memos."""

_ONE_UNIT = frozenset({0, 10, 13, *range(24, 32)})
"""Control characters of one code unit; the others take eight."""
_SHOWN = {9: " ", 10: "\n", 24: "-", 30: " ", 31: " "}
_STYLES = {
    0: "decimal", 1: "circled", 2: "ROMAN", 3: "roman", 4: "LATIN", 5: "latin", 8: "ganada", 9: "circled_ganada",
    10: "jamo", 12: "korean", 13: "hanja",
}  # fmt: skip
_HEAD_KINDS = ("NONE", "OUTLINE", "NUMBER", "BULLET")
_MAX_DEPTH = 64


@dataclass(slots=True)
class _Record:
    tag: int
    level: int
    data: bytes
    children: "list[_Record]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Shape:
    head: str
    level: int
    list_id: int


@dataclass(frozen=True, slots=True)
class _Look:
    styles: Sequence[str]
    shapes: Sequence[_Shape]
    lists: Sequence[Counter]


def hwp_blocks(path: Path, name: str) -> list[Block]:
    """The blocks of an HWP 5 document."""
    import olefile

    try:
        with olefile.OleFileIO(path) as compound:
            return _blocks(compound, name)
    except InvalidDataError:
        raise
    except Exception as error:  # olefile raises whatever its arithmetic meets in a damaged file
        raise broken(name, KIND, error) from error


def _blocks(compound: Any, name: str) -> list[Block]:
    header = compound.openstream("FileHeader").read(256)
    if not header.startswith(_SIGNATURE) or len(header) < 40:
        raise broken(name, KIND, "its header is not that of HWP 5")
    (flags,) = struct.unpack_from("<I", header, 36)
    if flags & (_PASSWORD | _DRM):
        raise needs_password(name, KIND)
    if flags & _DISTRIBUTION:
        raise InvalidDataError(
            "The HWP document is a copy for distribution (배포용 문서): its text is locked",
            value=name,
            allowed="ordinary HWP documents, HWPX or PDF",
            next_step="ask its author for the ordinary document, or print it to a PDF",
        )
    compressed = bool(flags & _COMPRESSED)
    look = _look(_records(_unpacked(compound, "DocInfo", name, compressed=compressed)))
    sections = sorted(
        (
            entry
            for entry in compound.listdir()
            if len(entry) == 2 and entry[0] == "BodyText" and entry[1].startswith("Section") and entry[1][7:].isdigit()
        ),
        key=lambda entry: int(entry[1][7:]),
    )
    if not sections:
        raise broken(name, KIND, "no section (BodyText/Section0)")
    blocks: list[Block] = []
    for entry in sections:
        reader = _Reader(look)
        tree = _tree(_records(_unpacked(compound, "/".join(entry), name, compressed=compressed)))
        blocks.extend(reader.blocks(tree))
    return joined_list_items(blocks)


def _unpacked(compound: Any, stream: str, name: str, *, compressed: bool) -> bytes:
    data = compound.openstream(stream).read()
    if not compressed:
        return bytes(data)
    try:
        unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, MAX_SECTION_BYTES + 1)
    except zlib.error as error:
        raise broken(name, KIND, f"{stream}: {error}") from error
    if len(unpacked) > MAX_SECTION_BYTES:
        raise too_large(name, f"{stream} unpacked", len(unpacked), MAX_SECTION_BYTES)
    return unpacked


def _records(data: bytes) -> Iterator[_Record]:
    position = 0
    while position + 4 <= len(data):
        (header,) = struct.unpack_from("<I", data, position)
        position += 4
        size = header >> 20
        if size == 0xFFF:
            if position + 4 > len(data):
                return
            (size,) = struct.unpack_from("<I", data, position)
            position += 4
        yield _Record(header & 0x3FF, (header >> 10) & 0x3FF, data[position : position + size])
        position += size


def _tree(records: Iterator[_Record]) -> list[_Record]:
    """The records of the lowest level, each with those below it."""
    roots: list[_Record] = []
    above: list[_Record] = []
    for record in records:
        while above and above[-1].level >= record.level:
            above.pop()
        (above[-1].children if above else roots).append(record)
        if len(above) < _MAX_DEPTH:
            above.append(record)
    return roots


def _look(records: Iterator[_Record]) -> _Look:
    styles: list[str] = []
    shapes: list[_Shape] = []
    lists: list[Counter] = []
    for record in records:
        if record.tag == _STYLE:
            styles.append(_style_name(record.data))
        elif record.tag == _PARAGRAPH_SHAPE:
            shapes.append(_shape(record.data))
        elif record.tag == _NUMBERING:
            lists.append(Counter(_list_levels(record.data)))
    return _Look(styles, shapes, lists)


def _style_name(data: bytes) -> str:
    name, position = _string(data, 0)
    return name or _string(data, position)[0]


def _shape(data: bytes) -> _Shape:
    if len(data) < 32:
        return _Shape("NONE", 0, 0)
    (flags,) = struct.unpack_from("<I", data, 0)
    (list_id,) = struct.unpack_from("<H", data, 30)
    return _Shape(_HEAD_KINDS[flags >> 23 & 0x3], flags >> 25 & 0x7, list_id)


def _list_levels(data: bytes) -> Mapping[int, LevelFormat]:
    levels: dict[int, LevelFormat] = {}
    position = 0
    for level in range(7):
        if position + 12 > len(data):
            break
        (flags,) = struct.unpack_from("<I", data, position)
        pattern, position = _string(data, position + 12)
        levels[level] = LevelFormat(_STYLES.get(flags >> 5 & 0xF, "decimal"), list_pattern(pattern))
    starts = data[position + 2 : position + 2 + 4 * len(levels)]
    for level, (start,) in enumerate(struct.iter_unpack("<I", starts[: len(starts) // 4 * 4])):
        levels[level] = LevelFormat(levels[level].style, levels[level].pattern, max(start, 1))
    return levels


def _string(data: bytes, position: int) -> tuple[str, int]:
    """A text that its length stands before, and where it ends."""
    if position + 2 > len(data):
        return "", len(data)
    (length,) = struct.unpack_from("<H", data, position)
    end = position + 2 + 2 * length
    return data[position + 2 : end].decode("utf-16-le", "replace"), end


class _Reader:
    """Reads the paragraphs of one section."""

    def __init__(self, look: _Look) -> None:
        self._look = look
        self._outline = 1

    def blocks(self, records: Sequence[_Record]) -> Iterator[Block]:
        for record in records:
            if record.tag == _PARAGRAPH:
                yield from self._paragraph(record)

    def _paragraph(self, paragraph: _Record) -> list[Block]:
        text = "".join(_text(child.data) for child in paragraph.children if child.tag == _TEXT)
        aside = [
            block for child in paragraph.children if child.tag == _CONTROL for block in self._control(child, paragraph)
        ]
        shape_id, style_id = struct.unpack_from("<HB", paragraph.data, 8) if len(paragraph.data) >= 11 else (0, 0)
        style = self._look.styles[style_id] if style_id < len(self._look.styles) else ""
        if is_contents(style):
            return aside
        shape = self._look.shapes[shape_id] if shape_id < len(self._look.shapes) else _Shape("NONE", 0, 0)
        level, label = heading_level(style), ""
        if text.strip():
            label = self._label(shape)
            if level is None and shape.head == "OUTLINE":
                level = shape.level + 2
        return [*paragraph_blocks(text, level=level, label=label), *aside]

    def _label(self, shape: _Shape) -> str:
        if shape.head == "BULLET":
            return "-"
        list_id = {"OUTLINE": self._outline, "NUMBER": shape.list_id}.get(shape.head, 0)
        return self._look.lists[list_id - 1].next_label(shape.level) if 0 < list_id <= len(self._look.lists) else ""

    def _control(self, control: _Record, paragraph: _Record) -> Iterator[Block]:
        kind = control.data[:4][::-1]
        if kind == _SECTION_DEFINITION and len(control.data) >= 20:
            (self._outline,) = struct.unpack_from("<H", control.data, 18)
        elif kind == _TABLE_CONTROL:
            yield from self._table(control)
        elif kind not in _LEFT_OUT:
            yield from self._lists(control)

    def _lists(self, record: _Record) -> Iterator[Block]:
        """The paragraphs of text boxes and notes, however deep the drawing."""
        for child in record.children:
            if child.tag == _PARAGRAPH:
                yield from self._paragraph(child)
            else:
                yield from self._lists(child)

    def _table(self, control: _Record) -> list[Block]:
        """The cells are lists of paragraphs: each a record of its own, with its paragraphs after or below it."""
        before: list[Block] = []
        rows: dict[int, list[FlowCell]] = {}
        body_begun = False
        cell: _Record | None = None
        paragraphs: list[_Record] = []

        def finish() -> None:
            if cell is None:
                return
            blocks = list(self.blocks([*cell.children, *paragraphs]))
            if not body_begun or len(cell.data) < 16:
                before.extend(blocks)
                return
            column, row, columns, height = struct.unpack_from("<4H", cell.data, 8)
            rows.setdefault(row, []).append(FlowCell(blocks, columns, height, row, column))

        for child in control.children:
            if child.tag == _LIST:
                finish()
                cell, paragraphs = child, []
            elif child.tag == _TABLE:
                finish()
                cell, body_begun = None, True
            elif child.tag == _PARAGRAPH:
                paragraphs.append(child)
        finish()
        return [*before, *table_blocks([rows[row] for row in sorted(rows)])]


def _text(data: bytes) -> str:
    """The text of a paragraph, without its control characters."""
    parts: list[str] = []
    run = io.BytesIO()
    position, end = 0, len(data) // 2 * 2
    while position < end:
        (unit,) = struct.unpack_from("<H", data, position)
        if unit >= 32:
            run.write(data[position : position + 2])
            position += 2
            continue
        parts.append(run.getvalue().decode("utf-16-le", "replace"))
        run = io.BytesIO()
        parts.append(_SHOWN.get(unit, ""))
        position += 2 if unit in _ONE_UNIT else 16
    parts.append(run.getvalue().decode("utf-16-le", "replace"))
    return "".join(parts)
