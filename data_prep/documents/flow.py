"""What word processors have in common: paragraphs with an outline level and a set number, and tables of paragraphs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from data_prep.documents.chunks import Block, BlockKind
from data_prep.documents.spans import Cell, grid
from data_prep.documents.structure import MAX_HEADING_CHARACTERS, ends_a_sentence
from data_prep.documents.texts import clean, one_line, table_text


@dataclass(frozen=True, slots=True)
class FlowCell:
    """A cell with its own paragraphs and tables."""

    blocks: Sequence[Block]
    columns: int = 1
    rows: int = 1
    row: int | None = None
    column: int | None = None


def paragraph_blocks(text: str, *, level: int | None = None, label: str = "") -> list[Block]:
    """The block of a paragraph, or none where it is empty. A paragraph with an outline level is a heading only where
    it is as short as one: outlines are also used for whole texts.
    """
    text = clean(text)
    if not text:
        return []
    if label and not text.startswith(label):
        text = f"{label} {text}"
    if level is not None and len(text) <= MAX_HEADING_CHARACTERS and not ends_a_sentence(text):
        return [Block(BlockKind.HEADING, one_line(text), level)]
    return [Block(BlockKind.PARAGRAPH, text)]


def table_blocks(rows: Sequence[Sequence[FlowCell]]) -> list[Block]:
    """The block of a table; of a table of one cell (a frame around text) its paragraphs."""
    cells = [cell for row in rows for cell in row]
    if len(cells) == 1:
        return list(cells[0].blocks)
    text = table_text(
        grid(
            [
                [
                    Cell(
                        " ".join(_in_a_cell(block) for block in cell.blocks),
                        cell.columns,
                        cell.rows,
                        cell.row,
                        cell.column,
                    )
                    for cell in row
                ]
                for row in rows
            ]
        )
    )
    return [Block(BlockKind.TABLE, text)] if text else []


def _in_a_cell(block: Block) -> str:
    if block.kind is not BlockKind.TABLE:
        return block.text
    # a table in a cell: its rows one after another, for bars in bars could not be read
    rows = [row.strip("| ").replace(" | ", ", ") for row in block.text.split("\n") if not row.startswith("|---")]
    return "; ".join(rows)


def joined_list_items(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, with items of a list that follow one another as the lines of one paragraph."""
    joined: list[Block] = []
    for are_items, group in groupby(blocks, key=_is_item):
        if are_items:
            joined.append(Block(BlockKind.PARAGRAPH, "\n".join(block.text for block in group)))
        else:
            joined.extend(group)
    return joined


def _is_item(block: Block) -> bool:
    return block.kind is BlockKind.PARAGRAPH and block.text[:2] in {"- ", "• ", "· ", "* ", "○ ", "◦ ", "▪ ", "※ "}
