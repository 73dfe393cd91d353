"""HWPX (the open format of Hancom's word processor, KS X 6101) to blocks.

Headings are paragraphs with an outline level or a style named 개요 n or 제목 n. Page headers and footers, memos, tables
of contents and deleted text of tracked changes are left out; notes follow their paragraph.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.documents.chunks import Block
from data_prep.documents.flow import FlowCell, joined_list_items, paragraph_blocks, table_blocks
from data_prep.documents.numbering import Counter, LevelFormat
from data_prep.documents.packages import Package, local_name, number, open_package
from data_prep.documents.problems import broken, needs_password

KIND = "HWPX document"
_SECTION = re.compile(r"section(\d+)\.xml$", re.IGNORECASE)
_HEADING_NAME = re.compile(
    r"(?:개요|제목|outline|heading|장\s*제목|절\s*제목)\s*(\d*)$|(?:title|큰\s*제목|문서\s*제목)$", re.IGNORECASE
)
_CONTENTS_NAME = re.compile(r"차례|목차|toc\b", re.IGNORECASE)
_STYLES = {
    "DIGIT": "decimal", "CIRCLED_DIGIT": "circled", "ROMAN_CAPITAL": "ROMAN", "ROMAN_SMALL": "roman",
    "LATIN_CAPITAL": "LATIN", "LATIN_SMALL": "latin", "HANGUL_SYLLABLE": "ganada", "HANGUL_JAMO": "jamo",
    "CIRCLED_HANGUL_SYLLABLE": "circled_ganada", "HANGUL_PHONETIC": "korean", "IDEOGRAPH": "hanja",
}  # fmt: skip
_LEFT_OUT = frozenset({"header", "footer", "fieldBegin", "secPr", "linesegarray", "shapeComment", "masterPage"})
_NOTES = frozenset({"footNote", "endNote"})


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands before a paragraph, and how deep it is in the outline."""

    kind: str
    list_id: str
    level: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a document says of its paragraphs."""

    style_names: Mapping[str, str]
    heads: Mapping[str, _Head]
    lists: Mapping[str, Counter]


def heading_level(style_name: str) -> int | None:
    """Level of a heading by the name of its style; None for other styles."""
    match = _HEADING_NAME.match(style_name.strip())
    if match is None:
        return None
    return int(match[1]) + 1 if match[1] else 1


def is_contents(style_name: str) -> bool:
    """The style is one of a table of contents."""
    return _CONTENTS_NAME.match(style_name.strip()) is not None


def list_pattern(text: str) -> str:
    """`제%1조` of Hancom's `제^1조`."""
    text = re.sub(r"\^[nN]", "%1", text.replace("%", ""))
    return re.sub(r"\^(\d)", r"%\1", text)


def hwpx_blocks(path: Path, name: str) -> list[Block]:
    """The blocks of an HWPX document."""
    with open_package(path, name, KIND) as package:
        _require_readable(package)
        look = _look(package)
        sections = sorted(
            (int(match[1]), member) for member in package.members if (match := _SECTION.search(member)) is not None
        )
        if not sections:
            raise broken(name, KIND, "no section (Contents/section0.xml)")
        blocks: list[Block] = []
        for _, member in sections:
            reader = _Reader(look)
            blocks.extend(reader.blocks(package.required_xml(member)))
        return joined_list_items(blocks)


def _require_readable(package: Package) -> None:
    manifest = package.xml("META-INF/manifest.xml")
    if manifest is not None and any(local_name(element) == "encryption-data" for element in manifest.iter()):
        raise needs_password(package.name, KIND)


def _look(package: Package) -> Look:
    member = next((member for member in package.members if member.lower().endswith("header.xml")), None)
    root = package.xml(member) if member else None
    if root is None:
        return Look({}, {}, {})
    styles: dict[str, str] = {}
    heads: dict[str, _Head] = {}
    lists: dict[str, Counter] = {}
    for element in root.iter():
        tag = local_name(element)
        if tag == "style":
            styles[element.get("id") or ""] = element.get("name") or element.get("engName") or ""
        elif tag == "paraPr":
            head = next((child for child in element.iter() if local_name(child) == "heading"), None)
            if head is not None:
                heads[element.get("id") or ""] = _Head(
                    head.get("type") or "NONE", head.get("idRef") or "0", number(head.get("level"))
                )
        elif tag == "numbering":
            lists[element.get("id") or ""] = Counter(
                {
                    number(level.get("level"), 1) - 1: LevelFormat(
                        _STYLES.get(level.get("numFormat") or "DIGIT", "decimal"),
                        list_pattern(level.text or ""),
                        number(level.get("start"), 1),
                    )
                    for level in element
                    if local_name(level) == "paraHead"
                }
            )
    return Look(styles, heads, lists)


