"""Progress of long work, told in the log with its rate and the time that is left."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0


class LoggedProgress:
    """Called as `on_progress(what, done, total)`; writes a line every few seconds and at the end of each kind of work."""

    def __init__(self, every_seconds: float = EVERY_SECONDS) -> None:
        self._every = every_seconds
        self._what = ""
        self._began = self._told = 0.0
        self._first = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Note that `done` of `total` units are done."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._told, self._first = what, now, now, done
        finished = done >= total
        if not finished and now - self._told < self._every:
            return
        self._told = now
        log.info("%s", progress_line(what, done, total, now - self._began, done - self._first))


def progress_line(what: str, done: int, total: int, seconds: float, since: int) -> str:
    """One line: share, rate, and what is left at that rate."""
    share = f"{100 * done / total:.0f} %" if total else "0 %"
    line = f"{what}: {done:,} of {total:,} ({share})"
    if seconds <= 0 or since <= 0:
        return line
    rate = since / seconds
    left = max(total - done, 0) / rate
    return f"{line}, {rate:,.0f}/s, {duration(left)} left" if done < total else f"{line}, {duration(seconds)}"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s` or `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
