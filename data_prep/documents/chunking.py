"""A document cut into passages along its headings and articles."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contracts.errors import InvalidRequestError
from data_prep.documents.chunks import Block, BlockKind, Chunk, Document, chunk_id_of
from data_prep.documents.structure import article_name
from data_prep.documents.texts import TABLE_RULE

MAX_CHARACTERS = 1200
OVERLAP = 120
MIN_CHARACTERS = 80
TABLE_FACTOR = 4
"""A table is kept whole up to this many times `max_characters`; a longer one is cut between its rows."""

_CLAUSE = re.compile(r"\n(?=[①-⑳㉑-㉟])")
_ITEM = re.compile(r"\n(?=\s*(?:\d{1,3}[.)]|[가-하][.)]|[-*•○□■◦▪※])\s)")
_LINE = re.compile(r"\n")
_SENTENCE = re.compile(r"(?<=[.!?。])[\"'”’)\]]*\s+|(?<=[다요])\.\s*(?=[가-힣①-⑳])")
_SPACE = re.compile(r"\s+")
_CUTS = (_CLAUSE, _ITEM, _LINE, _SENTENCE, _SPACE)
"""Where a long passage is cut, the best place first."""
_JOINING = ("\u200d", "\ufe0f", "\ufe0e")


@dataclass(frozen=True, slots=True)
class _Section:
    """Blocks under the same headings and in the same article."""

    blocks: tuple[int, ...]
    """Indices of the blocks; headings that open the section first."""
    path: tuple[str, ...]
    article: str
    has_text: bool
    """Not only headings."""


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    header: str = ""


def chunk_document(
    document: Document,
    *,
    max_characters: int = MAX_CHARACTERS,
    overlap: int = OVERLAP,
    min_characters: int = MIN_CHARACTERS,
) -> list[Chunk]:
    """The passages of a document, in its order; `document.text[chunk.start : chunk.end] == chunk.text`.

    A passage never crosses a heading or an article; it begins with the headings that stand directly above it. A section
    shorter than `min_characters` goes together with the next one under the same heading. A section longer than
    `max_characters` is cut between paragraphs, clauses (①), items, sentences or words, whichever is the best place
    that there is, and the next passage begins up to `overlap` characters earlier. Tables are whole, also where they are
    longer, up to TABLE_FACTOR times. Headings that nothing follows are in no passage.
    """
    if max_characters < 50 or not 0 <= overlap <= max_characters // 2 or min_characters < 0:
        raise InvalidRequestError(
            "The document cannot be cut like this",
            value=f"max_characters {max_characters}, overlap {overlap}, min_characters {min_characters}",
            allowed="max_characters from 50; overlap from 0 to half of it; min_characters from 0",
            next_step=f"take the defaults: {MAX_CHARACTERS}, {OVERLAP} and {MIN_CHARACTERS}",
        )
    chunks: list[Chunk] = []
    for section in _joined(document, list(_sections(document)), min_characters, max_characters):
        for span in _spans(document, section, max_characters, overlap):
            text = document.text[span.start : span.end]
            chunks.append(
                Chunk(
                    chunk_id_of(document.sha256, span.start, span.end, text),
                    document.name,
                    document.sha256,
                    span.start,
                    span.end,
                    text,
                    section.path,
                    section.article,
                    _page_at(document, span.start),
                    span.header,
                )
            )
    return chunks


def _sections(document: Document) -> Iterator[_Section]:
    """The sections in order. Headings without text of their own open the section that follows."""
    path: list[tuple[int, str]] = []
    article, article_level = "", 0
    opening: list[int] = []
    body: list[int] = []

    def section() -> _Section:
        return _Section((*opening, *body), tuple(text for _, text in path), article, bool(body))

    for index, block in enumerate(document.blocks):
        if block.kind in {BlockKind.HEADING, BlockKind.ARTICLE}:
            if body:
                yield section()
                opening, body = [], []
            if article and block.level <= article_level:
                article = ""
            path = [(level, text) for level, text in path if level < block.level]
        if block.kind is BlockKind.HEADING:
            path.append((block.level, block.text))
            opening.append(index)
        else:
            if block.kind is BlockKind.ARTICLE:
                article, article_level = article_name(block.text), block.level
            body.append(index)
    if body:
        yield section()


def _joined(
    document: Document, sections: Sequence[_Section], min_characters: int, max_characters: int
) -> list[_Section]:
    """Short sections together with the next one below the same heading. Articles stay on their own."""
    joined: list[_Section] = []
    for section in sections:
        last = joined[-1] if joined else None
        if (
            last is not None
            and not last.article
            and not section.article
            and len(section.path) > 1
            and (last.path[:-1] == section.path[:-1] or last.path == section.path[:-1])
            and min(_body_length(document, last), _body_length(document, section)) < min_characters
            and _end(document, section.blocks[-1]) - document.starts[last.blocks[0]] <= max_characters
        ):
            path = tuple(one for one, other in zip(last.path, section.path, strict=False) if one == other)
            joined[-1] = _Section((*last.blocks, *section.blocks), path, "", has_text=True)
        else:
            joined.append(section)
    return joined


def _body_length(document: Document, section: _Section) -> int:
    return sum(
        len(document.blocks[index].text)
        for index in section.blocks
        if document.blocks[index].kind is not BlockKind.HEADING
    )


def _end(document: Document, index: int) -> int:
    return document.starts[index] + len(document.blocks[index].text)


def _page_at(document: Document, position: int) -> int | None:
    return document.blocks[bisect_right(document.starts, position) - 1].page


def _spans(document: Document, section: _Section, max_characters: int, overlap: int) -> Iterator[_Span]:
    """The section's passages, greedily as long as may be."""
    pieces = list(_pieces(document, section, max_characters, max_characters - overlap))
    start: int | None = None
    end = 0
    for index, piece in enumerate(pieces):
        if piece.header:  # part of a long table: a passage of its own
            if start is not None:
                yield _Span(start, end)
                start = None
            yield piece
            continue
        if start is not None and piece.end - start > max_characters:
            yield _Span(start, end)
            start = None
        if start is None:
            before = pieces[index - 1] if index and not _is_table(document, pieces[index - 1]) else None
            start = piece.start
            if before is not None and overlap:
                room = min(overlap, max_characters - (piece.end - piece.start))
                start = _overlap_start(document.text, before, piece.start, room)
        end = piece.end
    if start is not None:
        yield _Span(start, end)


