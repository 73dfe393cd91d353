"""Values as they arrive, each with its user and arm, brought to users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ab_testing.metrics import USER_RATING, Aggregation, Metric
from ab_testing.moments import Array, RatioSums, UnitMoments
from contracts.enums import Arm
from contracts.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class UserTotals:
    """One arm's users, a row each, for what needs more than sums: ranks, segments, days."""

    users: tuple[str, ...]
    counts: Array
    sums: Array

    @property
    def means(self) -> Array:
        """Each user's mean."""
        return self.sums / self.counts

    def moments(
        self, aggregation: Aggregation = Aggregation.RATIO, covariate: dict[str, float] | None = None
    ) -> UnitMoments:
        """The arm's sufficient statistics. With a covariate, users who have none get the mean of the others."""
        ratio = aggregation is Aggregation.RATIO
        counts = self.counts if ratio else np.ones(len(self.users))
        values = self.sums if ratio else self.means
        if covariate is None:
            return UnitMoments.of_users(counts, values)
        known = [covariate[user] for user in self.users if user in covariate]
        middle = float(np.mean(known)) if known else 0.0
        return UnitMoments.of_users(
            counts, values, np.array([covariate.get(user, middle) for user in self.users], dtype=float)
        )


@dataclass(slots=True)
class _User:
    arm: Arm
    count: int = 0
    total: float = 0.0


@dataclass
class UserStream:
    """Takes (user, arm, value) one by one and knows each arm's moments at any time, in constant time a value.

    A user belongs to the arm seen first. A value of the same user from the other arm puts the user aside: who saw
    both says nothing about either.
    """

    metric: Metric = USER_RATING
    mixed_users: int = 0
    """Users put aside because they saw both arms."""
    _users: dict[str, _User | None] = field(default_factory=dict)
    _sums: dict[Arm, list[float]] = field(default_factory=lambda: {arm: [0.0] * 6 for arm in Arm})

    def add(self, user: str, arm: Arm | str, value: float) -> None:
        """One more value. Raises InvalidRequestError for one that cannot be compared."""
        try:
            side = Arm(arm.lower())
        except (ValueError, AttributeError):
            raise InvalidRequestError(
                "There is no such arm", value=arm, allowed="a, b", next_step="compare two arms at a time"
            ) from None
        scaled = self.metric.on_scale(value)
        if user not in self._users:
            self._users[user] = _User(side)
        found = self._users[user]
        if found is None:
            return
        if found.count:
            self._count(found, -1)
        if found.arm is not side:
            self._users[user] = None
            self.mixed_users += 1
            return
        found.count += 1
        found.total += scaled
        self._count(found, 1)

    def moments(self, arm: Arm) -> UnitMoments:
        """The arm's sufficient statistics so far."""
        users, *sums = self._sums[arm]
        return UnitMoments(users=round(users), sums=RatioSums(*sums))

    def totals(self, arm: Arm) -> UserTotals:
        """The arm's users so far."""
        found = [(name, user) for name, user in self._users.items() if user is not None and user.arm is arm]
        return UserTotals(
            users=tuple(name for name, _ in found),
            counts=np.array([user.count for _, user in found], dtype=float),
            sums=np.array([user.total for _, user in found], dtype=float),
        )

    def _count(self, user: _User, sign: int) -> None:
        ratio = self.metric.aggregation is Aggregation.RATIO
        weight = float(user.count) if ratio else 1.0
        value = user.total if ratio else user.total / user.count
        sums = self._sums[user.arm]
        for place, term in enumerate((1.0, weight, value, weight * weight, weight * value, value * value)):
            sums[place] += sign * term


def gather_users(values: Iterable[tuple[str, Arm | str, float]], metric: Metric = USER_RATING) -> UserStream:
    """Everything of the stream, by users."""
    stream = UserStream(metric)
    for user, arm, value in values:
        stream.add(user, arm, value)
    return stream
