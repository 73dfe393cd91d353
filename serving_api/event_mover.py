"""Moves the journal of the data path to PostgreSQL, in batches.

While PostgreSQL is away the journal grows, and what a killed process left is moved by the next. Storing an event twice changes
nothing, so a segment is deleted only after all of it is stored. One process moves at a time: a rating stays behind the one
that it replaces.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Protocol, TypeVar

import orjson

from contracts.errors import TunewayError, UnavailableError
from serving_api.event_log import Event, EventSealing, events_of, segments_of
from storage.encryption.pieces import Piece

log = logging.getLogger(__name__)

Store = Callable[[Iterable[list[Event]]], None]
"""Puts chunks of events into PostgreSQL, all or none; it raises UnavailableError or RefusedEventError."""
Found = TypeVar("Found")

CHUNK_EVENTS = 100
"""What is made of a line of the journal is made while the line is still in the processor's cache."""
BATCH_CHUNKS = 20
"""One transaction."""
LOOK_SECONDS = 0.2
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 5.0
CLOSE_SECONDS = 10.0


class RefusedEventError(TunewayError):
    """An event that can never be stored."""

    code = "refused_event"


class EventOpening(EventSealing, Protocol):
    """Opens what was sealed for the journal."""

    def opened_events(self, written: bytes) -> Iterator[Piece]:
        """The pieces of a segment."""
        ...


class EventMover:
    """The thread that stores events."""

    def __init__(self, folder: Path, store: Store, opening: EventOpening | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._store = store
        self._opening = opening
        self._closing = threading.Event()
        self._turn: int | None = None
        self._is_behind = False
        self._thread = threading.Thread(target=self._move_forever, name="event-mover", daemon=True)

    def start(self) -> None:
        """Start moving events, those of an earlier process first."""
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """PostgreSQL is away and events wait on disk."""
        return self._is_behind

    def close(self) -> None:
        """Move what can be moved within a few seconds; the rest stays in the journal."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=CLOSE_SECONDS)
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None

    def _has_turn(self) -> bool:
        """No other process moves."""
        if self._turn is None:
            descriptor = os.open(self._folder / "moving.lock", os.O_WRONLY | os.O_CREAT, 0o600)
            if not _is_locked_by(descriptor, fcntl.LOCK_EX):
                os.close(descriptor)
                return False
            self._turn = descriptor
        return True

    def _move_forever(self) -> None:
        retry_s = RETRY_SECONDS
        while True:
            is_last = self._closing.is_set()
            try:
                if self._has_turn():
                    for segment in segments_of(self._folder):
                        self._move_if_complete(segment)
                if self._is_behind:
                    log.info("PostgreSQL is back: every waiting event is stored")
                self._is_behind = False
                retry_s = RETRY_SECONDS
            except UnavailableError as error:
                if not self._is_behind:
                    log.warning("events wait in %s: %s", self._folder, error)
                self._is_behind = True
                if is_last or self._closing.wait(retry_s):
                    return
                retry_s = min(2 * retry_s, MAX_RETRY_SECONDS)
                continue
            except Exception:
                # a fault of ours must not end the thread: the events stay in the journal
                log.exception("events could not be stored and stay in %s", self._folder)
                self._is_behind = True
                if is_last or self._closing.wait(MAX_RETRY_SECONDS):
                    return
                continue
            if is_last:
                return
            self._closing.wait(LOOK_SECONDS)

    def _move_if_complete(self, segment: Path) -> None:
        descriptor = os.open(segment, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as stream:
            if not _is_locked_by(descriptor, fcntl.LOCK_SH):
                return
            self._move(stream.read())
        segment.unlink()

    def _move(self, written: bytes) -> None:
        cut: list[bytes] = []
        stored = 0
        chunks = _chunks(self._events_of(written, cut))
        try:
            for first in chunks:
                sizes: list[int] = []
                self._store(_counted(chain([first], islice(chunks, BATCH_CHUNKS - 1)), sizes))
                stored += sum(sizes)
        except RefusedEventError:
            # which event it was is found out by halves
            cut.clear()
            for chunk in _chunks(islice(self._events_of(written, cut), stored, None)):
                self._store_by_halves(chunk)
        for line in cut:
            self._refuse({"line": line.decode(errors="replace")}, "cut off in the middle")

    def _events_of(self, written: bytes, cut: list[bytes]) -> Iterator[Event]:
        """The events of a segment; what is not whole is added to `cut`."""
        pieces = [Piece(written, is_whole=True)] if self._opening is None else self._opening.opened_events(written)
        for piece in pieces:
            for event in events_of(piece.content) if piece.is_whole else [piece.content]:
                if isinstance(event, bytes):
                    cut.append(event)
                else:
                    yield event

    def _store_by_halves(self, events: list[Event]) -> None:
        try:
            self._store([events])
        except RefusedEventError as error:
            if len(events) == 1:
                self._refuse(events[0], error.sentence())
                return
            middle = len(events) // 2
            self._store_by_halves(events[:middle])
            self._store_by_halves(events[middle:])

    def _refuse(self, event: Event, reason: str) -> None:
        log.error("an event cannot be stored and is kept in %s: %s", self._folder / "refused.jsonl", reason)
        line = orjson.dumps({"reason": reason, "event": event}, default=_text, option=orjson.OPT_APPEND_NEWLINE)
        with (self._folder / "refused.jsonl").open("ab") as stream:
            stream.write(line if self._opening is None else self._opening.seal_events(line))


def and_tell(store: Store, find: Callable[[list[Event]], Found], tell: Callable[[list[Found]], None]) -> Store:
    """The same store; what is found in the chunks is told once they are stored. What fails of that holds up no event."""

    def store_and_tell(chunks: Iterable[list[Event]]) -> None:
        found: list[Found] = []
        store(_looked_at(chunks, find, found))
        try:
            tell(found)
        except Exception:
            log.exception("what was found in events that are stored could not be told")

    return store_and_tell


def _looked_at(
    chunks: Iterable[list[Event]], find: Callable[[list[Event]], Found], found: list[Found]
) -> Iterator[list[Event]]:
    for chunk in chunks:
        try:
            found.append(find(chunk))
        except Exception:
            # no event can make it fail that could be stored; one that cannot is refused by the store
            log.exception("events could not be looked at")
        yield chunk


def _chunks(events: Iterator[Event]) -> Iterator[list[Event]]:
    while chunk := list(islice(events, CHUNK_EVENTS)):
        yield chunk


def _counted(chunks: Iterable[list[Event]], sizes: list[int]) -> Iterator[list[Event]]:
    for chunk in chunks:
        sizes.append(len(chunk))
        yield chunk


def _is_locked_by(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _text(body: object) -> str:
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)
