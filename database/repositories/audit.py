"""Who did what: entries are added to the chain, searched and read through; they are never changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, event, func, select, text
from sqlalchemy.orm import Session

from contracts.audit import AuditEntry, AuditEvent, AuditFilter, AuditProtection, AuditResult, SubjectCategory
from contracts.record import JsonObject
from database.models import AuditCheckpoint, AuditLog

READ_ROWS = 5_000
"""Rows that a read through the whole chain holds at a time."""

_APPEND = text(
    "INSERT INTO audit_logs (entry)"
    " SELECT entry FROM unnest(CAST(:entries AS text[])) WITH ORDINALITY AS given(entry, place) ORDER BY place"
    " ON CONFLICT (event_id) DO NOTHING"
)
_READ_THROUGH = """
    SELECT id, (extract(epoch FROM recorded_at) * 1000000)::bigint, entry, previous_hash, hash,
        (extract(epoch FROM at) * 1000000)::bigint,
        event_id, actor, origin, action, subject, category, purpose, result, details::text
    FROM audit_logs WHERE id > %s ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class ChainedRow:
    """An entry as the check of the chain needs it."""

    id: int
    recorded_us: int
    """Microseconds since 1970."""
    entry: str
    previous_hash: bytes
    hash: bytes
    columns: tuple[int, str, str, str, str, str, str | None, str | None, str, str]
    """What is searched: time (microseconds), event, actor, origin, action, subject, category, purpose, result, details."""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where the chain ends."""

    id: int
    """0 while it is empty."""
    hash: bytes | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Up to where entries were taken away."""

    through_id: int
    through_hash: bytes
    signed_head: str


class AuditRepository:
    """The chain of entries in audit_logs.

    What is appended is written as the last statement before the transaction's commit: either both the action and its
    entry are stored, or neither; and the lock that makes one chain of many writers is held for the commit alone.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: list[str] = []

    def append(
        self,
        actor: str,
        action: str,
        subject: str,
        details: JsonObject | None = None,
        *,
        category: SubjectCategory | None = None,
        purpose: str | None = None,
        result: AuditResult = AuditResult.SUCCEEDED,
    ) -> None:
        """Add an entry with this transaction."""
        self.append_events(
            [
                AuditEvent(
                    actor=actor,
                    action=action,
                    subject=subject,
                    details=details or {},
                    category=category,
                    purpose=purpose,
                    result=result,
                )
            ]
        )

    def append_events(self, events: Sequence[AuditEvent]) -> None:
        """Add entries with this transaction, in this order; an event that is there already is left out."""
        if not self._waiting:
            event.listen(self._session, "before_commit", self._write, once=True)
        self._waiting += [given.canonical() for given in events]

    def _write(self, session: Session) -> None:
        session.flush()
        session.execute(_APPEND, {"entries": self._waiting})
        self._waiting = []

    def head(self) -> ChainHead:
        """The newest entry's place and hash; where all were taken away, the checkpoint's."""
        row = self._session.execute(
            select(AuditLog.id, AuditLog.hash).order_by(AuditLog.id.desc()).limit(1)
        ).one_or_none()
        if row is not None:
            return ChainHead(row.id, row.hash)
        checkpoint = self.checkpoint()
        return ChainHead(0, None) if checkpoint is None else ChainHead(checkpoint.through_id, checkpoint.through_hash)

    def checkpoint(self) -> Checkpoint | None:
        """The newest one."""
        row = self._session.execute(
            select(AuditCheckpoint).order_by(AuditCheckpoint.through_id.desc()).limit(1)
        ).scalar_one_or_none()
        return None if row is None else Checkpoint(row.through_id, row.through_hash, row.signed_head)

    def read_through(self, after: int = 0) -> Iterator[ChainedRow]:
        """Every entry in the order of the chain, a few thousand in memory at a time."""
        connection = self._session.connection().connection.driver_connection
        assert connection is not None
        with connection.cursor(name="audit_chain", binary=True) as cursor:
            cursor.itersize = READ_ROWS
            cursor.execute(_READ_THROUGH, (after,))
            for row in cursor:
                place, recorded_us, entry, previous_hash, digest, *columns = row
                yield ChainedRow(place, recorded_us, entry, previous_hash, digest, tuple(columns))

    def search(self, wanted: AuditFilter, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        """The newest entries that match, newest first; `before` is the last id of the page before."""
        query = select(AuditLog).where(*_conditions(wanted)).order_by(AuditLog.id.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditLog.id < before)
        return [_entry(row) for row in self._session.execute(query).scalars()]

    def matching(self, wanted: AuditFilter, *, through: int | None = None) -> Iterator[AuditEntry]:
        """Every entry that matches, up to this place, oldest first, a few thousand in memory at a time."""
        query = select(AuditLog).where(*_conditions(wanted)).order_by(AuditLog.id)
        if through is not None:
            query = query.where(AuditLog.id <= through)
        for row in self._session.execute(query.execution_options(yield_per=READ_ROWS)).scalars():
            yield _entry(row)
            # thousands of rows that nobody will ask for again
            self._session.expunge(row)

    def last_before(self, moment: datetime) -> ChainHead | None:
        """The newest entry that PostgreSQL took before this moment, and no older one after it."""
        newer = select(func.min(AuditLog.id)).where(AuditLog.recorded_at >= moment).scalar_subquery()
        row = self._session.execute(
            select(AuditLog.id, AuditLog.hash)
            .where(AuditLog.recorded_at < moment, func.coalesce(AuditLog.id < newer, True))
            .order_by(AuditLog.id.desc())
            .limit(1)
        ).one_or_none()
        return None if row is None else ChainHead(row.id, row.hash)

    def retire(self, through: int, signed_head: str) -> int:
        """Take the entries up to this one away, leaving the signed checkpoint; how many they were."""
        removed = self._session.execute(
            text("SELECT audit_retire(:through, :signed_head)"), {"through": through, "signed_head": signed_head}
        ).scalar_one()
        return int(removed)

    def protection(self) -> AuditProtection:
        """What keeps this connection's user from changing entries."""
        is_superuser, is_owner, owner = self._session.execute(
            text(
                "SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),"
                " pg_has_role(current_user, relowner, 'USAGE'), pg_get_userbyid(relowner)"
                " FROM pg_class WHERE oid = 'audit_logs'::regclass"
            )
        ).one()
        if is_superuser and owner == "tuneway_audit":
            return AuditProtection.SUPERUSER
        return AuditProtection.TRIGGER if is_owner else AuditProtection.ROLE


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(AuditLog.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditLog.at < wanted.until)
    if wanted.actor is not None:
        conditions.append(AuditLog.actor == wanted.actor)
    if wanted.category is not None:
        conditions.append(AuditLog.category == wanted.category)
    if wanted.result is not None:
        conditions.append(AuditLog.result == wanted.result)
    if wanted.text is not None:
        conditions.append(AuditLog.entry.icontains(wanted.text, autoescape=True))
    for column, value in ((AuditLog.action, wanted.action), (AuditLog.subject, wanted.subject)):
        if value is not None and value.endswith("*"):
            conditions.append(column.startswith(value[:-1], autoescape=True))
        elif value is not None:
            conditions.append(column == value)
    return conditions


def _entry(row: AuditLog) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        recorded_at=row.recorded_at,
        event_id=row.event_id,
        at=row.at,
        actor=row.actor,
        origin=row.origin,
        action=row.action,
        subject=row.subject,
        category=None if row.category is None else SubjectCategory(row.category),
        purpose=row.purpose,
        result=AuditResult(row.result),
        details=row.details,
        hash=row.hash.hex(),
    )
