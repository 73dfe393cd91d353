"""Which buckets of the layer a new test gets."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.layers import LAYER_BUCKETS, BucketRange


def free_buckets(taken: Iterable[BucketRange]) -> list[BucketRange]:
    """What is left beside the buckets of the running tests, in order."""
    free, place = [], 0
    for part in sorted(taken, key=lambda part: part.first):
        if part.first > place:
            free.append(BucketRange(first=place, end=part.first))
        place = max(place, part.end)
    if place < LAYER_BUCKETS:
        free.append(BucketRange(first=place, end=LAYER_BUCKETS))
    return free


def allot_buckets(taken: Iterable[BucketRange], share: float) -> tuple[BucketRange, ...] | None:
    """The first free buckets that make up the share; None where too few are free."""
    wanted = max(1, round(share * LAYER_BUCKETS))
    allotted = []
    for part in free_buckets(taken):
        size = min(part.size, wanted)
        allotted.append(BucketRange(first=part.first, end=part.first + size))
        wanted -= size
        if not wanted:
            return tuple(allotted)
    return None
