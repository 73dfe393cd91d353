"""Word documents (DOCX) to blocks: headings by their style, numbers that Word sets itself, tables, notes.

Headers, footers, tables of contents and deleted text of tracked changes are left out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.documents.chunks import Block
from data_prep.documents.flow import FlowCell, joined_list_items, paragraph_blocks, table_blocks
from data_prep.documents.numbering import Counter, LevelFormat
from data_prep.documents.packages import Package, attribute, local_name, number, open_package

KIND = "Word document"
_MAIN = "word/document.xml"
_HEADING_NAME = re.compile(r"(?:heading|제목)\s*(\d)$", re.IGNORECASE)
_CONTENTS_NAME = re.compile(r"toc\b|목차|table of contents", re.IGNORECASE)
_MAX_STYLE_DEPTH = 20
_IN_LINE = frozenset(
    {"r", "hyperlink", "ins", "smartTag", "sdt", "sdtContent", "fldSimple", "moveTo", "customXml", "dir", "bdo"}
    | {"ruby", "rubyBase"}
)
_AROUND_BLOCKS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo"})
_STYLES = {
    "decimal": "decimal", "decimalZero": "decimal", "upperRoman": "ROMAN", "lowerRoman": "roman", "upperLetter": "LATIN",
    "lowerLetter": "latin", "ganada": "ganada", "chosung": "jamo", "decimalEnclosedCircle": "circled", "bullet": "bullet",
    "koreanDigital": "korean", "koreanCounting": "korean", "koreanLegal": "korean", "koreanDigital2": "hanja",
    "ideographDigital": "hanja", "japaneseCounting": "hanja", "chineseCounting": "hanja", "none": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Style:
    level: int | None
    is_contents: bool
    list_id: str | None
    list_level: int


def docx_blocks(path: Path, name: str) -> list[Block]:
    """The blocks of a Word document."""
    with open_package(path, name, KIND) as package:
        root = package.required_xml(_main_member(package))
        reader = _Reader(_styles(package), _lists(package), _notes(package))
        body = next((child for child in root if local_name(child) == "body"), root)
        return joined_list_items(list(reader.blocks(body)))


def _main_member(package: Package) -> str:
    if _MAIN in package.members:
        return _MAIN
    # some programs name it otherwise (document2.xml); the package's relations say which it is
    relations = package.xml("_rels/.rels")
    for relation in relations if relations is not None else ():
        if (relation.get("Type") or "").endswith("/officeDocument"):
            return (relation.get("Target") or _MAIN).lstrip("/")
    return _MAIN


class _Reader:
    def __init__(self, styles: Mapping[str, _Style], lists: Mapping[str, Counter], notes: Mapping[str, str]) -> None:
        self._styles = styles
        self._lists = lists
        self._notes = notes
        self._waiting: list[Block] = []

    def blocks(self, parent: Any) -> Iterator[Block]:
        for child in parent:
            tag = local_name(child)
            if tag == "p":
                yield from self._paragraph(child)
            elif tag == "tbl":
                yield from self._table(child)
            elif tag in _AROUND_BLOCKS and not _is_contents_part(child):
                yield from self.blocks(child)

    def _paragraph(self, paragraph: Any) -> list[Block]:
        outer, self._waiting = self._waiting, []
        properties = _child(paragraph, "pPr")
        style_id = _value(_child(properties, "pStyle")) or ""
        style = self._styles.get(style_id, self._styles.get("", _NO_STYLE))
        text = "".join(self._texts(paragraph))
        aside, self._waiting = self._waiting, outer
        if style.is_contents:
            return aside
        level = style.level
        direct = _value(_child(properties, "outlineLvl"))
        if direct is not None:
            level = number(direct) + 2 if 0 <= number(direct, 9) < 9 else None
        label = self._label(properties, style) if text.strip() else ""
        return [*paragraph_blocks(text, level=level, label=label), *aside]

    def _label(self, properties: Any, style: _Style) -> str:
        own = _child(properties, "numPr")
        list_id = _value(_child(own, "numId")) or style.list_id
        level = number(_value(_child(own, "ilvl")), style.list_level)
        counter = self._lists.get(list_id or "0")
        return counter.next_label(level) if counter is not None else ""

    def _texts(self, element: Any) -> Iterator[str]:
        for child in element:
            tag = local_name(child)
            if tag == "t":
                yield child.text or ""
            elif tag in _IN_LINE:
                yield from self._texts(child)
            elif tag in {"tab", "ptab"}:
                yield " "
            elif tag in {"br", "cr"}:
                yield "\n"
            elif tag == "noBreakHyphen":
                yield "-"
            elif tag in {"footnoteReference", "endnoteReference"}:
                note = self._notes.get(f"{tag[:-9]}:{attribute(child, 'id')}", "")
                self._waiting.extend(paragraph_blocks(note))
            elif tag == "AlternateContent":
                # the same drawing twice, for new and for old programs
                choice = next((part for part in child if local_name(part) in {"Choice", "Fallback"}), None)
                if choice is not None:
                    self._text_boxes(choice)
            elif tag in {"drawing", "pict", "object"}:
                self._text_boxes(child)

    def _text_boxes(self, element: Any) -> None:
        for child in element:
            if local_name(child) == "txbxContent":
                self._waiting.extend(self.blocks(child))
            else:
                self._text_boxes(child)

    def _table(self, table: Any) -> list[Block]:
        rows: list[list[FlowCell]] = []
        above: dict[int, FlowCell] = {}
        for row in _rows(table):
            cells: list[FlowCell] = []
            column = number(_value(_child(_child(row, "trPr"), "gridBefore")))
            for element in _cells(row):
                properties = _child(element, "tcPr")
                columns = max(number(_value(_child(properties, "gridSpan")), 1), 1)
                merged = _child(properties, "vMerge")
                blocks = list(self.blocks(element))
                if merged is not None and _value(merged) != "restart" and column in above:
                    blocks = list(above[column].blocks)
                cell = FlowCell(blocks, columns, 1, len(rows), column)
                above[column] = cell
                cells.append(cell)
                column += columns
            rows.append(cells)
        return table_blocks(rows)


def _rows(table: Any) -> Iterator[Any]:
    for child in table:
        if local_name(child) == "tr":
            if _child(_child(child, "trPr"), "del") is None:
                yield child
        elif local_name(child) in _AROUND_BLOCKS:
            yield from _rows(child)


def _cells(row: Any) -> Iterator[Any]:
    for child in row:
        if local_name(child) == "tc":
            yield child
        elif local_name(child) in _AROUND_BLOCKS:
            yield from _cells(child)


def _is_contents_part(element: Any) -> bool:
    """A table of contents that Word keeps up to date."""
    part = _child(_child(_child(element, "sdtPr"), "docPartObj"), "docPartGallery")
    return _CONTENTS_NAME.match(_value(part) or "") is not None


_NO_STYLE = _Style(None, False, None, 0)


def _styles(package: Package) -> dict[str, _Style]:
    root = package.xml("word/styles.xml")
    if root is None:
        return {}
    elements = {attribute(element, "styleId") or "": element for element in root if local_name(element) == "style"}

    def resolve(style_id: str, depth: int) -> _Style:
        element = elements.get(style_id)
        if element is None or depth > _MAX_STYLE_DEPTH:
            return _NO_STYLE
        base = resolve(_value(_child(element, "basedOn")) or "", depth + 1)
        name = _value(_child(element, "name")) or ""
        properties = _child(element, "pPr")
        own_list = _child(properties, "numPr")
        level = base.level
        outline = _value(_child(properties, "outlineLvl"))
        heading = _HEADING_NAME.match(name)
        if outline is not None:
            level = number(outline) + 2 if 0 <= number(outline, 9) < 9 else None
        elif heading is not None:
            level = int(heading[1]) + 1
        elif name.lower() in {"title", "제목"}:
            level = 1
        return _Style(
            level,
            base.is_contents or _CONTENTS_NAME.match(name) is not None,
            _value(_child(own_list, "numId")) or base.list_id,
            number(_value(_child(own_list, "ilvl")), base.list_level),
        )

    styles = {style_id: resolve(style_id, 0) for style_id in elements if style_id}
    for style_id, element in elements.items():
        if attribute(element, "default") in {"1", "true", "on"} and attribute(element, "type") == "paragraph":
            styles[""] = styles.get(style_id, _NO_STYLE)
    return styles


def _lists(package: Package) -> dict[str, Counter]:
    """The counter of each list; lists of one definition count together, as in Word."""
    root = package.xml("word/numbering.xml")
    if root is None:
        return {}
    levels = {
        attribute(element, "abstractNumId"): {
            number(attribute(level, "ilvl")): _level_format(level) for level in element if local_name(level) == "lvl"
        }
        for element in root
        if local_name(element) == "abstractNum"
    }
    shared = {definition: Counter(formats) for definition, formats in levels.items()}
    lists: dict[str, Counter] = {}
    for element in root:
        if local_name(element) != "num":
            continue
        list_id, definition = attribute(element, "numId") or "", _value(_child(element, "abstractNumId"))
        if list_id == "0" or definition not in shared:
            continue
        overrides = {
            number(attribute(override, "ilvl")): override
            for override in element
            if local_name(override) == "lvlOverride"
        }
        lists[list_id] = shared[definition] if not overrides else Counter(_overridden(levels[definition], overrides))
    return lists


def _overridden(levels: Mapping[int, LevelFormat], overrides: Mapping[int, Any]) -> dict[int, LevelFormat]:
    changed = dict(levels)
    for at, override in overrides.items():
        own = _child(override, "lvl")
        if own is not None:
            changed[at] = _level_format(own)
        start = _value(_child(override, "startOverride"))
        if start is not None and at in changed:
            changed[at] = LevelFormat(changed[at].style, changed[at].pattern, number(start, 1))
    return changed


def _level_format(level: Any) -> LevelFormat:
    style = _STYLES.get(_value(_child(level, "numFmt")) or "decimal", "decimal")
    return LevelFormat(style, _value(_child(level, "lvlText")) or "", number(_value(_child(level, "start")), 1))


def _notes(package: Package) -> dict[str, str]:
    notes: dict[str, str] = {}
    for kind in ("footnote", "endnote"):
        root = package.xml(f"word/{kind}s.xml")
        for element in root if root is not None else ():
            if local_name(element) == kind and attribute(element, "type") is None:
                texts = [
                    "".join(text.text or "" for text in paragraph.iter() if local_name(text) == "t")
                    for paragraph in element.iter()
                    if local_name(paragraph) == "p"
                ]
                notes[f"{kind}:{attribute(element, 'id')}"] = "\n".join(texts)
    return notes


def _child(element: Any, name: str) -> Any | None:
    if element is None:
        return None
    return next((child for child in element if local_name(child) == name), None)


def _value(element: Any) -> str | None:
    return None if element is None else attribute(element, "val")
