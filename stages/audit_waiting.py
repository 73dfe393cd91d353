"""Audit events of actions that go on while PostgreSQL is away: kept on disk, durably, and stored when it is back.

<data_dir>/audit/waiting.jsonl    one event a line; the same event stored twice is one entry
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from pydantic import ValidationError

from contracts.audit import AuditEvent
from contracts.errors import NotFoundError, UnavailableError
from settings import Settings
from stages.services import Services
from storage.files import fsync_path

log = logging.getLogger(__name__)

BATCH_EVENTS = 500


def record_or_keep(event: AuditEvent, services: Services) -> None:
    """Store the event; while PostgreSQL is away, flush it to the disk and raise the alarm in the log.

    Raises OSError where neither can be had: what must not happen unaudited then does not happen.
    """
    try:
        with services.unit_of_work() as uow:
            uow.audit.append_events([event])
    except (UnavailableError, NotFoundError) as error:
        # NotFoundError: a data folder that never had a platform, on which datasets are worked with all the same
        with _waiting(services.settings) as stream:
            _cut_to_whole_lines(stream)
            stream.seek(0, os.SEEK_END)
            stream.write(event.model_dump_json().encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        log.error("an audit event waits in %s: %s", services.settings.audit_dir, error)


def store_waiting(services: Services) -> int:
    """Store the events that wait, in their order; how many they were. Raises UnavailableError and keeps them.

    A kill at any instant loses none and stores none twice.
    """
    if not (services.settings.audit_dir / "waiting.jsonl").exists():
        return 0
    with _waiting(services.settings) as stream:
        _cut_to_whole_lines(stream)
        stream.seek(0)
        events = [event for line in stream if (event := _parsed(line, services.settings)) is not None]
        for start in range(0, len(events), BATCH_EVENTS):
            with services.unit_of_work() as uow:
                uow.audit.append_events(events[start : start + BATCH_EVENTS])
        stream.truncate(0)
        os.fsync(stream.fileno())
    return len(events)


@contextmanager
def _waiting(settings: Settings) -> Iterator[BinaryIO]:
    """The file, for one process at a time."""
    settings.audit_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(settings.audit_dir / "waiting.jsonl", os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        fsync_path(settings.audit_dir)
        yield stream


def _cut_to_whole_lines(stream: BinaryIO) -> None:
    """Leave out the line in whose middle a process was killed: its action had not been told done."""
    stream.seek(0)
    content = stream.read()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        stream.truncate(whole)


def _parsed(line: bytes, settings: Settings) -> AuditEvent | None:
    try:
        return AuditEvent.model_validate_json(line)
    except ValidationError:
        refused = settings.audit_dir / "refused.jsonl"
        log.error("a waiting audit event cannot be read and is kept in %s", refused)
        with refused.open("ab") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        return None