def _is_table(document: Document, span: _Span) -> bool:
    return bool(span.header) or "\n" + TABLE_RULE in document.text[span.start : span.end]


def _overlap_start(text: str, before: _Span, start: int, room: int) -> int:
    """Where the passage begins that repeats the end of the one before: at a line, a sentence or a word."""
    earliest = max(before.start, start - room)
    if earliest >= start:
        return start
    window = text[earliest:start]
    if earliest == before.start:
        return earliest
    for pattern in (_LINE, _SENTENCE, _SPACE):
        match = pattern.search(window)
        if match is not None and window[match.end() :].strip():
            return earliest + match.end()
    return start


def _pieces(document: Document, section: _Section, max_characters: int, part_characters: int) -> Iterator[_Span]:
    """What a passage is put together from: blocks, and parts of blocks that are too long.

    Headings are of one piece with the block that they stand above. Parts leave room for what the passage repeats.
    """
    start: int | None = None
    for index in section.blocks:
        block = document.blocks[index]
        begin, end = document.starts[index], _end(document, index)
        if start is None:
            start = begin
        if block.kind is BlockKind.HEADING and index != section.blocks[-1]:
            continue
        if block.kind is BlockKind.TABLE:
            yield from _table_pieces(document, block, start, begin, end, max_characters)
        elif end - start <= max_characters:
            yield _Span(start, end)
        else:
            yield from _cut(document.text, start, end, part_characters)
        start = None


def _table_pieces(
    document: Document, block: Block, start: int, begin: int, end: int, max_characters: int
) -> Iterator[_Span]:
    if end - begin <= TABLE_FACTOR * max_characters:
        yield _Span(start, end)
        return
    rows = block.text.split("\n")
    header = rows[0]
    position, first = start, start
    cursor = begin
    for number, row in enumerate(rows):
        row_end = cursor + len(row)
        if number > 2 and row_end - first > max_characters:
            yield _Span(first, position, header if first > begin else "")
            first = cursor
        position, cursor = row_end, row_end + 1
    yield _Span(first, position, header if first > begin else "")


def _cut(text: str, start: int, end: int, max_characters: int) -> Iterator[_Span]:
    """Parts of a long stretch: cut at the best kind of place that leaves parts of a fair size."""
    while end - start > max_characters:
        window = text[start : start + max_characters + 1]
        cut, resume = _place_to_cut(window, max_characters)
        yield _Span(start, start + len(text[start : start + cut].rstrip()))
        start += resume
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield _Span(start, end)


def _place_to_cut(window: str, max_characters: int) -> tuple[int, int]:
    """Where the part ends and where the next one begins."""
    for pattern in _CUTS:
        # a good place near the begin would leave a crumb: in the first third it does not count
        places = [match for match in pattern.finditer(window, max_characters // 3) if match.start() <= max_characters]
        places = [match for match in places if window[: match.start()].strip() and match.end() <= len(window)]
        if places:
            # a sentence keeps the mark that it ends with
            last = places[-1]
            kept = len(last[0].rstrip()) if pattern is _SENTENCE else 0
            return last.start() + kept, last.end()
    cut = max_characters
    while cut > 1 and _is_inside_a_letter(window, cut):
        cut -= 1
    return cut, cut


def _is_inside_a_letter(text: str, at: int) -> bool:
    """Cutting here would part a letter from its marks, a syllable's jamo, or the halves of an emoji."""
    if at >= len(text):
        return False
    character = text[at]
    return (
        unicodedata.combining(character) != 0
        or character in _JOINING
        or text[at - 1] == "\u200d"
        or "\u1160" <= character <= "\u11ff"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
