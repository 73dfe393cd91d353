"""An experiment fed value by value: for simulations, and for whoever has a stream and no database."""

from __future__ import annotations

from collections.abc import Iterable

from ab_testing.decision import begin, look
from ab_testing.metrics import USER_RATING, Metric
from ab_testing.users import UserStream
from contracts.enums import Arm
from contracts.experiment_verdicts import DecisionPlan, ExperimentState


def decide_stream(
    values: Iterable[tuple[str, Arm | str, float]],
    plan: DecisionPlan,
    *,
    metric: Metric = USER_RATING,
    look_every: int = 1,
) -> ExperimentState:
    """The experiment's state after a look at every value, or at every so many; it ends with the first verdict."""
    stream, state, since = UserStream(metric), begin(plan), 0
    for user, arm, value in values:
        stream.add(user, arm, value)
        since += 1
        if since >= look_every:
            state, since = look(state, stream.moments(Arm.A), stream.moments(Arm.B), metric), 0
            if state.is_decided:
                return state
    return look(state, stream.moments(Arm.A), stream.moments(Arm.B), metric) if since else state
