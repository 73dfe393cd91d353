"""Whether B's answers seem slower than A's, from what passes by: when to look, not what is found.

Answers are taken for independent here, which shows more than the users behind them do, and sooner. That may decide when
the monitor looks: its guardrail counts users, and its evidence holds at every look, whenever it is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.enums import Arm

if TYPE_CHECKING:
    from serving_api.event_log import Event

FEWEST_ANSWERS = 30
"""Of each arm: the guardrail takes no fewer users."""
SUSPICIOUS = 2.0
"""Standard errors. The guardrail's own bound, 0.002 of the error rate, is beyond 3 of them."""
LEAST_HARM = math.log(1.25) / 4
"""Of the logarithm: below a quarter of the harm that it was set for, the guardrail's evidence never grows."""
_MOST_EXPERIMENTS = 1000


@dataclass(slots=True)
class _Times:
    """Of the logarithm of the milliseconds."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.squares += value * value

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def variance_of_mean(self) -> float:
        return max(0.0, self.squares / self.count - self.mean**2) / (self.count - 1)


class SlowAnswers:
    """Sums of the answers since the service began. One thread at a time calls it."""

    def __init__(self) -> None:
        self._times: dict[int, dict[Arm, _Times]] = {}

    def experiments_to_look_at(self, events: list[Event]) -> set[str]:
        """Those of whose B these events bring answers, if B seems to be slower."""
        seen = set()
        for event in events:
            experiment, arm = event.get("experiment_id"), event.get("variant")
            if event["kind"] != "answer" or experiment is None or arm is None:
                continue
            self._of(experiment)[Arm(arm)].add(math.log(max(1, event["response_time_ms"])))
            if arm == Arm.B:
                seen.add(experiment)
        return {str(experiment) for experiment in seen if self._seems_slower(experiment)}

    def _of(self, experiment: int) -> dict[Arm, _Times]:
        found = self._times.get(experiment)
        if found is None:
            if len(self._times) >= _MOST_EXPERIMENTS:
                # the longest known: it has ended long ago
                del self._times[next(iter(self._times))]
            found = self._times[experiment] = {arm: _Times() for arm in Arm}
        return found

    def _seems_slower(self, experiment: int) -> bool:
        a, b = (self._times[experiment][arm] for arm in Arm)
        if min(a.count, b.count) < FEWEST_ANSWERS:
            return False
        error = math.sqrt(a.variance_of_mean + b.variance_of_mean)
        return b.mean - a.mean > max(LEAST_HARM, SUSPICIOUS * error)
