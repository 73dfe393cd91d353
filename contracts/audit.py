"""What the audit trail keeps: one event, and the event as an entry of the chain."""

import getpass
import json
import math
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from pydantic import Field, JsonValue

from contracts.record import JsonObject, Record, utc_now


class AuditResult(StrEnum):
    """How an action ended."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """Not permitted, or not as asked."""
    FAILED = "failed"


class SubjectCategory(StrEnum):
    """Whose personal data an action reaches."""

    TRAINING_DATA = "training_data"
    """People who are named in documents and training rows."""
    CHAT_USERS = "chat_users"
    """People who ask the served models."""
    EXPERTS = "experts"
    """People who rate answers and review samples."""
    STAFF = "staff"
    """People with an account of the platform."""


class AuditEvent(Record):
    """Who did what, when, from where, to whose data, why, and how it ended."""

    event_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    """The same event stored twice is one entry."""
    at: datetime = Field(default_factory=utc_now)
    """When it happened."""
    actor: str
    origin: str = Field(default_factory=lambda: current_origin())
    """From where: a client's address, or account@host of the process."""
    action: str
    """noun.verb, e.g. `dataset.exported`."""
    subject: str
    """Kind and name, e.g. `model/demo-1`."""
    category: SubjectCategory | None = None
    """Whose personal data; None where the action reaches none."""
    purpose: str | None = None
    """Why, as the actor gave it; required where data leave the platform."""
    result: AuditResult = AuditResult.SUCCEEDED
    details: JsonObject = {}

    def canonical(self) -> str:
        """The event as the text that is hashed: JSON, keys sorted, no spaces, UTF-8, times in UTC with microseconds.

        What PostgreSQL or JSON cannot hold (NUL, lone surrogates, NaN) is replaced, so that no text keeps an event
        out of the trail.
        """
        return json.dumps(
            {**self.model_dump(exclude={"at", "details"}), "at": stamp(self.at), "details": _plain(self.details)}
            | {name: _text(getattr(self, name)) for name in ("event_id", "actor", "origin", "action", "subject")}
            | {"purpose": None if self.purpose is None else _text(self.purpose)},
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )


class AuditEntry(Record):
    """One entry of the chain, as it is searched and exported."""

    id: int
    """Place in the chain, from 1, without gaps."""
    recorded_at: datetime
    """When PostgreSQL took it."""
    event_id: str
    at: datetime
    actor: str
    origin: str
    action: str
    subject: str
    category: SubjectCategory | None
    purpose: str | None
    result: AuditResult
    details: dict[str, JsonValue]
    hash: str
    """SHA-256 in hexadecimal digits."""


class AuditFilter(Record):
    """Which entries are asked for; what is None does not matter."""

    since: datetime | None = None
    """By the time of the event; inclusive."""
    until: datetime | None = None
    """Exclusive."""
    actor: str | None = None
    action: str | None = None
    """The whole action, or its beginning followed by `*`."""
    subject: str | None = None
    """The whole subject, or its beginning followed by `*`."""
    category: SubjectCategory | None = None
    result: AuditResult | None = None
    text: str | None = None
    """Anywhere in the entry."""


class AuditProtection(StrEnum):
    """What keeps entries from being changed in PostgreSQL."""

    ROLE = "role"
    """The table belongs to a role of its own: the platform's user may add and read, nothing else."""
    TRIGGER = "trigger"
    """The platform's own user owns the table; a trigger refuses changes, and whoever has that user can remove it."""
    SUPERUSER = "superuser"
    """The table has a role of its own, and the platform's user is a superuser: a trigger refuses, as above."""


_origin: ContextVar[str | None] = ContextVar("audit_origin", default=None)


@contextmanager
def acting_from(origin: str) -> Iterator[None]:
    """Events within the block come from this address."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


def current_origin() -> str:
    """Where this request comes from; outside of one, account@host of the process."""
    return _origin.get() or _process_origin()


@lru_cache(maxsize=1)
def _process_origin() -> str:
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        # a container may run under a number without a name
        account = str(os.getuid())
    return f"{account}@{socket.gethostname()}"


def stamp(moment: datetime) -> str:
    """The moment as the chain writes it, e.g. 2026-01-31T09:00:00.000000+00:00."""
    return moment.astimezone(utc_now().tzinfo).isoformat(timespec="microseconds")


def _text(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_text(str(key)): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value
