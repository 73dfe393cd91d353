"""Reads the arrows of a DAG's docstring, so that a test can compare them with the DAG's own."""

import re

CONNECTED = {
    "─": "lr", "▶": "lr", "┬": "lrd", "┴": "lru", "└": "ur", "┘": "ul", "┐": "ld", "┌": "rd", "│": "ud", "├": "udr",
    "┤": "udl",
}  # fmt: skip
"""Sides on which each drawing character is joined to its neighbour: left, right, up, down."""
STEPS = {"l": (0, -1), "r": (0, 1), "u": (-1, 0), "d": (1, 0)}
OPPOSITE = {"l": "r", "r": "l", "u": "d", "d": "u"}


def edges(docstring: str) -> set[tuple[str, str]]:
    """Every (from, to) that a line of the diagram draws. A line leaves a task at its right and enters one by an arrow."""
    lines = [line for line in docstring.splitlines() if line.startswith("    ") or not line.strip()]
    grid = dict(enumerate(lines))
    names = {
        (row, column): match.group()
        for row, line in grid.items()
        for match in re.finditer(r"[a-z][a-z_]+", line)
        for column in range(match.start(), match.end())
    }

    def at(row: int, column: int) -> str:
        line = grid.get(row, "")
        return line[column] if 0 <= column < len(line) else " "

    found = set()
    for (row, column), name in names.items():
        if names.get((row, column + 1)) == name or at(row, column + 1) != " " or at(row, column + 2) not in CONNECTED:
            continue
        seen, waiting = set(), [(row, column + 2, "r")]
        while waiting:
            row_, column_, heading = waiting.pop()
            if (row_, column_, heading) in seen:
                continue
            seen.add((row_, column_, heading))
            character = at(row_, column_)
            if character == "▶":
                found.add((name, names[(row_, column_ + 2)]))
                continue
            if OPPOSITE[heading] not in CONNECTED.get(character, ""):
                continue
            for side in CONNECTED[character]:
                # a line never turns back to where lines come from
                if side != OPPOSITE[heading] and side != "l":
                    waiting.append((row_ + STEPS[side][0], column_ + STEPS[side][1], side))
    return found
