"""Whether an effect fades or grows with the days that a user has known the arm: B may please because it is new."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

from ab_testing.moments import Array
from contracts.enums import Arm
from contracts.experiment_verdicts import Bounds, NotComputable, NotComputableReason

MINIMUM_USERS_PER_ARM = 30


class Trend(StrEnum):
    """What is shown of the difference over exposure days."""

    FADING = "fading"
    """It moves towards 0, or beyond: wait before trusting the mean."""
    GROWING = "growing"
    STEADY = "steady"
    """No trend is shown."""


@dataclass(frozen=True, slots=True)
class DayDifference:
    """B minus A on one exposure day."""

    day: int
    """0: the user's first day."""
    difference: float | None
    """None where an arm has no value."""
    values_a: int
    values_b: int


@dataclass(frozen=True, slots=True)
class NoveltyCheck:
    """The difference by exposure day, and its trend. Valid once; read it when the experiment has ended."""

    trend: Trend
    change_a_day: float
    bounds: Bounds
    p_value: float
    days: tuple[DayDifference, ...]


def check_novelty(
    values: Iterable[tuple[str, Arm, int, float]], *, alpha: float = 0.05
) -> NoveltyCheck | NotComputable:
    """From (user, arm, exposure day, value on the metric's scale).

    A line through each arm's values by day, its error robust to several values of a user (CR1 by user); the
    difference of the slopes.
    """
    rows = list(values)
    lines: dict[Arm, _Line | None] = {arm: _line([row for row in rows if row[1] is arm]) for arm in Arm}
    users = {arm: len({row[0] for row in rows if row[1] is arm}) for arm in Arm}
    a, b = lines[Arm.A], lines[Arm.B]
    if min(users.values()) < MINIMUM_USERS_PER_ARM:
        return NotComputable(reason=NotComputableReason.TOO_FEW_USERS, users_a=users[Arm.A], users_b=users[Arm.B])
    if a is None or b is None:
        return NotComputable(reason=NotComputableReason.TOO_FEW_DAYS, users_a=users[Arm.A], users_b=users[Arm.B])
    variance = a.slope_variance + b.slope_variance
    if variance <= 0:
        return NotComputable(reason=NotComputableReason.NO_SPREAD, users_a=users[Arm.A], users_b=users[Arm.B])
    change, error = b.slope - a.slope, math.sqrt(variance)
    half = float(stats.norm.isf(alpha / 2)) * error
    p_value = float(2 * stats.norm.sf(abs(change) / error))
    first = b.start - a.start
    trend = Trend.STEADY
    if p_value < alpha:
        trend = Trend.FADING if first * change < 0 else Trend.GROWING
    return NoveltyCheck(
        trend=trend,
        change_a_day=change,
        bounds=Bounds(lower=change - half, upper=change + half, level=1 - alpha),
        p_value=p_value,
        days=_by_day(rows),
    )


@dataclass(frozen=True, slots=True)
class _Line:
    start: float
    slope: float
    slope_variance: float


def _line(rows: list[tuple[str, Arm, int, float]]) -> _Line | None:
    """Least squares of value on day, with a slope error clustered by user; None where all days are the same."""
    if not rows:
        return None
    names = {user: place for place, user in enumerate(dict.fromkeys(row[0] for row in rows))}
    clusters = np.array([names[row[0]] for row in rows])
    day = np.array([row[2] for row in rows], dtype=float)
    value = np.array([row[3] for row in rows], dtype=float)
    centred = day - day.mean()
    spread = float(centred @ centred)
    if spread == 0 or len(names) < 2 or len(rows) < 3:
        return None
    slope = float(centred @ value) / spread
    residual: Array = value - value.mean() - slope * centred
    scores = np.bincount(clusters, weights=centred * residual, minlength=len(names))
    # CR1: G / (G - 1) x (N - 1) / (N - 2)
    correction = len(names) / (len(names) - 1) * (len(rows) - 1) / (len(rows) - 2)
    return _Line(
        start=float(value.mean()) - slope * float(day.mean()),
        slope=slope,
        slope_variance=correction * float(scores @ scores) / spread**2,
    )


def _by_day(rows: list[tuple[str, Arm, int, float]]) -> tuple[DayDifference, ...]:
    sums: dict[int, dict[Arm, list[float]]] = {}
    for _, arm, day, value in rows:
        found = sums.setdefault(day, {side: [0, 0.0] for side in Arm})[arm]
        found[0] += 1
        found[1] += value
    days = []
    for day, arms in sorted(sums.items()):
        (count_a, sum_a), (count_b, sum_b) = arms[Arm.A], arms[Arm.B]
        both = count_a > 0 and count_b > 0
        days.append(
            DayDifference(
                day=day,
                difference=sum_b / count_b - sum_a / count_a if both else None,
                values_a=int(count_a),
                values_b=int(count_b),
            )
        )
    return tuple(days)
