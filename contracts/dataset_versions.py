"""Versions of a dataset beside each other: their history, and what is different between two."""

from pydantic import JsonValue

from contracts.enums import Split
from contracts.record import Record


class LoggedCommit(Record):
    """One line of a dataset's history."""

    commit: str
    parents: list[str]
    created_at: str
    operation: str
    message: str
    rows: int
    samples: dict[str, int]
    removed: int
    masked: int
    quality_score: float
    branches: list[str]
    tags: list[str]
    version: str | None
    """`v1.2`; None where the database does not know the commit, or does not answer."""
    dataset_id: int | None


class FieldChange(Record):
    """One field of a changed row."""

    field: str
    """`messages[1].content`, `metadata.category`, `split`, `quality_score`."""
    before: JsonValue
    """None where the field was not there."""
    after: JsonValue


class ShownRow(Record):
    """A row that was added or removed."""

    key: str
    split: Split
    question: str
    answer: str


class ChangedRow(Record):
    """A row that both versions have, with other content."""

    key: str
    question: str
    fields: list[FieldChange]


class VersionDifference(Record):
    """From one version to another."""

    name: str
    before: str
    after: str
    rows_before: int
    rows_after: int
    added: int
    removed: int
    changed: int
    """Rows with other turns, other metadata, or on another side."""
    rescored: int
    """Rows whose scores alone differ."""
    unchanged: int
    added_rows: list[ShownRow]
    removed_rows: list[ShownRow]
    changed_rows: list[ChangedRow]
    """The first of each, in the order of the version."""
    shared_parts: int
    """Parts that both versions have; stored once."""
