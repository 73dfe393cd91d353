"""What happened on the data path, on disk before the caller goes on; `event_mover.py` brings it to PostgreSQL.

Whoever writes a segment holds its lock, so that another process knows which ones are complete: those of a killed writer too.

<folder>/<time in ns>.jsonl    segments: events as they were sealed, or in clear where nothing is encrypted: a line of JSON each,
                               with `body_bytes` followed by so many bytes and a line break: the body as it came, before
                               it the query, a string of JSON, whose size is `query_bytes`
<folder>/refused.jsonl         events that PostgreSQL will never take, each with the reason
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from storage.files import fsync_path

log = logging.getLogger(__name__)

Event = dict[str, Any]

TURN_SECONDS = 0.2
"""What comes within so long is moved together."""
FULL_DISK_SECONDS = 1.0
SEGMENT_BYTES = 16 * 1024**2
"""A segment is read as a whole: while PostgreSQL is away it grows to about this size, then the next one begins."""


class EventSealing(Protocol):
    """Encrypts what is written to the journal."""

    def seal_events(self, lines: bytes) -> bytes:
        """Lines as one piece."""
        ...


class EventLog:
    """The journal of one process."""

    def __init__(self, folder: Path, sealing: EventSealing | None = None) -> None:
        """`sealing` keeps from the disk what users said."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._sealing = sealing
        self._lock = threading.Lock()
        self._written = threading.Event()
        self._closing = threading.Event()
        self._descriptor, self._current = self._open_segment()
        self._ended: Path | None = None
        """The segment before."""
        self._thread = threading.Thread(target=self._turn_forever, name="event-log", daemon=True)

    def start(self) -> None:
        """Begin a new segment again and again, so that what was written can be moved."""
        self._thread.start()

    def append(self, event: Event | bytes) -> None:
        """Write the event to the journal: it survives the end of this process."""
        self.append_all([event])

    def append_all(self, events: Sequence[Event | bytes]) -> None:
        """Write the events to the journal, in one piece; as bytes what `line_with_body` has made."""
        lines = self._sealed(b"".join([line_of(event) for event in events]))
        with self._lock:
            _write(self._descriptor, lines)
        if not self._written.is_set():
            self._written.set()

    def append_durably(self, event: Event) -> None:
        """Write the event and flush it to the disk: it survives the end of the machine too. Blocks."""
        lines = self._sealed(line_of(event))
        with self._lock:
            _write(self._descriptor, lines)
            segment = os.dup(self._descriptor)
        self._written.set()
        try:
            # others go on writing meanwhile
            os.fsync(segment)
        finally:
            os.close(segment)

    @property
    def pending_bytes(self) -> int:
        """Size of what PostgreSQL does not have yet."""
        return sum(_size(path) for path in segments_of(self._folder))

    def close(self) -> None:
        """Leave the journal to whoever moves it."""
        self._closing.set()
        self._written.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            os.close(self._descriptor)

    def _open_segment(self) -> tuple[int, Path]:
        path = self._folder / f"{time.time_ns():020d}.jsonl"
        unlocked = path.with_name(f".{path.name}.tmp")
        descriptor = os.open(unlocked, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unlocked.rename(path)
            fsync_path(self._folder)
        except OSError:
            # an empty segment, if any, is the next mover's to remove
            os.close(descriptor)
            raise
        return descriptor, path

    def _turn_forever(self) -> None:
        while not self._closing.is_set():
            self._written.wait()
            self._written.clear()
            self._closing.wait(TURN_SECONDS)
            size = os.fstat(self._descriptor).st_size
            is_behind = self._ended is not None and self._ended.exists()
            if size > (SEGMENT_BYTES if is_behind else 0):
                try:
                    self._turn()
                except OSError:
                    # the disk is full: what is written stays whole in this segment and is moved once there is room
                    log.exception("%s: no further segment can be begun yet", self._folder)
                    self._written.set()
                    self._closing.wait(FULL_DISK_SECONDS)
            elif size:
                self._written.set()

    def _turn(self) -> None:
        # outside of the lock: nobody who writes waits for the disk
        following = self._open_segment()
        with self._lock:
            ended, self._ended = self._descriptor, self._current
            self._descriptor, self._current = following
        os.close(ended)

    def _sealed(self, lines: bytes) -> bytes:
        return lines if self._sealing is None else self._sealing.seal_events(lines)


def segments_of(folder: Path) -> list[Path]:
    """The segments of all processes, in the order in which they began."""
    return sorted(path for path in folder.glob("*.jsonl") if path.stem.isdigit())


def events_of(written: bytes) -> Iterator[Event | bytes]:
    """The events in a segment that was opened; as bytes what is not whole."""
    start = 0
    while start < len(written):
        ends = written.find(b"\n", start)
        event = _parsed(written[start:ends]) if ends >= 0 else None
        if event is not None and (size := event.pop("body_bytes", None)) is not None:
            begins, ends = ends + 1, ends + 1 + size
            is_whole = written[ends : ends + 1] == b"\n"
            event = _with_what_follows(event, written[begins:ends]) if is_whole else None
        if event is None:
            ends = written.find(b"\n{", start + 1)
            ends = ends if ends >= 0 else len(written) - 1
            yield written[start : ends + 1]
        else:
            yield event
        start = ends + 1


def line_with_body(begins: bytes, event: Event, body: bytes, query: str | None = None) -> bytes:
    """An event for the journal: `begins` is the beginning of its JSON object, up to a comma, the rest is in `event`.

    A query that is no part of `event` goes with the body: what is only sealed again need not become a text in between. As a
    string of JSON it has no line break, so what a user writes never looks like an event where a crash has cut the journal.
    """
    if query is not None:
        asked = orjson.dumps(query)
        event["query_bytes"] = len(asked)
        body = asked + body
    event["body_bytes"] = len(body)
    return b"%b%b\n%b\n" % (begins, orjson.dumps(event)[1:], body)


def line_of(event: Event | bytes) -> bytes:
    """The event as the journal holds it before it is sealed."""
    if isinstance(event, bytes):
        return event
    body = event.get("body")
    if isinstance(body, bytes):
        return line_with_body(b"{", {**event, "body": None}, body)
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def _parsed(line: bytes) -> Event | None:
    try:
        event = orjson.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _with_what_follows(event: Event, followed: bytes) -> Event | None:
    """The event with what `line_with_body` put behind its line; None where that is damaged."""
    # a service of before left the query in the line
    size = event.pop("query_bytes", None)
    if size is None:
        event["body"] = followed
        return event
    query = followed[:size]
    if b"\\" in query:
        try:
            event["query"] = orjson.loads(query).encode()
        except (ValueError, AttributeError):
            return None
    else:
        event["query"] = query[1:-1]
    event["body"] = followed[size:]
    return event


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # moved meanwhile
        return 0


def _write(descriptor: int, lines: bytes) -> None:
    """All of it, or nothing where the disk is full: a part would spoil what follows."""
    rest = memoryview(lines)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - (len(lines) - len(rest)))
        raise
