"""What a reader hands on: some rows at a time, the broken ones apart."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from contracts.record import JsonObject

MAX_ROW_CHARACTERS = 1 << 20
"""A longer line is a broken file (a lost line end, an open quote), not a conversation."""
NOT_TEXT = "the row holds bytes that are not text in the file's encoding"
TOO_LONG = f"the line is longer than {MAX_ROW_CHARACTERS} characters"


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """A row that could be read."""

    line: int
    """Line of a text file on which the row begins, or number of a row in Parquet and Excel; from 1."""
    value: JsonObject
    raw: str | None
    """The row's text, where the format has one."""


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that could not be read. The reason never quotes it."""

    line: int
    reason: str
    raw: str


ReadRow = ParsedRow | BrokenRow


@dataclass(slots=True)
class Batch:
    """Rows that were read together; `lines` and `values` belong together."""

    lines: list[int] = field(default_factory=list)
    values: list[JsonObject] = field(default_factory=list)
    broken: list[BrokenRow] = field(default_factory=list)
    raw_of: Callable[[int], str] | None = None
    """The text of the row with this index in `values`, where the format has one."""

    def __len__(self) -> int:
        return len(self.values) + len(self.broken)

    def first(self, count: int) -> "Batch":
        """The batch with its first rows only, in the order of their lines."""
        if len(self) <= count:
            return self
        order = sorted(
            [(line, 0, index) for index, line in enumerate(self.lines)]
            + [(row.line, 1, index) for index, row in enumerate(self.broken)]
        )[:count]
        values = sum(kind == 0 for _, kind, _ in order)
        broken = count - values
        return Batch(self.lines[:values], self.values[:values], self.broken[:broken], self.raw_of)

    def rows(self) -> Iterator[ReadRow]:
        """All rows in the order of their lines."""
        waiting = iter(self.broken)
        broken = next(waiting, None)
        for index, (line, value) in enumerate(zip(self.lines, self.values, strict=True)):
            while broken is not None and broken.line < line:
                yield broken
                broken = next(waiting, None)
            yield ParsedRow(line, value, self.raw_of(index) if self.raw_of is not None else None)
        while broken is not None:
            yield broken
            broken = next(waiting, None)
