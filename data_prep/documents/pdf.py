"""PDF to blocks: lines put together to paragraphs, ruled tables, headings by the size of their letters.

Left out are what repeats at the top and the bottom of pages, page numbers and turned text (watermarks). A PDF knows no
words at line ends: where a line breaks inside a word is decided by the words that occur elsewhere in the document, and
by whether what follows can begin a word.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from contracts.errors import InvalidDataError
from data_prep.documents.chunks import Block, BlockKind
from data_prep.documents.problems import broken, needs_password
from data_prep.documents.structure import MAX_HEADING_CHARACTERS, begins_a_division, begins_an_item, ends_a_sentence
from data_prep.documents.texts import clean, one_line, table_text

KIND = "PDF"
_HEADING_SIZE = 1.15
"""Letters that are larger than the text's by this much make a heading."""
_MARGIN = 0.14
"""Share of the page's height at its top and bottom where headers and footers stand."""
_REPEATED = 0.5
"""A line in a margin that stands on this share of the pages (and on two at least) is no text."""
_SHORT_LINE = 0.25
"""A line that ends this share of the width before the edge ends its paragraph."""
_MAX_EDGES = 3000
"""A page with more lines is a drawing: looking for tables in it takes minutes."""
_MIN_COLUMN_LINES = 8
_FEW_CHARACTERS = 15
"""Fewer than these a page, beside pictures, is a scan with a stamp on it."""
_UNMAPPED = re.compile(r"\(cid:\d+\)")
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"[-–—~<\[(\s]*(?:(?:page|p\.|쪽|페이지|제)\s*)?\d{1,4}(?:\s*(?:/|of|-|중)\s*\d{1,4})?(?:\s*(?:쪽|페이지|면|page))?[-–—~>\])\s]*$",
    re.IGNORECASE,
)
_PARTICLES = frozenset(
    ["의", "은", "는", "가", "을", "를", "과", "와", "로", "으로", "에", "에서", "에게", "부터", "까지"]
)
_LETTER_ITEM = re.compile(r"[가-하][.)]\s")


@dataclass(slots=True)
class _Line:
    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    page: int
    ends_with_space: bool = False
    right_edge: float = 0.0
    """Where the column ends that the line stands in."""
    width: float = 0.0
    """Of the column."""


@dataclass(slots=True)
class _Table:
    rows: list[list[str]]
    top: float
    bottom: float
    page: int


@dataclass(slots=True)
class _Page:
    number: int
    height: float
    width: float
    items: list[_Line | _Table] = field(default_factory=list)
    has_picture: bool = False


def pdf_blocks(path: Path, name: str) -> list[Block]:
    """The blocks of a PDF, each with the page that it begins on."""
    pages = list(_pages(path, name))
    characters = sum(len(item.text) for page in pages for item in page.items if isinstance(item, _Line))
    has_table = any(isinstance(item, _Table) for page in pages for item in page.items)
    if not has_table and characters < _FEW_CHARACTERS * len(pages) and any(page.has_picture for page in pages):
        raise InvalidDataError(
            "The PDF holds pictures of pages and no text: it is a scan",
            value=name,
            allowed="PDF with text",
            next_step="run it through text recognition (OCR) first, e.g. `ocrmypdf -l kor`",
        )
    _remove_margins(pages)
    return _blocks(pages)


def _pages(path: Path, name: str) -> Iterator[_Page]:
    import logging

    import pdfplumber
    from pdfminer.pdfdocument import PDFPasswordIncorrect

    # it warns of each small fault of a file that it then reads
    logging.getLogger("pdfminer").setLevel(logging.ERROR)
    try:
        with pdfplumber.open(path) as document:
            for number, page in enumerate(document.pages, start=1):
                yield _page(page, number)
                page.close()
    except PDFPasswordIncorrect as error:
        raise needs_password(name, KIND) from error
    except Exception as error:  # what pdfminer raises for a damaged file has no common base
        if any(isinstance(argument, PDFPasswordIncorrect) for argument in error.args):
            raise needs_password(name, KIND) from error
        raise broken(name, KIND, f"{type(error).__name__}: {error}") from error


def _page(page: Any, number: int) -> _Page:
    content = _Page(number, float(page.height), float(page.width), has_picture=bool(page.images))
    upright = page.filter(_is_upright_and_new())
    found = _tables(upright) if 0 < len(upright.edges) <= _MAX_EDGES else []
    boxes = [table.bbox for table, _ in found]

    def outside(item: Any) -> bool:
        x, y = (item["x0"] + item["x1"]) / 2, (item["top"] + item["bottom"]) / 2
        return not any(x0 <= x <= x1 and top <= y <= bottom for x0, top, x1, bottom in boxes)

    words = upright.filter(outside).extract_words(x_tolerance_ratio=0.3, return_chars=True) if upright.chars else []
    blanks = [char for char in upright.chars if not char["text"].strip()]
    lines = _in_reading_order(_lines(words, blanks, number), content.width)
    tables = [_Table(rows, table.bbox[1], table.bbox[3], number) for table, rows in found]
    content.items = _merged(lines, tables)
    return content


