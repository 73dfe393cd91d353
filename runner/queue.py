"""Who is next: the order of the waiting jobs, and which of them may start now. Numbers in, decisions out; no I/O.

The order is by priority class, then by the project that used the fewest card-seconds lately, then by arrival. A job
rises by one class for each `PROMOTION` it waits; above the highest class only arrival counts, so a finite number of
jobs is ever before it. The first job that lacks cards keeps its place: a later one may start meanwhile only where it
does not delay it (EASY backfilling: Lifka 1995, "The ANL/IBM SP Scheduling System").
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.enums import Priority, WaitReason
from contracts.jobs import QueuePlace

PROMOTION = timedelta(hours=4)
"""About the length of a training job here: nobody waits for more than three of them on account of a class."""
USAGE_WINDOW = timedelta(days=7)
ASSUMED_SECONDS = 3600.0
"""What a job is charged while it is placed, where nobody knows how long it takes."""
OVERDUE = -1
CLASSES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that has no cards yet."""

    key: str
    cards: int
    priority: Priority
    project: str
    queued_at: datetime
    expected_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """Cards in somebody's hands."""

    cards: int
    ends_at: datetime | None
    """None where nobody knows."""
    is_serving: bool = False
    """A model server: it does not end by itself."""


@dataclass(frozen=True, slots=True)
class CardUse:
    """Cards that a project had for a time."""

    project: str
    cards: int
    began: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens now, and where the others stand."""

    start: tuple[str, ...]
    """In the order in which they get their cards."""
    places: dict[str, QueuePlace]


def used_card_seconds(uses: Iterable[CardUse], now: datetime, window: timedelta = USAGE_WINDOW) -> dict[str, float]:
    """Card-seconds of each project in the window that ends now."""
    found: dict[str, float] = {}
    for use in uses:
        seconds = (min(use.ended or now, now) - max(use.began, now - window)).total_seconds()
        if seconds > 0:
            found[use.project] = found.get(use.project, 0.0) + use.cards * seconds
    return found


def in_order(waiting: Sequence[WaitingJob], used: dict[str, float], now: datetime) -> list[WaitingJob]:
    """The jobs as they will be served.

    Each placed job is charged to its project, so that two projects of equal use take turns.
    """
    charged, left, ordered = dict(used), list(waiting), []
    while left:
        chosen = min(left, key=lambda job: _rank(job, charged, now))
        left.remove(chosen)
        ordered.append(chosen)
        seconds = ASSUMED_SECONDS if chosen.expected_seconds is None else chosen.expected_seconds
        charged[chosen.project] = charged.get(chosen.project, 0.0) + chosen.cards * seconds
    return ordered


def _rank(job: WaitingJob, used: dict[str, float], now: datetime) -> tuple[int, float, datetime, str]:
    rises = max(0, math.floor((now - job.queued_at) / PROMOTION))
    rank = max(OVERDUE, CLASSES.index(job.priority) - rises)
    return rank, 0.0 if rank == OVERDUE else used.get(job.project, 0.0), job.queued_at, job.key


def decide(
    waiting: Sequence[WaitingJob], holdings: Sequence[Holding], total: int, used: dict[str, float], now: datetime
) -> Decision:
    """Which waiting jobs start now on a host of `total` cards, and the places of those that do not."""
    held = list(holdings)
    free = total - sum(holding.cards for holding in held)
    reachable = total - sum(holding.cards for holding in held if holding.is_serving)
    ordered = in_order(waiting, used, now)
    start: list[str] = []
    waits: list[tuple[WaitingJob, WaitReason]] = []
    head: _Reservation | None = None
    for job in ordered:
        if job.cards == 0:
            start.append(job.key)
            continue
        if job.cards > reachable:  # it waits for a model server to go; nobody waits for it meanwhile
            waits.append((job, WaitReason.SERVING))
            continue
        if job.cards <= free and (head is None or head.allows(job, now)):
            start.append(job.key)
            free -= job.cards
            held.append(Holding(job.cards, _end(now, job.expected_seconds)))
            continue
        if head is None:
            head = _Reservation.of(job, held, free)
        waits.append((job, WaitReason.CARDS if job.cards > free else WaitReason.TURN))
    return Decision(tuple(start), _places(waits, held, total, now))


@dataclass(slots=True)
class _Reservation:
    """When the first waiting job gets its cards, and how many others are free even then."""

    at: datetime | None
    spare: int

    @classmethod
    def of(cls, job: WaitingJob, held: Sequence[Holding], free: int) -> "_Reservation":
        """Of the job, with these cards in others' hands."""
        ends = sorted((holding.ends_at, holding.cards) for holding in held if holding.ends_at is not None)
        for ends_at, cards in ends:
            free += cards
            if free >= job.cards:
                return cls(ends_at, free - job.cards)
        return cls(None, 0)

    def allows(self, job: WaitingJob, now: datetime) -> bool:
        """The job ends before the reservation begins, or takes cards that are spare even then."""
        if self.at is None:
            return False
        ends_at = _end(now, job.expected_seconds)
        if ends_at is not None and ends_at <= self.at:
            return True
        if job.cards <= self.spare:
            self.spare -= job.cards
            return True
        return False


def _end(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _places(
    waits: Sequence[tuple[WaitingJob, WaitReason]], held: Sequence[Holding], total: int, now: datetime
) -> dict[str, QueuePlace]:
    """Position and expected start of each waiting job, one after the other on the cards that are free first."""
    known = [max(holding.ends_at, now) for holding in held for _ in range(holding.cards) if holding.ends_at is not None]
    free = total - sum(holding.cards for holding in held)
    cards = sorted([now] * free + known)  # of the others nobody knows when they are free
    found: dict[str, QueuePlace] = {}
    for position, (job, reason) in enumerate(waits, start=1):
        starts_at = None
        if reason is not WaitReason.SERVING:
            starts_at = cards[job.cards - 1] if len(cards) >= job.cards else None
            ends_at = None if starts_at is None else _end(starts_at, job.expected_seconds)
            cards = sorted(cards[job.cards :] + ([ends_at] * job.cards if ends_at is not None else []))
        found[job.key] = QueuePlace(position=position, waiting=len(waits), expected_start_at=starts_at, reason=reason)
    return found
