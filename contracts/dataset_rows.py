"""Rows of a dataset version as people look through them."""

from enum import StrEnum

from pydantic import Field

from contracts.enums import Split
from contracts.record import JsonObject, Record

TOXIC_FROM = 0.5
"""On harmless texts 2 % of the rows reach it (docs/data/quality.md)."""
LOW_QUALITY_BELOW = 0.8


class RowFlag(StrEnum):
    """What is worth a look at a row that stayed."""

    TOXIC = "toxic"
    """Toxicity of TOXIC_FROM or more."""
    LOW_QUALITY = "low_quality"
    """Quality score below LOW_QUALITY_BELOW."""


class RowOrder(StrEnum):
    """Which rows come first."""

    STORED = "stored"
    """As training reads them: by split, within it by file."""
    MOST_TOXIC = "most_toxic"
    LOWEST_QUALITY = "lowest_quality"


class RowFilter(Record):
    """Which rows are looked at, and in what order."""

    split: Split | None = None
    flag: RowFlag | None = None
    category: str | None = None
    source: str | None = None
    text: str = Field(default="", max_length=200)
    """Stands in a turn of the row, whatever the case of its letters."""
    order: RowOrder = RowOrder.STORED


class FoundRow(Record):
    """A row, masked as it is stored."""

    key: str
    split: Split
    category: str
    source: str
    turns: list[JsonObject]
    """`role` and `content` of each, long texts whole."""
    quality_score: float
    parts: dict[str, float]
    """Of the quality score."""
    toxicity: float


class FoundRows(Record):
    """One page of the rows that match."""

    matching: int
    rows: list[FoundRow]