class _Reader:
    def __init__(self, look: Look) -> None:
        self._look = look
        self._outline = "1"
        self._deleted = False
        self._waiting: list[Block] = []

    def blocks(self, parent: Any) -> Iterator[Block]:
        for child in parent:
            if local_name(child) == "p":
                yield from self._paragraph(child)

    def _paragraph(self, paragraph: Any) -> list[Block]:
        outer, self._waiting = self._waiting, []
        text = "".join(self._texts(paragraph))
        aside, self._waiting = self._waiting, outer
        style = self._look.style_names.get(paragraph.get("styleIDRef") or "", "")
        if is_contents(style):
            return aside
        head = self._look.heads.get(paragraph.get("paraPrIDRef") or "")
        level, label = heading_level(style), ""
        if head is not None and text.strip():
            label = self._label(head)
            if level is None and head.kind == "OUTLINE":
                level = head.level + 2
        return [*paragraph_blocks(text, level=level, label=label), *aside]

    def _label(self, head: _Head) -> str:
        if head.kind == "BULLET":
            return "-"
        list_id = {"OUTLINE": self._outline, "NUMBER": head.list_id}.get(head.kind)
        counter = self._look.lists.get(list_id or "")
        return counter.next_label(head.level) if counter is not None else ""

    def _texts(self, element: Any) -> Iterator[str]:
        for child in element:
            tag = local_name(child)
            if tag == "secPr":
                self._outline = child.get("outlineShapeIDRef") or self._outline
            elif tag in _LEFT_OUT:
                continue
            elif tag == "t":
                yield from self._marked_text(child)
            elif tag == "tbl":
                self._waiting.extend(self._table(child))
            elif tag in _NOTES or tag == "drawText":
                for part in child:
                    if local_name(part) == "subList":
                        self._waiting.extend(self.blocks(part))
            elif tag == "equation":
                script = next((part.text for part in child if local_name(part) == "script"), None)
                yield script or ""
            elif tag == "compose":
                yield child.get("composeText") or ""
            elif tag == "dutmal":
                yield next((part.text or "" for part in child if local_name(part) == "mainText"), "")
            elif tag == "switch":
                # the same content for new and for old programs
                choice = next((part for part in child if local_name(part) in {"case", "default"}), None)
                if choice is not None:
                    yield from self._texts(choice)
            elif tag not in {"subList", "p"}:
                yield from self._texts(child)

    def _marked_text(self, element: Any) -> Iterator[str]:
        if not self._deleted:
            yield element.text or ""
        for child in element:
            tag = local_name(child)
            if tag in {"deleteBegin", "deleteEnd"}:
                self._deleted = tag == "deleteBegin"
            elif not self._deleted:
                yield {"lineBreak": "\n", "tab": " ", "nbSpace": " ", "fwSpace": " ", "hyphen": "-"}.get(tag, "")
            if not self._deleted:
                yield child.tail or ""

    def _table(self, table: Any) -> list[Block]:
        rows: list[list[FlowCell]] = []
        captions = [child for child in table if local_name(child) == "caption"]
        before = [block for caption in captions for part in caption for block in self.blocks(part)]
        for row in table:
            if local_name(row) == "tr":
                rows.append([self._cell(cell) for cell in row if local_name(cell) == "tc"])
        return [*before, *table_blocks(rows)]

    def _cell(self, cell: Any) -> FlowCell:
        blocks: list[Block] = []
        columns = rows = 1
        row = column = None
        for child in cell:
            tag = local_name(child)
            if tag == "subList":
                blocks.extend(self.blocks(child))
            elif tag == "cellSpan":
                columns, rows = number(child.get("colSpan"), 1), number(child.get("rowSpan"), 1)
            elif tag == "cellAddr":
                row, column = number(child.get("rowAddr")), number(child.get("colAddr"))
        return FlowCell(blocks, columns, rows, row, column)
