"""HTML to blocks: headings, paragraphs, lists and tables; without menus, scripts and page footers."""

from collections.abc import Callable, Iterator
from typing import Any

from data_prep.documents.chunks import Block, BlockKind
from data_prep.documents.spans import Cell, grid
from data_prep.documents.texts import clean, one_line, table_text

_LEFT_OUT = frozenset(
    {"script", "style", "noscript", "template", "nav", "svg", "iframe", "object", "head", "button", "select", "math"}
    | {"footer", "aside", "dialog", "canvas", "audio", "video", "map"}
)
_BLOCKS = frozenset(
    {"p", "div", "section", "article", "main", "header", "ul", "ol", "dl", "dt", "dd", "blockquote", "figure", "center"}
    | {
        "figcaption",
        "form",
        "fieldset",
        "address",
        "hr",
        "pre",
        "body",
        "html",
        "details",
        "summary",
        "caption",
        "tbody",
    }
    | {"thead", "tfoot", "tr", "td", "th", "table", "li", "h1", "h2", "h3", "h4", "h5", "h6"}
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def html_blocks(text: str) -> list[Block]:
    """The blocks of an HTML text, however broken."""
    from lxml import etree, html

    # bytes, for a text with an encoding declaration is refused; what the declaration says is no longer true
    data = text.replace("\0", "").encode("utf-8", "replace")
    if not data.strip():
        return []
    try:
        root = html.document_fromstring(data, parser=html.HTMLParser(encoding="utf-8", remove_comments=True))
    except etree.ParserError:  # nothing but comments
        return []
    reader = _Reader()
    reader.read(root)
    return reader.blocks


class _Reader:
    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._text: list[str] = []
        self._in_list: list[str] = []

    def read(self, root: Any) -> None:
        self._element(root)
        self._finish()

    def _element(self, element: Any) -> None:
        tag = element.tag
        if not isinstance(tag, str) or tag in _LEFT_OUT or _is_hidden(element):
            return
        if tag in _HEADINGS:
            self._finish()
            self._add(BlockKind.HEADING, one_line(_text_of(element)), _HEADINGS[tag])
        elif tag == "table" and not _is_layout(element):
            self._finish()
            for caption in element.findall("caption"):
                self._add(BlockKind.PARAGRAPH, clean(_text_of(caption)))
            self._add(BlockKind.TABLE, table_text(grid(_rows(element))))
        elif tag == "pre":
            self._finish()
            self._add(BlockKind.PARAGRAPH, clean(_text_of(element, keep_lines=True), keep_columns=True))
        elif tag in {"ul", "ol"}:
            self._list(element)
        elif tag == "br":
            self._text.append("\n")
        elif tag in _BLOCKS:
            self._finish()
            self._content(element)
            self._finish()
        else:
            self._content(element)

    def _content(self, element: Any) -> None:
        self._text.append(_flat(element.text))
        for child in element:
            self._element(child)
            self._text.append(_flat(child.tail))

    def _list(self, element: Any) -> None:
        """The items of a list that holds no headings and tables: one paragraph, an item a line."""
        self._finish()
        if any(element.iter("table", "pre", *_HEADINGS)):
            self._content(element)
            self._finish()
            return
        lines = list(_items(element, 0))
        self._add(BlockKind.PARAGRAPH, clean("\n".join(lines)))

    def _finish(self) -> None:
        self._add(BlockKind.PARAGRAPH, clean("".join(self._text)))
        self._text = []

    def _add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        if text:
            self.blocks.append(Block(kind, text, level))


def _is_hidden(element: Any) -> bool:
    style = (element.get("style") or "").replace(" ", "").lower()
    return element.get("hidden") is not None or "display:none" in style or element.get("role") == "navigation"


def _flat(text: str | None) -> str:
    return " ".join(("x" + text + "x").split())[1:-1] if text else ""


def _text_of(element: Any, *, keep_lines: bool = False) -> str:
    """All text below an element; `<br>` and blocks begin a line."""
    flat: Callable[[str | None], str] = (lambda text: text or "") if keep_lines else _flat
    parts: list[str] = []

    def collect(node: Any) -> None:
        parts.append(flat(node.text))
        for child in node:
            tag = child.tag
            if isinstance(tag, str) and tag not in _LEFT_OUT and not _is_hidden(child):
                if tag == "br" or tag in _BLOCKS:
                    parts.append("\n")
                collect(child)
                if tag in _BLOCKS:
                    parts.append("\n")
            parts.append(flat(child.tail))

    collect(element)
    return "".join(parts)


def _items(element: Any, depth: int) -> Iterator[str]:
    number = 0
    for item in element:
        if item.tag in {"ul", "ol"}:
            yield from _items(item, depth + 1)
            continue
        if item.tag != "li" or _is_hidden(item):
            continue
        number += 1
        inner = [child for child in item if child.tag in {"ul", "ol"}]
        tails = [child.tail for child in inner]
        for child in inner:
            item.remove(child)
        mark = f"{number}. " if element.tag == "ol" else "- "
        text = one_line(_text_of(item) + " ".join(tail or "" for tail in tails))
        if text:
            yield "  " * depth + mark + text
        for child in inner:
            yield from _items(child, depth + 1)


def _is_layout(table: Any) -> bool:
    """The table only places things on the page: it has a table or a heading in it, or one column."""
    if table.get("role") in {"presentation", "none"}:
        return True
    if any(found is not table for found in table.iter("table", *_HEADINGS)):
        return True
    return all(len(row.findall("td")) + len(row.findall("th")) <= 1 for row in table.iter("tr"))


def _rows(table: Any) -> list[list[Cell]]:
    return [
        [
            Cell(_text_of(cell), _span(cell.get("colspan")), _span(cell.get("rowspan")))
            for cell in row
            if cell.tag in {"td", "th"}
        ]
        for row in table.iter("tr")
    ]


def _span(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 6 else 1