def _is_upright_and_new() -> Callable[[Any], bool]:
    """Tells of each object of a page whether it is kept: turned letters are watermarks, and some programs print a letter
    twice in one place to make it bold.
    """
    seen: set[tuple[str, int, int]] = set()

    def is_kept(item: Any) -> bool:
        if item["object_type"] != "char":
            return True
        x, y, text = round(item["x0"]), round(item["top"]), item["text"]
        across, along = item["matrix"][:2]
        is_turned = abs(along) > 0.1 * abs(across) or not item["upright"]
        if is_turned or any((text, x + dx, y + dy) in seen for dx in (0, -1, 1) for dy in (0, -1, 1)):
            return False
        seen.add((text, x, y))
        return True

    return is_kept


def _tables(page: Any) -> list[tuple[Any, list[list[str]]]]:
    """Ruled tables of two rows and two columns at least."""
    found = []
    for table in page.find_tables():
        texts = table.extract()
        cells = [row.cells for row in table.rows]
        rows: list[list[str]] = []
        for index, (row, boxes) in enumerate(zip(texts, cells, strict=True)):
            line: list[str] = []
            top = min((box[1] for box in boxes if box is not None), default=0.0)
            for column, (text, box) in enumerate(zip(row, boxes, strict=True)):
                above = cells[index - 1][column] if index and column < len(cells[index - 1]) else None
                if box is None and above is not None and above[3] > top + 1:
                    cells[index][column] = above
                    line.append(rows[index - 1][column])
                else:
                    line.append(_UNMAPPED.sub("", text or ""))
            rows.append(line)
        if len(rows) > 1 and max(sum(bool(cell.strip()) for cell in row) for row in rows) > 1:
            found.append((table, rows))
    return found


def _lines(words: Sequence[Any], blanks: Sequence[Any], page: int) -> list[_Line]:
    """The words that stand side by side without a gap as wide as between columns."""
    lines: list[_Line] = []
    rows: list[list[Any]] = []
    for word in sorted(words, key=lambda word: ((word["top"] + word["bottom"]) / 2, word["x0"])):
        middle = (word["top"] + word["bottom"]) / 2
        row = rows[-1] if rows else None
        if row is not None and row[0]["top"] <= middle <= row[0]["bottom"]:
            row.append(word)
        else:
            rows.append([word])
    for row in rows:
        row.sort(key=lambda word: word["x0"])
        piece: list[Any] = []
        for word in row:
            if piece and word["x0"] - piece[-1]["x1"] > 2.2 * (word["bottom"] - word["top"]):
                lines.append(_line(piece, blanks, page))
                piece = []
            piece.append(word)
        lines.append(_line(piece, blanks, page))
    return [line for line in lines if line.text]


def _line(words: Sequence[Any], blanks: Sequence[Any], page: int) -> _Line:
    sizes = Counter(round(char["size"] * 2) / 2 for word in words for char in word["chars"])
    x1, top, bottom = words[-1]["x1"], min(word["top"] for word in words), max(word["bottom"] for word in words)
    ends_with_space = any(
        -1 <= blank["x0"] - x1 <= 6 and top <= (blank["top"] + blank["bottom"]) / 2 <= bottom for blank in blanks
    )
    text = one_line(_UNMAPPED.sub("", " ".join(word["text"] for word in words)))
    return _Line(text, words[0]["x0"], x1, top, bottom, sizes.most_common(1)[0][0], page, ends_with_space)


def _in_reading_order(lines: list[_Line], width: float) -> list[_Line]:
    """From top to bottom; of a page in two columns the left one first, between lines of the full width."""
    gutter = _gutter(lines, width)
    if gutter is None:
        # pieces of one line that stand far apart (a label and its value) belong together
        ordered = _side_by_side(sorted(lines, key=lambda line: (round(line.top), line.x0)))
        _set_edges(ordered)
        return ordered
    ordered, left, right = [], list[_Line](), list[_Line]()
    for line in sorted(lines, key=lambda line: (line.top, line.x0)):
        if line.x0 < gutter < line.x1:
            ordered += [*left, *right, line]
            left, right = [], []
        else:
            (left if line.x1 <= gutter else right).append(line)
    ordered += [*left, *right]
    _set_edges([line for line in ordered if line.x0 < gutter < line.x1])
    _set_edges([line for line in ordered if line.x1 <= gutter])
    _set_edges([line for line in ordered if line.x0 >= gutter])
    return ordered


