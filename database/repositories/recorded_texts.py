"""What people asked, were answered and wrote: read through, and forgotten."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from contracts.enums import AnswerStatus
from database.models import ABTestLog

_BATCH_ROWS = 2_000


class RecordedRow(NamedTuple):
    """The texts of one answer, as they are stored."""

    row_id: int
    request_id: str
    user_key: str | None
    query: str | None
    response: str | None
    user_feedback: str | None


class RecordedQuestion(NamedTuple):
    """A question that was answered, as it is stored."""

    request_id: str
    user_key: str | None
    query: str


class RecordedTextRepository:
    """The text columns of ab_test_logs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self) -> int:
        """Answers that are logged."""
        return self._session.execute(select(func.count()).select_from(ABTestLog)).scalar_one()

    def batches(self) -> Iterator[list[RecordedRow]]:
        """Every answer, oldest first, some thousands at a time."""
        last = 0
        while True:
            query = (
                select(
                    ABTestLog.id,
                    ABTestLog.request_id,
                    ABTestLog.user_key,
                    ABTestLog.query,
                    ABTestLog.response,
                    ABTestLog.user_feedback,
                )
                .where(ABTestLog.id > last)
                .order_by(ABTestLog.id)
                .limit(_BATCH_ROWS)
            )
            rows = [RecordedRow(*row) for row in self._session.execute(query)]
            if not rows:
                return
            yield rows
            last = rows[-1].row_id

    def newest_questions(self, limit: int) -> list[RecordedQuestion]:
        """Of answers that came whole, newest first; those whose text is not kept are left out."""
        query = (
            select(ABTestLog.request_id, ABTestLog.user_key, ABTestLog.query)
            .where(ABTestLog.query != "", ABTestLog.response != "", ABTestLog.status == AnswerStatus.COMPLETE.value)
            .order_by(ABTestLog.id.desc())
            .limit(limit)
        )
        return [
            RecordedQuestion(request_id, user_key, asked or "")
            for request_id, user_key, asked in self._session.execute(query)
        ]

    def questions(self, request_ids: Collection[str]) -> list[RecordedQuestion]:
        """Those of these answers, in no order; those that were forgotten meanwhile are left out."""
        query = select(ABTestLog.request_id, ABTestLog.user_key, ABTestLog.query).where(
            ABTestLog.request_id.in_(list(request_ids)), ABTestLog.query != ""
        )
        return [
            RecordedQuestion(request_id, user_key, asked or "")
            for request_id, user_key, asked in self._session.execute(query)
        ]

    def forget(self, row_ids: Collection[int]) -> int:
        """Empty the texts of these answers; what was measured of them stays. Returns how many."""
        forgotten = self._session.execute(
            update(ABTestLog)
            .where(ABTestLog.id.in_(list(row_ids)))
            .values(query="", response="", user_feedback=None)
            .returning(ABTestLog.id)
        )
        return len(forgotten.all())
