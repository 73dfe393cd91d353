"""What experts and judges said of answers."""

from collections.abc import Iterable

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.ratings import Rating
from database.models import ExpertRatingRow

_BATCH_ROWS = 500


def _record(row: ExpertRatingRow) -> Rating:
    return Rating(
        item_key=row.item_key,
        task=row.task,
        suite_name=row.suite_name,
        case_id=row.case_id,
        category=row.category,
        rater=row.rater,
        value=row.value,
        comment=row.comment,
        details=row.details,
        rated_at=row.rated_at,
    )


class RatingRepository:
    """Rows of expert_ratings: one an item and rater, whatever task showed it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def rate(self, ratings: Iterable[Rating]) -> int:
        """Store ratings; a rater's newest one of an item counts. Returns how many there were."""
        values = [
            {
                "item_key": one.item_key,
                "task": one.task,
                "suite_name": one.suite_name,
                "case_id": one.case_id,
                "category": one.category,
                "rater": one.rater,
                "value": one.value,
                "comment": one.comment,
                "details": one.details,
            }
            for one in ratings
        ]
        # the newest of an item and rater, in one order for everybody: two writers never wait for each other in a ring
        newest = {(value["item_key"], value["rater"]): value for value in values}
        rows = [newest[key] for key in sorted(newest)]
        for start in range(0, len(rows), _BATCH_ROWS):
            statement = insert(ExpertRatingRow).values(rows[start : start + _BATCH_ROWS])
            replaced = {name: statement.excluded[name] for name in ("task", "value", "comment", "details")}
            self._session.execute(
                statement.on_conflict_do_update(
                    index_elements=["item_key", "rater"], set_={**replaced, "rated_at": func.now()}
                )
            )
        return len(rows)

    def take_back(self, item_key: str, rater: str) -> None:
        """Forget what this rater said of the item."""
        self._session.execute(
            delete(ExpertRatingRow).where(ExpertRatingRow.item_key == item_key, ExpertRatingRow.rater == rater)
        )

    def of_items(self, item_keys: Iterable[str]) -> list[Rating]:
        """Everybody's ratings of these items, in whatever task they were given."""
        query = (
            select(ExpertRatingRow)
            .where(ExpertRatingRow.item_key.in_(list(item_keys)))
            .order_by(ExpertRatingRow.item_key, ExpertRatingRow.rater)
        )
        return [_record(row) for row in self._session.execute(query).scalars()]

    def beside(self, rater: str) -> list[Rating]:
        """Everybody's ratings of all items that this rater has rated."""
        rated = select(ExpertRatingRow.item_key).where(ExpertRatingRow.rater == rater)
        query = (
            select(ExpertRatingRow)
            .where(ExpertRatingRow.item_key.in_(rated))
            .order_by(ExpertRatingRow.item_key, ExpertRatingRow.rater)
        )
        return [_record(row) for row in self._session.execute(query).scalars()]

    def of_rater(self, item_keys: Iterable[str], rater: str) -> dict[str, Rating]:
        """One rater's ratings by item_key."""
        query = select(ExpertRatingRow).where(
            ExpertRatingRow.item_key.in_(list(item_keys)), ExpertRatingRow.rater == rater
        )
        return {row.item_key: _record(row) for row in self._session.execute(query).scalars()}

    def counts(self) -> dict[str, int]:
        """How many ratings each task has brought."""
        query = select(ExpertRatingRow.task, func.count().label("ratings")).group_by(ExpertRatingRow.task)
        return {row.task: row.ratings for row in self._session.execute(query)}
