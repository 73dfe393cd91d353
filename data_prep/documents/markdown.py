"""Markdown to blocks. The text stays as it is written, but for the marks of headings."""

import re

from data_prep.documents.chunks import Block, BlockKind
from data_prep.documents.texts import clean, one_line, table_text

_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)(.*)$")
_MAX_HEADING_CHARACTERS = 300
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_TABLE_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?=[\w-]+[ \t]*:)(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_CELL_END = re.compile(r"(?<!\\)\|")
_EMPHASIS = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*|__(?=\S)(.+?)(?<=\S)__")


def markdown_blocks(text: str) -> list[Block]:
    """The blocks of a Markdown text. Front matter, comments and rules are left out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    reader = _Reader(_without_comments(_FRONT_MATTER.sub("", text)).split("\n"))
    return reader.blocks()


def _without_comments(text: str) -> str:
    parts, position = [], 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        parts.append(text[position:start])
        position = end + 3
    return "".join([*parts, text[position:]])


def _without_closing_marks(heading: str) -> str:
    """`제목` of `제목 ##`."""
    bare = heading.rstrip("#")
    return bare.rstrip() if bare != bare.rstrip() or not bare else heading


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._blocks: list[Block] = []
        self._paragraph: list[str] = []

    def blocks(self) -> list[Block]:
        index = 0
        while index < len(self._lines):
            index = self._read(index)
        self._end_paragraph()
        return self._blocks

    def _read(self, index: int) -> int:
        """Take in what begins on this line; gives the line after it."""
        line = self._lines[index]
        fence = _FENCE.match(line)
        if fence is not None:
            return self._read_fenced(index, fence[1])
        heading = _HEADING.match(line)
        if heading is not None:
            self._end_paragraph()
            self._add_heading(_without_closing_marks(heading[2].strip()), len(heading[1]))
            return index + 1
        following = self._lines[index + 1] if index + 1 < len(self._lines) else ""
        if "|" in line and "|" in following and _TABLE_RULE.match(following):
            return self._read_table(index)
        underline = _UNDERLINE.match(line)
        if underline is not None and len(self._paragraph) == 1:
            heading_text = self._paragraph.pop()
            self._add_heading(heading_text, 1 if underline[1][0] == "=" else 2)
            return index + 1
        if not line.strip() or _RULE.match(line):
            self._end_paragraph()
            return index + 1
        self._paragraph.append(line)
        return index + 1

    def _read_fenced(self, index: int, fence: str) -> int:
        self._end_paragraph()
        end = index + 1
        while end < len(self._lines) and not self._lines[end].lstrip().startswith(fence):
            end += 1
        self._add(BlockKind.PARAGRAPH, clean("\n".join(self._lines[index : end + 1]), keep_columns=True))
        return end + 1

    def _read_table(self, index: int) -> int:
        self._end_paragraph()
        end = index + 2
        while end < len(self._lines) and "|" in self._lines[end] and self._lines[end].strip():
            end += 1
        lines = [self._lines[index], *self._lines[index + 2 : end]]
        rows = [[cell.replace("\\|", "|") for cell in _CELL_END.split(line.strip().strip("|"))] for line in lines]
        self._add(BlockKind.TABLE, table_text(rows))
        return end

    def _end_paragraph(self) -> None:
        self._add(BlockKind.PARAGRAPH, clean("\n".join(self._paragraph)))
        self._paragraph = []

    def _add_heading(self, text: str, level: int) -> None:
        if len(text) > _MAX_HEADING_CHARACTERS:
            self._add(BlockKind.PARAGRAPH, clean(text))
            return
        self._add(BlockKind.HEADING, one_line(_EMPHASIS.sub(lambda found: found[1] or found[2], text)), level)

    def _add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        if text:
            self._blocks.append(Block(kind, text, level))
