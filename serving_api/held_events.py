"""Events that the journal does not take because the disk is full: held in memory, in their order, until it does."""

import asyncio
import logging
from collections.abc import Sequence

from serving_api.event_log import Event, EventLog, line_of

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
MAX_HELD_BYTES = 64 * 1024**2


class PatientEventLog:
    """Writes to the journal from the event loop; a full disk delays what is written, and users' answers not at all.

    What is held survives the disk, but not the end of this process; where it grows beyond MAX_HELD_BYTES the newest is lost.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._retrying: asyncio.TimerHandle | None = None
        self.lost = 0
        """Events since the process began that found no room in memory either."""

    @property
    def held(self) -> int:
        """Events that the journal does not have yet."""
        return len(self._held)

    def append_all(self, events: Sequence[Event | bytes]) -> None:
        """Write the events to the journal, behind those that are held."""
        if not self._held:
            try:
                self._events.append_all(events)
            except OSError:
                log.exception("%d events could not be written and are held in memory", len(events))
            else:
                return
        self._hold(events)
        if self._retrying is None:
            self._retry_later()

    def flush(self) -> bool:
        """Write what is held; whether the journal has everything now."""
        if not self._held:
            return True
        try:
            self._events.append_all(self._held)
        except OSError:
            return False
        log.info("there is room again: %d events that were held are written", len(self._held))
        self._held, self._held_bytes = [], 0
        return True

    def close(self) -> None:
        """Try for the last time."""
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None
        if not self.flush():
            log.error("%d events could not be written and are lost: the disk is full", len(self._held))

    def _hold(self, events: Sequence[Event | bytes]) -> None:
        for line in map(line_of, events):
            if self._held_bytes + len(line) > MAX_HELD_BYTES:
                self.lost += 1
                if self.lost == 1:
                    log.error("events are lost: the disk is full, and so is the memory for what waits for it")
            else:
                self._held.append(line)
                self._held_bytes += len(line)

    def _retry_later(self) -> None:
        self._retrying = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        self._retrying = None
        if not self.flush():
            self._retry_later()
