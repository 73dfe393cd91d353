"""Rows of plain text: its paragraphs, or its lines where nothing stands between them."""

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from data_prep.imports.batches import MAX_ROW_CHARACTERS, NOT_TEXT, Batch, BrokenRow
from data_prep.imports.encoding import has_undecodable_bytes
from data_prep.imports.input_files import InputFile

COLUMNS = ["text", "name", "number"]
"""The text, the file's name without ending, and which paragraph of it this is."""


def text_batches(blocks: Iterable[str], file: InputFile) -> Generator[Batch]:
    """Paragraphs, which empty lines part; a file without an empty line at its start has a row in each line."""
    name = Path(file.name.removesuffix(".gz").removesuffix(".zst")).stem
    number = 1
    paragraphs = 0
    paragraph: list[str] = []
    by_lines: bool | None = None
    characters = 0
    for lines in _lines(blocks):
        if by_lines is None:
            by_lines = not any(line.strip() == "" for line in lines)
        batch = Batch()
        raws: list[str] = []
        batch.raw_of = raws.__getitem__
        for line in lines:
            if line.strip() and characters <= MAX_ROW_CHARACTERS:
                paragraph.append(line)
                characters += len(line)
            if paragraph and (by_lines or not line.strip()):
                begins = number if by_lines else number - len(paragraph)
                paragraphs += _add(batch, raws, begins, "\n".join(paragraph), name, paragraphs + 1)
                paragraph, characters = [], 0
            number += 1
        yield batch
    if paragraph:
        batch = Batch()
        raws = []
        batch.raw_of = raws.__getitem__
        _add(batch, raws, number - len(paragraph), "\n".join(paragraph), name, paragraphs + 1)
        yield batch


def _add(batch: Batch, raws: list[str], line: int, text: str, name: str, number: int) -> int:
    flaw = f"the paragraph is longer than {MAX_ROW_CHARACTERS} characters" if len(text) > MAX_ROW_CHARACTERS else ""
    if flaw or has_undecodable_bytes(text):
        batch.broken.append(BrokenRow(line, flaw or NOT_TEXT, text))
        return 0
    batch.lines.append(line)
    batch.values.append({"text": text, "name": name, "number": number})
    raws.append(text)
    return 1


def _lines(blocks: Iterable[str]) -> Iterator[list[str]]:
    """Lines without their ends; of an endless one no more than its beginning is kept."""
    rest = ""
    for block in blocks:
        lines = block.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff").split("\n")
        if len(lines) == 1:
            if len(rest) <= MAX_ROW_CHARACTERS:
                rest += lines[0]
            continue
        lines[0] = rest + lines[0]
        rest = lines.pop()
        yield lines
    if rest:
        yield [rest]
