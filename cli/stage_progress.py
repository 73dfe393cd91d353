"""How the command line shows the progress of long work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stages.progress import LoggedProgress, progress_line

if TYPE_CHECKING:
    from cli.screen import Screen

_LOGGED_EVERY_SECONDS = 10.0


class ScreenProgress(LoggedProgress):
    """On a terminal one line that changes, elsewhere a line every few seconds; with rate and time left."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(0.2 if screen.err.is_terminal else _LOGGED_EVERY_SECONDS)
        self._screen = screen

    def __call__(self, what: str, done: int, total: int) -> None:
        """Note that `done` of `total` units are done."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._told, self._first = what, now, now, done
        if done < total and now - self._told < self._every:
            return
        self._told = now
        line = progress_line(what, done, total, now - self._began, done - self._first)
        if self._screen.err.is_terminal:
            self._screen.busy("dataset.progress", line=line)
        else:
            self._screen.say("dataset.progress", line=line)
