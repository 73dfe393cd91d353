"""Chains in memory, and what a database's owner could do to them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from contracts.audit import AuditEvent
from security.audit.chain import GENESIS, entry_hash

START = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """An entry as it is stored."""

    id: int
    recorded_us: int
    entry: str
    previous_hash: bytes
    hash: bytes
    columns: tuple[int, str, str, str, str, str, str | None, str | None, str, str]

    def rehashed(self) -> "Row":
        """With the hash that fits what stands there now."""
        return replace(self, hash=entry_hash(self.previous_hash, self.id, self.recorded_us, self.entry))


def row(place: int, previous: bytes, subject: str | None = None) -> Row:
    """A sound entry."""
    event = AuditEvent(
        event_id=f"e{place}{subject or ''}",
        at=START + timedelta(seconds=place),
        actor="김철수",
        origin="10.0.0.1",
        action="model.promoted",
        subject=subject or f"model/{place}",
        details={"n": place, "share": 0.1, "big": 1e22},
    )
    at_us = (event.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    columns = (
        at_us, event.event_id, event.actor, event.origin, event.action, event.subject, None, None, "succeeded",
        # as PostgreSQL writes jsonb
        f'{{"n": {place}, "big": 10000000000000000000000, "share": 0.1}}',
    )  # fmt: skip
    return Row(place, at_us + 5, event.canonical(), previous, b"", columns).rehashed()


def chain(length: int) -> list[Row]:
    """A whole chain."""
    rows: list[Row] = []
    for place in range(1, length + 1):
        rows.append(row(place, rows[-1].hash if rows else GENESIS))
    return rows


def rechained(rows: list[Row], first: int) -> list[Row]:
    """The rows from this index on with places and hashes made anew: all that a database's owner can do."""
    done = rows[:first]
    for changed in rows[first:]:
        previous = done[-1].hash if done else GENESIS
        done.append(replace(changed, id=len(done) + 1, previous_hash=previous).rehashed())
    return done
