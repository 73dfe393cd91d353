"""What happened on the data path, on disk first and in PostgreSQL soon after.

An event is written to a journal file before the caller goes on. A thread moves the journal to PostgreSQL in batches;
while PostgreSQL is away the journal grows, and after a crash the next process moves what is left. Storing an event
twice changes nothing, so a segment is deleted only after all of it is stored.

<folder>/<time in ns>.jsonl    segments, the newest one is being written: a line of JSON each,
                               with `body_bytes` followed by so many bytes, the body as it came, and a line break
<folder>/refused.jsonl         events that PostgreSQL will never take, each with the reason
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import orjson

from contracts.errors import DamagedFileError, TunewayError, UnavailableError
from storage.encryption.values import PREFIX
from storage.files import fsync_path

log = logging.getLogger(__name__)

Event = dict[str, Any]

BATCH_EVENTS = 200
WAIT_SECONDS = 0.2
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 5.0
CLOSE_SECONDS = 10.0
SEGMENT_BYTES = 16 * 1024**2
"""A segment is read as a whole: while PostgreSQL is away it grows to about this size, then the next one begins."""


class RefusedEventError(TunewayError):
    """An event that can never be stored."""

    code = "refused_event"


class LineSealing(Protocol):
    """Encrypts lines of the journal."""

    def seal_lines(self, lines: bytes) -> bytes:
        """Lines as one line of ASCII."""
        ...

    def open_line(self, line: bytes) -> bytes:
        """The lines again. Raises DamagedFileError."""
        ...


class EventLog:
    """A journal of events with the thread that stores them."""

    def __init__(
        self, folder: Path, store: Callable[[list[Event]], None], sealing: "LineSealing | None" = None
    ) -> None:
        """`store` puts events into PostgreSQL, all or none; it raises UnavailableError or RefusedEventError.

        `sealing` keeps from the disk what users said.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._store = store
        self._sealing = sealing
        self._lock = threading.Lock()
        self._written = threading.Event()
        self._closing = threading.Event()
        self._is_behind = False
        self._descriptor, self._current = self._open_segment()
        self._thread = threading.Thread(target=self._move_forever, name="event-log", daemon=True)

    def start(self) -> None:
        """Start moving events, those of an earlier process first."""
        self._thread.start()

    def append(self, event: Event) -> None:
        """Write the event to the journal: it survives the end of this process."""
        self.append_all([event])

    def append_all(self, events: Iterable[Event]) -> None:
        """Write the events to the journal, in one piece."""
        lines = self._sealed(b"".join([_line(event) for event in events]))
        with self._lock:
            _write(self._descriptor, lines)
        if not self._written.is_set():
            self._written.set()

    def append_durably(self, event: Event) -> None:
        """Write the event and flush it to the disk: it survives the end of the machine too. Blocks."""
        lines = self._sealed(_line(event))
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
    def is_behind(self) -> bool:
        """PostgreSQL is away and events wait on disk."""
        return self._is_behind

    @property
    def pending_bytes(self) -> int:
        """Size of what PostgreSQL does not have yet."""
        return sum(path.stat().st_size for path in self._segments())

    def close(self) -> None:
        """Move what can be moved within a few seconds; the rest stays in the journal."""
        self._closing.set()
        self._written.set()
        if self._thread.is_alive():
            self._thread.join(timeout=CLOSE_SECONDS)
        with self._lock:
            os.close(self._descriptor)

    def _segments(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*.jsonl") if path.stem.isdigit())

    def _open_segment(self) -> tuple[int, Path]:
        path = self._folder / f"{time.time_ns():020d}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fsync_path(self._folder)
        return descriptor, path

    def _finished_segments(self) -> list[Path]:
        """Segments that nobody writes any more; the current one is finished when it is the only one with events."""
        with self._lock:
            finished = [path for path in self._segments() if path != self._current]
            if os.fstat(self._descriptor).st_size <= (SEGMENT_BYTES if finished else 0):
                return finished
        # outside of the lock: nobody who writes waits for the disk
        following = self._open_segment()
        with self._lock:
            ended, path = self._descriptor, self._current
            self._descriptor, self._current = following
        os.close(ended)
        return [*finished, path]

    def _move_forever(self) -> None:
        retry_s = RETRY_SECONDS
        while True:
            try:
                for segment in self._finished_segments():
                    self._move(segment)
                if self._is_behind:
                    log.info("PostgreSQL is back: every waiting event is stored")
                self._is_behind = False
                retry_s = RETRY_SECONDS
            except UnavailableError as error:
                if not self._is_behind:
                    log.warning("events wait in %s: %s", self._folder, error)
                self._is_behind = True
                if self._closing.wait(retry_s):
                    return
                retry_s = min(2 * retry_s, MAX_RETRY_SECONDS)
                continue
            except Exception:
                # a fault of ours must not end the thread: the events stay in the journal
                log.exception("events could not be stored and stay in %s", self._folder)
                self._is_behind = True
                if self._closing.wait(MAX_RETRY_SECONDS):
                    return
                continue
            with self._lock:
                is_empty = not os.fstat(self._descriptor).st_size
            if is_empty and self._closing.is_set():
                return
            self._written.wait()
            self._written.clear()
            # gather what comes within a moment into one transaction
            self._closing.wait(WAIT_SECONDS)

    def _move(self, segment: Path) -> None:
        events = self._events_of(self._opened(segment.read_bytes()))
        while batch := list(islice(events, BATCH_EVENTS)):
            self._store_batch(batch)
        segment.unlink()

    def _sealed(self, lines: bytes) -> bytes:
        return lines if self._sealing is None else self._sealing.seal_lines(lines)

    def _opened(self, written: bytes) -> bytes:
        """A segment as it was before it was sealed; one that never was is as it is."""
        if self._sealing is None or not written.startswith(PREFIX.encode()):
            return written
        opened = []
        for line in written.splitlines():
            try:
                opened.append(self._sealing.open_line(line))
            except DamagedFileError:
                self._refuse({"line": line.decode(errors="replace")}, "cut off in the middle")
        return b"".join(opened)

    def _events_of(self, written: bytes) -> Iterator[Event]:
        start = 0
        while start < len(written):
            found = _event_at(written, start)
            if found is not None:
                event, start = found
                yield event
                continue
            end = written.find(b"\n{", start + 1) + 1 or len(written)
            self._refuse({"line": written[start:end].decode(errors="replace")}, "cut off in the middle")
            start = end

    def _store_batch(self, events: list[Event]) -> None:
        try:
            self._store(events)
        except RefusedEventError as error:
            if len(events) == 1:
                self._refuse(events[0], error.sentence())
                return
            for event in events:
                self._store_batch([event])

    def _refuse(self, event: Event, reason: str) -> None:
        log.error("an event cannot be stored and is kept in %s: %s", self._folder / "refused.jsonl", reason)
        with (self._folder / "refused.jsonl").open("ab") as stream:
            line = {"reason": reason, "event": event}
            stream.write(self._sealed(orjson.dumps(line, default=_text, option=orjson.OPT_APPEND_NEWLINE)))


def _line(event: Event) -> bytes:
    body = event.get("body")
    if not isinstance(body, bytes):
        return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
    return b"%b\n%b\n" % (orjson.dumps({**event, "body": None, "body_bytes": len(body)}), body)


def _event_at(written: bytes, start: int) -> tuple[Event, int] | None:
    """The event that begins there, and where the next one does; None where it is not whole."""
    end = written.find(b"\n", start)
    if end < 0:
        return None
    try:
        event = orjson.loads(written[start:end])
    except ValueError:
        return None
    if not isinstance(event, dict):
        return None
    size = event.pop("body_bytes", None)
    if size is None:
        return event, end + 1
    ends = end + 1 + size
    event["body"] = written[end + 1 : ends]
    return (event, ends + 1) if written[ends : ends + 1] == b"\n" else None


def _write(descriptor: int, lines: bytes) -> None:
    """All of it, or nothing where the disk is full: a part would spoil what follows."""
    rest = memoryview(lines)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - (len(lines) - len(rest)))
        raise


def _text(body: object) -> str:
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)
