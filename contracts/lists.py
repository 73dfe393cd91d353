"""Lists that are read in parts."""

from typing import Generic, TypeVar

from pydantic import Field

from contracts.record import Record

T = TypeVar("T")

NEWEST_FIRST = "-created_at"


class ListRequest(Record):
    """Which part of a list, in which order."""

    sort: str = NEWEST_FIRST
    """A column's name; with a minus before it the largest stands first."""
    skip: int = Field(default=0, ge=0)
    limit: int = Field(default=20, ge=1)
    cursor: str | None = None
    """`next_cursor` of the part before; then `skip` is 0."""


class Page(Record, Generic[T]):
    """A part of a list."""

    items: list[T]
    total: int
    """Of all that the filter lets through and the caller may see, at this moment."""
    skip: int
    limit: int
    next_cursor: str | None
    """Where the next part begins, also when rows were added meanwhile; null: this is the last part."""
