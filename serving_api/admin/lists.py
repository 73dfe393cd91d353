"""Lists of the admin API: `?sort=-created_at&skip=0&limit=20`, or `&cursor=` of the part before."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Query

from contracts.lists import NEWEST_FIRST, ListRequest
from database.repositories.paging import MOST_CURSOR_CHARACTERS, sort_column

MOST_ROWS = 500

Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows of this part.")]
Skip = Annotated[int, Query(ge=0, lt=2**31, description="Rows before this part.")]
Cursor = Annotated[
    str | None,
    Query(max_length=MOST_CURSOR_CHARACTERS, description="`next_cursor` of the part before, instead of `skip`."),
]


def listed_by(sorted_by: Mapping[str, Any], default: str = NEWEST_FIRST) -> Any:
    """For `Annotated[ListRequest, ...]`: the part of a list that can be sorted by these columns."""
    orders = [f"{sign}{name}" for name in sorted_by for sign in ("", "-")]

    def part(
        sort: Annotated[
            str,
            Query(description="Column to sort by; with `-` the largest first.", json_schema_extra={"enum": [*orders]}),
        ] = default,
        skip: Skip = 0,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> ListRequest:
        sort_column(sort, sorted_by)
        return ListRequest(sort=sort, skip=skip, limit=limit, cursor=cursor)

    return Depends(part)