def _gutter(lines: Sequence[_Line], width: float) -> float | None:
    """The x between two columns of text; None where the page has one column."""
    best: tuple[int, float] | None = None
    for step in range(38, 63):
        x = width * step / 100
        left = [line for line in lines if line.x1 <= x]
        right = [line for line in lines if line.x0 >= x]
        across = len(lines) - len(left) - len(right)
        if min(len(left), len(right)) < _MIN_COLUMN_LINES or across > 0.2 * len(lines):
            continue
        # columns are filled with text; labels with values beside them are not
        if _fill(left) < 0.6 or _fill(right) < 0.6:
            continue
        if best is None or across < best[0]:
            best = (across, x)
    return best[1] if best is not None else None


def _fill(lines: Sequence[_Line]) -> float:
    """How much of the column's width its lines take in the middle."""
    x0, x1 = min(line.x0 for line in lines), max(line.x1 for line in lines)
    widths = sorted(line.x1 - line.x0 for line in lines)
    return widths[len(widths) // 2] / max(x1 - x0, 1.0)


def _side_by_side(lines: Sequence[_Line]) -> list[_Line]:
    joined: list[_Line] = []
    for line in lines:
        last = joined[-1] if joined else None
        if last is not None and abs(last.top - line.top) < 0.5 * (line.bottom - line.top) and last.x1 <= line.x0:
            last.text, last.x1, last.ends_with_space = f"{last.text} {line.text}", line.x1, line.ends_with_space
        else:
            joined.append(line)
    return joined


def _set_edges(lines: Sequence[_Line]) -> None:
    if lines:
        left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
        for line in lines:
            line.right_edge, line.width = right, right - left


def _merged(lines: Sequence[_Line], tables: Sequence[_Table]) -> list[_Line | _Table]:
    """Each table before the first line that begins below it."""
    items: list[_Line | _Table] = list(lines)
    for table in sorted(tables, key=lambda table: table.top):
        at = next(
            (index for index, item in enumerate(items) if isinstance(item, _Line) and item.top >= table.top), len(items)
        )
        while at < len(items) and isinstance(items[at], _Table):
            at += 1
        items.insert(at, table)
    return items


def _remove_margins(pages: Sequence[_Page]) -> None:
    """Take out page numbers, and lines that stand in the same place of many pages."""
    places: Counter[tuple[str, int]] = Counter()
    for page in pages:
        places.update({_place(line) for line in _margin_lines(page)})
    needed = max(2, _REPEATED * len(pages))
    for page in pages:
        margin = _margin_lines(page)
        gone = {
            id(line)
            for line in margin
            if _PAGE_NUMBER.match(line.text) or (len(pages) > 1 and places[_place(line)] >= needed)
        }
        page.items = [item for item in page.items if id(item) not in gone]


def _margin_lines(page: _Page) -> list[_Line]:
    lines = [item for item in page.items if isinstance(item, _Line)]
    edge = {id(line) for line in [*lines[:2], *lines[-3:]]}
    return [
        line
        for line in lines
        if id(line) in edge and (line.bottom < page.height * _MARGIN or line.top > page.height * (1 - _MARGIN))
    ]


def _place(line: _Line) -> tuple[str, int]:
    return _DIGITS.sub("#", line.text), round(line.top / 4)


def _blocks(pages: Sequence[_Page]) -> list[Block]:
    items = [item for page in pages for item in page.items]
    lines = [item for item in items if isinstance(item, _Line)]
    join = _joiner(lines)
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    body = sizes.most_common(1)[0][0] if sizes else 10.0
    larger = sorted({line.size for line in lines if line.size >= body * _HEADING_SIZE}, reverse=True)
    levels = {size: level for level, size in enumerate(larger[:8], start=1)}
    pitch = _pitch(lines)
    blocks: list[Block] = []
    group: list[_Line] = []

    def finish() -> None:
        if group:
            blocks.append(_group_block(group, levels, join))
            group.clear()

    for item in items:
        if isinstance(item, _Table):
            finish()
            _add_table(blocks, item, join)
            continue
        if group and _begins_a_block(group[-1], item, pitch, levels):
            finish()
        group.append(item)
    finish()
    return [block for block in blocks if block.text]


def _pitch(lines: Sequence[_Line]) -> float:
    """The usual distance from line to line, in heights of a line."""
    distances = sorted(
        (below.top - above.top) / (above.bottom - above.top)
        for above, below in pairwise(lines)
        if above.page == below.page and 0 < below.top - above.top < 4 * (above.bottom - above.top)
    )
    return distances[len(distances) // 3] if distances else 1.2


def _begins_a_block(above: _Line, below: _Line, pitch: float, levels: dict[float, int]) -> bool:
    if levels.get(above.size) != levels.get(below.size):
        return True
    if above.page != below.page or below.top < above.top:  # the next page or column
        return not _runs_on(above, below)
    return below.top - above.top > 1.45 * pitch * (above.bottom - above.top)


def _runs_on(above: _Line, below: _Line) -> bool:
    """The line below is the same sentence: the line above is full and does not end one."""
    if begins_a_division(below.text):
        return False
    is_full = above.x1 >= above.right_edge - _SHORT_LINE * above.width
    if begins_an_item(below.text):
        # «있|다. 다만»: a letter at the line's begin that is the end of a sentence
        return is_full and not ends_a_sentence(above.text) and _LETTER_ITEM.match(below.text) is not None
    if ends_a_sentence(above.text):
        return above.x1 >= above.right_edge - 2.5 * above.size
    return is_full


def _group_block(group: Sequence[_Line], levels: dict[float, int], join: Callable[[_Line, _Line], str]) -> Block:
    first = group[0]
    level = levels.get(first.size)
    text = first.text
    for above, below in pairwise(group):
        if level is not None or _runs_on(above, below):
            text += join(above, below) + below.text
        else:
            text += "\n" + below.text
    text = clean(text)
    if level is not None and len(text) <= MAX_HEADING_CHARACTERS and not ends_a_sentence(text):
        return Block(BlockKind.HEADING, text, level, first.page)
    return Block(BlockKind.PARAGRAPH, text, page=first.page)


def _joiner(lines: Sequence[_Line]) -> Callable[[_Line, _Line], str]:
    """What stands between two lines of a paragraph: a space, or nothing where the break is inside a word."""
    words: Counter[str] = Counter()
    for line in lines:
        words.update(line.text.split()[1:-1])
    keeps_spaces = sum(line.ends_with_space for line in lines) >= 0.1 * len(lines)

    def join(above: _Line, below: _Line) -> str:
        if above.ends_with_space:
            return " "
        last, first = above.text.split()[-1], below.text.split()[0]
        if first[0] in ".,!?)]}」』》〉%" or last[-1] in "([{「『《〈":
            return ""
        if words[last + first]:
            return ""
        if keeps_spaces and not (words[last] and words[first]):
            return ""
        return "" if _is_one_word(last, first) else " "

    return join


def _is_one_word(last: str, first: str) -> bool:
    """The two are one word cut apart: what begins the second cannot begin a word (a particle, an ending), or belongs
    to a morpheme that began in the first.
    """
    if first in _PARTICLES or (last == "제" and first[0].isdigit()):
        return True
    if not (_is_hangul(first[0]) and (_is_hangul(last[-1]) or last[-1].isdigit())):
        return False
    for morpheme in _tagger().parse(last[-12:] + first[:12]):
        start, end = morpheme.span
        joint = len(last[-12:])
        if start < joint < end:
            return True
        if start == joint:
            tag = morpheme.pos.split("+")[0]
            return tag[0] in "JE" or tag[:2] == "XS" or tag == "VCP" or (tag == "NNBC" and last[-1].isdigit())
    return False


def _is_hangul(letter: str) -> bool:
    return "가" <= letter <= "힣"


@cache
def _tagger() -> Any:
    import mecab

    return mecab.MeCab()


def _add_table(blocks: list[Block], table: _Table, join: Callable[[_Line, _Line], str]) -> None:
    rows = [[_cell(cell, join) for cell in row] for row in table.rows]
    text = table_text(rows)
    last = blocks[-1] if blocks else None
    if last is not None and last.kind is BlockKind.TABLE and last.page != table.page:
        header, rule, *_ = last.text.split("\n")
        own_header, own_rule, *body = text.split("\n") if text else ["", ""]
        if rule == own_rule:  # goes on from the page before, with its header again or without
            body = body if own_header == header else [own_header, *body]
            blocks[-1] = Block(BlockKind.TABLE, "\n".join([last.text, *body]), page=last.page)
            return
    if text:
        blocks.append(Block(BlockKind.TABLE, text, page=table.page))


def _cell(text: str, join: Callable[[_Line, _Line], str]) -> str:
    lines = [_Line(line, 0, 0, 0, 0, 0, 0) for line in (one_line(part) for part in text.split("\n")) if line]
    if not lines:
        return ""
    joined = lines[0].text
    for above, below in pairwise(lines):
        joined += join(above, below) + below.text
    return joined
