"""Looks at an A/B test at once when its users meet errors, rate low or wait for a new model, in a process of its own.

The router pays one write to a pipe for a batch of events. What is lost with a crash is seen by the next minute's run of
`monitor_ab_test`: the look is the same one, under the same lock.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from contracts.enums import AnswerStatus
from serving_api.event_mover import and_tell
from serving_api.slow_answers import ArmTimes, SlowAnswers, times_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving_api.event_log import Event
    from serving_api.event_mover import Store

EVERY_RUNNING = "all"
"""A rating does not tell the experiment of its answer."""
LOW_RATING = 2
_HARM = {AnswerStatus.FAILED.value, AnswerStatus.BROKEN.value}


def experiments_to_look_at(events: list[Event]) -> set[str]:
    """Those whose users met an error, and every one that runs after a low rating."""
    found = set()
    for event in events:
        if event["kind"] == "rating" and event["rating"] <= LOW_RATING:
            found.add(EVERY_RUNNING)
        elif event["kind"] == "answer" and event.get("status") in _HARM and event["experiment_id"] is not None:
            found.add(str(event["experiment_id"]))
    return found


class _Seen(NamedTuple):
    """In a chunk of events."""

    harmed: set[str]
    times: ArmTimes
    has_experiment: bool


def _seen_in(events: list[Event]) -> _Seen:
    return _Seen(
        experiments_to_look_at(events),
        times_in(events),
        any(event.get("experiment_id") is not None for event in events),
    )


class GuardrailWatch:
    """Tells the process that looks. One thread at a time calls it."""

    def __init__(self, control_of: Callable[[int], str]) -> None:
        """`control_of` gives the control's arm of an experiment."""
        self._process: subprocess.Popen[bytes] | None = None
        self._slow = SlowAnswers(control_of)

    def watched(self, store: Store) -> Store:
        """The same store; what it has stored is looked at."""
        return and_tell(store, _seen_in, self._tell_of)

    def stop(self) -> None:
        """The process ends by itself, after the look that it is at."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process = None

    def _tell_of(self, found: list[_Seen]) -> None:
        if any(seen.has_experiment for seen in found):
            # it needs seconds to start: it is there before the first error
            self._running()
        harmed = {experiment for seen in found for experiment in seen.harmed}
        slow = self._slow.experiments_to_look_at([seen.times for seen in found])
        for experiment in sorted(harmed | slow):
            self._tell(experiment)

    def _tell(self, experiment: str) -> None:
        pipe = self._running().stdin
        assert pipe is not None, "it was opened with a pipe"
        try:
            os.write(pipe.fileno(), f"{experiment}\n".encode())
        except (BlockingIOError, BrokenPipeError):
            # full: it will look anyway; gone: the next event starts another
            return

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serving_api.guardrail_looks"], stdin=subprocess.PIPE, bufsize=0
            )
            assert self._process.stdin is not None, "it was opened with a pipe"
            os.set_blocking(self._process.stdin.fileno(), False)
        return self._process
