"""Merged cells of a table laid out on its grid."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_CELLS = 200_000
"""A table that claims more is broken or hostile: a single cell may say that it spans a billion rows."""
MAX_SPAN = 2_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell as the file names it."""

    text: str
    columns: int = 1
    rows: int = 1
    row: int | None = None
    """Its place, in formats that say so (from 0)."""
    column: int | None = None


def grid(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The texts by row and column. A merged cell's text stands in its first column, in each row that it spans.

    Repeated downwards, so that a row can be read alone; not repeated sideways, where it would only be noise.
    """
    placed: dict[tuple[int, int], str] = {}
    for index, row in enumerate(rows):
        column = 0
        for cell in row:
            top = index if cell.row is None else min(cell.row, MAX_SPAN)
            while cell.column is None and (top, column) in placed:
                column += 1
            left = min(column if cell.column is None else cell.column, MAX_SPAN)
            columns, height = min(max(cell.columns, 1), MAX_SPAN), min(max(cell.rows, 1), MAX_SPAN)
            if len(placed) + columns * height > MAX_CELLS:
                columns = height = 1
            for y in range(top, top + height):
                for x in range(left, left + columns):
                    placed.setdefault((y, x), cell.text if x == left else "")
            column = left + columns
    if not placed:
        return []
    last_row, last_column = max(y for y, _ in placed), max(x for _, x in placed)
    if (last_row + 1) * (last_column + 1) > 4 * MAX_CELLS:
        return [[cell.text for cell in row] for row in rows]
    return [[placed.get((y, x), "") for x in range(last_column + 1)] for y in range(last_row + 1)]
