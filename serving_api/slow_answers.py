"""Whether a challenger's answers seem slower than the control's, from what passes by: when to look, not what is found.

Answers are taken for independent here, which shows more than the users behind them do, and sooner. That may decide when
the monitor looks: its guardrail counts users, and its evidence holds at every look, whenever it is made.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from serving_api.event_log import Event

FEWEST_ANSWERS = 30
"""Of each arm: the guardrail takes no fewer users."""
SUSPICIOUS = 2.0
"""Standard errors. The guardrail's own bound, 0.002 of the error rate, is beyond 3 of them."""
LEAST_HARM = math.log(1.25) / 4
"""Of the logarithm: below a quarter of the harm that it was set for, the guardrail's evidence never grows."""
_MOST_EXPERIMENTS = 1000

ArmTimes = dict[tuple[int, str], list[int]]
"""Milliseconds of the answers of each arm of each experiment."""


@dataclass(slots=True)
class _Times:
    """Of the logarithm of the milliseconds."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add_all(self, times_ms: list[int]) -> None:
        logarithms = [math.log(max(1, time_ms)) for time_ms in times_ms]
        self.count += len(logarithms)
        self.total += sum(logarithms)
        self.squares += sum(value * value for value in logarithms)

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def variance_of_mean(self) -> float:
        return max(0.0, self.squares / self.count - self.mean**2) / (self.count - 1)


@dataclass(slots=True)
class _Experiment:
    control: str
    times: defaultdict[str, _Times] = field(default_factory=lambda: defaultdict(_Times))


class SlowAnswers:
    """Sums of the answers since the service began. One thread at a time calls it."""

    def __init__(self, control_of: Callable[[int], str]) -> None:
        """`control_of` gives the control's arm of an experiment."""
        self._control_of = control_of
        self._experiments: dict[int, _Experiment] = {}

    def experiments_to_look_at(self, came: Iterable[ArmTimes]) -> set[str]:
        """Those of whose challenger answers came, if it seems to be slower."""
        seen = set()
        for (experiment, arm), times_ms in chain.from_iterable(times.items() for times in came):
            found = self._of(experiment)
            found.times[arm].add_all(times_ms)
            if arm != found.control:
                seen.add((experiment, arm))
        return {str(experiment) for experiment, arm in seen if self._seems_slower(experiment, arm)}

    def _of(self, experiment: int) -> _Experiment:
        found = self._experiments.get(experiment)
        if found is None:
            if len(self._experiments) >= _MOST_EXPERIMENTS:
                # the longest known: it has ended long ago
                del self._experiments[next(iter(self._experiments))]
            found = self._experiments[experiment] = _Experiment(self._control_of(experiment))
        return found

    def _seems_slower(self, experiment: int, arm: str) -> bool:
        found = self._experiments[experiment]
        a, b = found.times[found.control], found.times[arm]
        if min(a.count, b.count) < FEWEST_ANSWERS:
            return False
        error = math.sqrt(a.variance_of_mean + b.variance_of_mean)
        return b.mean - a.mean > max(LEAST_HARM, SUSPICIOUS * error)


def times_in(events: list[Event]) -> ArmTimes:
    """Of the answers of experiments that count in a comparison."""
    came: ArmTimes = defaultdict(list)
    for event in events:
        if event["kind"] == "answer" and (arm := event.get("variant")) is not None:
            experiment = event["experiment_id"]
            if experiment is not None:
                came[experiment, arm].append(event["response_time_ms"])
    return came
