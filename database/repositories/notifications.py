"""What people are told, until they have been."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.record import JsonObject
from database.models import NotificationRow


@dataclass(frozen=True, slots=True)
class Notification:
    """One row of notifications."""

    notification_id: int
    subject: str
    event: str
    body: JsonObject
    created_at: datetime
    delivered: JsonObject
    """Time of delivery, by channel."""
    attempts: int


class NotificationRepository:
    """Rows of notifications: one a subject and event, added with what it tells of."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, subject: str, event: str, body: JsonObject) -> None:
        """Add it; the same event of the same subject again changes nothing."""
        self._session.execute(
            insert(NotificationRow)
            .values(subject=subject, event=event, body=body)
            .on_conflict_do_nothing(constraint="uq_notifications_subject_event")
        )

    def waiting(self, limit: int = 100, *, locked: bool = False) -> list[Notification]:
        """Not yet delivered to every channel, oldest first; `locked`: those that nobody else is delivering."""
        query = (
            select(NotificationRow).where(NotificationRow.done_at.is_(None)).order_by(NotificationRow.id).limit(limit)
        )
        if locked:
            query = query.with_for_update(skip_locked=True)
        return [
            Notification(row.id, row.subject, row.event, row.body, row.created_at, row.delivered, row.attempts)
            for row in self._session.execute(query).scalars()
        ]

    def tried(self, notification_id: int, delivered: JsonObject, error: str | None, *, is_done: bool) -> None:
        """Keep how an attempt ended."""
        self._session.execute(
            update(NotificationRow)
            .where(NotificationRow.id == notification_id)
            .values(
                delivered=delivered,
                attempts=NotificationRow.attempts + 1,
                last_error=error,
                done_at=func.now() if is_done else None,
            )
        )
