"""Tells a trainer that hangs from one that is slow, by the pace it has shown itself.

    heartbeat   progress.json has not been written for longer than the floor
    work        no piece of work (micro-batch, validation batch) was finished for longer than

                    max(floor, 10 x the 95th percentile of the times between pieces)

                while the stage is training or evaluating. Before five such times are known, and in the stages that
                have no pieces (starting, saving), the limit is max(floor, 1,800 s).

The clock is this process's own. Where it was stopped itself, for example with its whole machine, it starts to count
anew: what it did not see is no sign of a hang.
"""

import math
from collections import deque

from contracts.training import JobProgress

PACE_FACTOR = 10.0
"""A step that takes ten times as long as nineteen of twenty did is taken for one that never ends."""
PACE_PERCENTILE = 0.95
PACE_WINDOW = 200
PACE_MINIMUM = 5
UNPACED_SECONDS = 1800.0
"""Loading 64 GB of weights from a slow disk takes ten minutes, a first step may compile kernels."""
PACED_STAGES = frozenset({"training", "evaluating"})
BLIND_SECONDS = 5.0
"""Between two looks of ours; more means that we were stopped ourselves."""


class Watchdog:
    """Looks at one process's progress about each second and says when it hangs."""

    def __init__(self, floor_seconds: float, now: float) -> None:
        self._floor = floor_seconds
        self._gaps: deque[float] = deque(maxlen=PACE_WINDOW)
        self._looked_at = now
        self._heard_at = now
        self._worked_at = now
        self._progress: JobProgress | None = None

    @property
    def limit_seconds(self) -> float:
        """How long no piece of work may end, as things are."""
        paced = self._progress is not None and self._progress.stage in PACED_STAGES
        if not paced or len(self._gaps) < PACE_MINIMUM:
            return max(self._floor, UNPACED_SECONDS)
        ordered = sorted(self._gaps)
        percentile = ordered[math.ceil(PACE_PERCENTILE * len(ordered)) - 1]
        return max(self._floor, PACE_FACTOR * percentile)

    def look(self, now: float, progress: JobProgress | None) -> str | None:
        """Why the process counts as hung; None while it does not. `progress` is None before its first sign of life."""
        blind = now - self._looked_at > BLIND_SECONDS
        self._looked_at = now
        if blind:
            self._heard_at = self._worked_at = now
        before, self._progress = self._progress, progress or self._progress
        if progress is not None and (before is None or progress.updated_at != before.updated_at):
            self._heard_at = now
        if progress is not None and (
            before is None or (progress.beats, progress.stage) != (before.beats, before.stage)
        ):
            pieces = progress.beats - before.beats if before is not None else 0
            if pieces > 0 and progress.stage in PACED_STAGES and not blind:
                self._gaps.append((now - self._worked_at) / pieces)
            self._worked_at = now
        if progress is None and self._progress is None:
            return self._over(now - self._heard_at, max(self._floor, UNPACED_SECONDS), "gave no sign of life")
        return self._over(now - self._heard_at, self._floor, "has given no sign of life") or self._over(
            now - self._worked_at, self.limit_seconds, "has finished no piece of work"
        )

    @staticmethod
    def _over(seconds: float, limit: float, what: str) -> str | None:
        return f"{what} for {seconds:.0f} s (limit {limit:.0f} s)" if seconds > limit else None
