"""A part of a list by keyset: what follows the last row of the part before, whatever was added since."""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import TypeEngine

from contracts.errors import InvalidRequestError
from contracts.lists import ListRequest, Page

T = TypeVar("T")
Column = InstrumentedAttribute[Any] | ColumnElement[Any]
MOST_CURSOR_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a query, and how many there are in all."""

    rows: Sequence[tuple[Any, ...]]
    total: int
    next_cursor: str | None

    def page(self, items: list[T], listing: ListRequest) -> Page[T]:
        """The same with the rows' records."""
        return Page(items=items, total=self.total, skip=listing.skip, limit=listing.limit, next_cursor=self.next_cursor)


def read_page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    listing: ListRequest,
    sorted_by: Mapping[str, Column],
    key: Column,
    record: Callable[..., T],
) -> Page[T]:
    """`read_part` with `record` called on what the query selects."""
    part = read_part(session, query, listing, sorted_by, key)
    return part.page([record(*row) for row in part.rows], listing)


def read_part(
    session: Session,
    query: Select[*tuple[Any, ...]],
    listing: ListRequest,
    sorted_by: Mapping[str, Column],
    key: Column,
) -> Part:
    """The filtered query's rows in the asked order, `key` deciding among equal ones.

    None of the columns is ever null. Raises InvalidRequestError for an order or a cursor that is none.
    """
    column = sorted_by[sort_column(listing.sort, sorted_by)]
    total = session.execute(select(func.count()).select_from(query.with_only_columns(key).subquery())).scalar_one()
    falling = listing.sort.startswith("-")
    order = [column.desc(), key.desc()] if falling else [column.asc(), key.asc()]
    asked = query.add_columns(column, key).order_by(*order).limit(listing.limit + 1)
    if listing.cursor is None:
        asked = asked.offset(listing.skip)
    else:
        if listing.skip:
            raise InvalidRequestError(
                "A part of a list begins at a cursor or after rows that are skipped",
                value=f"skip={listing.skip} and a cursor",
                allowed="one of the two",
                next_step="leave skip out",
            )
        last = tuple_(*_opened(listing.cursor, listing.sort, column.type, key.type))
        place = tuple_(column, key)
        asked = asked.where(place < last if falling else place > last)
    found = [tuple(row) for row in session.execute(asked.execution_options(populate_existing=True))]
    rows = found[: listing.limit]
    cursor = _sealed(listing.sort, *rows[-1][-2:]) if len(found) > listing.limit else None
    return Part([row[:-2] for row in rows], total, cursor)


def sort_column(sort: str, sorted_by: Mapping[str, Any]) -> str:
    """The column's name. Raises InvalidRequestError."""
    name = sort.removeprefix("-")
    if name not in sorted_by:
        raise InvalidRequestError(
            "The list cannot be sorted so",
            value=sort,
            allowed=f"{', '.join(sorted_by)}, each with - before it for the largest first",
            next_step="correct sort",
        )
    return name


def _sealed(sort: str, value: Any, key: Any) -> str:
    told = json.dumps([sort, *(place.isoformat() if isinstance(place, datetime) else place for place in (value, key))])
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _opened(cursor: str, sort: str, *types: TypeEngine[Any]) -> Sequence[ColumnElement[Any]]:
    """The last row's place: it says nothing that a filter would not, so that a made-up one opens no door."""
    try:
        if len(cursor) > MOST_CURSOR_CHARACTERS or not cursor.isascii():
            raise ValueError
        told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(told, list) or len(told) != 1 + len(types):
            raise ValueError
        places = [literal(_place(value, kind), kind) for value, kind in zip(told[1:], types, strict=True)]
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidRequestError(
            "This is no cursor of a list",
            value=cursor[:100],
            allowed="next_cursor as an answer gave it",
            next_step="begin without a cursor",
        ) from error
    if told[0] != sort:
        raise InvalidRequestError(
            "The cursor belongs to another order",
            value=f"sort={sort}",
            allowed=f"sort={told[0]}"[:100],
            next_step="go on in that order, or begin without a cursor",
        )
    return places


def _place(value: Any, kind: TypeEngine[Any]) -> Any:
    """The value as the column's type has it. Raises ValueError."""
    python_type = kind.python_type
    if python_type is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment
    elif python_type is str and isinstance(value, str) and "\0" not in value:
        value.encode()  # a lone surrogate is no text
        return value
    elif python_type is int and type(value) is int:
        bits = 63 if isinstance(kind, BigInteger) else 31
        if -(2**bits) <= value < 2**bits:
            return value
    elif python_type is float and type(value) in {int, float} and math.isfinite(value):
        return float(value)
    raise ValueError
