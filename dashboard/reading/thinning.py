"""Fewer points for the same picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Place = TypeVar("Place", int, float)


def thinned(points: Sequence[tuple[Place, float]], most: int) -> list[tuple[Place, float]]:
    """At most so many points: the first, the last, and of each stretch between them its lowest and its highest.

    A spike of a single step stays in the picture.
    """
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    stretches = (most - 2) // 2
    kept: list[tuple[Place, float]] = [points[0]]
    for index in range(stretches):
        stretch = range(index * len(inner) // stretches, (index + 1) * len(inner) // stretches)
        low = min(stretch, key=lambda place: inner[place][1])
        high = max(stretch, key=lambda place: inner[place][1])
        kept += [inner[place] for place in sorted({low, high})]
    kept.append(points[-1])
    return kept


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """The exponential moving average, in which the value before counts with `weight`; 0 leaves the values as they are.

    Divided by the weights so far, so that the first values do not pull towards zero (Kingma and Ba, 2015, section 3).
    """
    average, total, found = 0.0, 0.0, []
    for value in values:
        average = weight * average + (1 - weight) * value
        total = weight * total + (1 - weight)
        found.append(average / total)
    return found
