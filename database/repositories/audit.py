"""Who did what."""

from sqlalchemy.orm import Session

from contracts.record import JsonObject
from database.models import AuditLog


class AuditRepository:
    """Rows of audit_logs; they are added, never changed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, actor: str, action: str, subject: str, details: JsonObject | None = None) -> None:
        """Add an entry."""
        self._session.add(AuditLog(actor=actor, action=action, subject=subject, details=details or {}))
