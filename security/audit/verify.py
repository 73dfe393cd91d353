"""The check of the chain: which entry was edited, deleted, inserted, moved or cut, in one pass with bounded memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

import orjson

from contracts.record import Record
from security.audit.chain import GENESIS, entry_hash
from security.audit.heads import SignedHead

KEPT_SUSPECTS = 200
"""Entries whose own hash is wrong that are kept to be compared with each other."""
TOLD_PROBLEMS = 1_000
"""Problems that are listed; more are counted."""


class ChainedRow(Protocol):
    """An entry as it is stored."""

    @property
    def id(self) -> int:
        """Its place."""
        ...

    @property
    def recorded_us(self) -> int:
        """When PostgreSQL took it, in microseconds since 1970."""
        ...

    @property
    def entry(self) -> str:
        """What was hashed."""
        ...

    @property
    def previous_hash(self) -> bytes:
        """Hash of the entry before."""
        ...

    @property
    def hash(self) -> bytes:
        """Its own hash."""
        ...

    @property
    def columns(self) -> tuple[int, str, str, str, str, str, str | None, str | None, str, str]:
        """What is searched: time (microseconds), event, actor, origin, action, subject, category, purpose, result, details."""
        ...


class Tampering(StrEnum):
    """What was done to the chain."""

    EDITED = "edited"
    """The entry's text, time or hash is not what was hashed."""
    COLUMN_EDITED = "column_edited"
    """The columns that are searched say something else than the entry that was hashed."""
    REPLACED = "replaced"
    """The entry is consistent in itself, but the next entry was chained to another one."""
    DELETED = "deleted"
    """Entries are missing between two others."""
    INSERTED = "inserted"
    """A place is taken twice, or the entries from here on were moved up to make room."""
    MOVED = "moved"
    """The entry stands at another place than it was written at, or holds what another one held."""
    REWRITTEN = "rewritten"
    """A signed head knew the chain otherwise: at least one of these entries was exchanged, and all after it chained anew."""
    BEGINNING_CUT = "beginning_cut"
    """The first entries are missing, and no signed checkpoint accounts for them."""
    TAIL_CUT = "tail_cut"
    """A signed head names an entry behind the last one."""
    FORGED_SIGNATURE = "forged_signature"
    """A signed head or checkpoint does not bear the signature of the key."""


class Problem(Record):
    """One finding."""

    kind: Tampering
    first: int
    """The entry's place in the chain."""
    last: int
    """The last entry that it concerns; the same as `first` for one entry."""
    moved_from: int | None = None
    """Where the entry stood when it was hashed, where that is known."""


class ChainReport(Record):
    """What the check found."""

    entries: int
    first_id: int | None
    last_id: int | None
    head: str
    """Hash of the last entry, in hexadecimal digits."""
    heads_checked: int
    """Signed heads that were compared."""
    unsigned_entries: int
    """Entries behind the last signed head: whoever owns the database could cut these unseen."""
    problems: list[Problem]
    problems_total: int

    @property
    def is_whole(self) -> bool:
        """Nothing was found."""
        return self.problems_total == 0


@dataclass(frozen=True, slots=True)
class Start:
    """Where a shortened chain begins."""

    id: int
    """The last entry that was taken away."""
    hash: bytes


class _Findings:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.total = 0
        self._run: Problem | None = None

    def add(self, kind: Tampering, first: int, last: int | None = None, moved_from: int | None = None) -> None:
        self.total += 1
        if len(self.problems) < TOLD_PROBLEMS:
            self.problems.append(
                Problem(kind=kind, first=first, last=first if last is None else last, moved_from=moved_from)
            )

    def add_shifted(self, place: int, moved_from: int) -> None:
        """An entry some places off, like those around it: one problem a run, with what made it."""
        run = self._run
        if run is not None and run.last == place - 1 and run.moved_from == moved_from - (place - run.first):
            self._run = run.model_copy(update={"last": place})
            return
        self.end_run()
        self._run = Problem(kind=Tampering.MOVED, first=place, last=place, moved_from=moved_from)

    def end_run(self) -> None:
        """Tell the run of moved entries that is open."""
        run, self._run = self._run, None
        if run is None or run.moved_from is None:
            return
        if run.last > run.first and run.moved_from > run.first:
            self.add(Tampering.DELETED, run.first, run.moved_from - 1)
        elif run.last > run.first:
            self.add(Tampering.INSERTED, run.moved_from, run.first - 1)
        self.add(Tampering.MOVED, run.first, run.last, run.moved_from)


def verify_chain(
    rows: Iterable[ChainedRow],
    heads: Sequence[SignedHead] = (),
    *,
    start: Start | None = None,
    progress: Callable[[int], None] | None = None,
) -> ChainReport:
    """Check the entries, given in the order of their places, against each other and against heads signed before.

    `heads` have valid signatures already. The entries up to `start` are accounted for.
    """
    found = _Findings()
    signed = {head.id: bytes.fromhex(head.hash) for head in heads}
    place, links = (0, {GENESIS}) if start is None else (start.id, {start.hash})
    last_good = place
    is_rewritten = False
    suspects: list[ChainedRow] = []
    entries, first_id, last_hash, last_is_sound = 0, None, next(iter(links)), True
    for row in rows:
        entries += 1
        first_id = row.id if first_id is None else first_id
        is_taken, is_next = row.id <= place, row.id == place + 1
        if is_taken:
            found.add(Tampering.INSERTED, row.id)
        elif not is_next:
            found.add(Tampering.BEGINNING_CUT if entries == 1 else Tampering.DELETED, place + 1, row.id - 1)
        is_sound = entry_hash(row.previous_hash, row.id, row.recorded_us, row.entry) == row.hash
        if not is_sound:
            moved_from = next((row.id + step for step in _NEAR if _stood_at(row, row.id + step)), None)
            if moved_from is not None:
                found.add_shifted(row.id, moved_from)
            elif len(suspects) < KEPT_SUSPECTS:
                suspects.append(row)
            else:
                found.add(Tampering.EDITED, row.id)
        elif is_next and last_is_sound and row.previous_hash not in links:
            # each is consistent in itself: what this one was chained to has been exchanged
            found.add(Tampering.REPLACED, max(place, 1))
        if is_sound and not _columns_agree(row):
            found.add(Tampering.COLUMN_EDITED, row.id)
        if (expected := signed.get(row.id)) is not None and is_sound:
            if expected == row.hash:
                last_good, is_rewritten = row.id, False
            elif not is_rewritten:
                is_rewritten = True
                found.add(Tampering.REWRITTEN, last_good + 1, row.id)
        links = {*links, row.hash} if is_taken else {row.hash}
        place, last_hash, last_is_sound = max(place, row.id), row.hash, is_sound
        if progress is not None and entries % 50_000 == 0:
            progress(entries)
    found.end_run()
    _explain(suspects, found)
    last_signed = max(signed, default=0)
    if last_signed > place:
        found.add(Tampering.TAIL_CUT, place + 1, last_signed)
    return ChainReport(
        entries=entries,
        first_id=first_id,
        last_id=place if entries else None,
        head=last_hash.hex(),
        heads_checked=len(signed),
        unsigned_entries=min(entries, max(0, place - last_signed)),
        problems=sorted(found.problems, key=lambda problem: (problem.first, problem.last)),
        problems_total=found.total,
    )


_NEAR = (1, -1, 2, -2, 3, -3)


def _explain(suspects: list[ChainedRow], found: _Findings) -> None:
    """Tell entries that were moved, as whole rows or by their contents, from those that were edited."""
    for row in suspects:
        others = [other for other in suspects if other is not row]
        moved_from = next(
            (other.id for other in others if _stood_at(row, other.id) or _holds_text_of(row, other)), None
        )
        found.add(Tampering.EDITED if moved_from is None else Tampering.MOVED, row.id, moved_from=moved_from)


def _stood_at(row: ChainedRow, place: int) -> bool:
    return entry_hash(row.previous_hash, place, row.recorded_us, row.entry) == row.hash


def _holds_text_of(row: ChainedRow, other: ChainedRow) -> bool:
    """The row holds what was hashed for the other one: its text alone, or its text with its time."""
    return other.hash in (
        entry_hash(other.previous_hash, other.id, row.recorded_us, row.entry),
        entry_hash(other.previous_hash, other.id, other.recorded_us, row.entry),
    )


def _columns_agree(row: ChainedRow) -> bool:
    at_us, event_id, actor, origin, action, subject, category, purpose, result, details = row.columns
    try:
        event = orjson.loads(row.entry)
        return bool(
            (event["event_id"], event["actor"], event["origin"], event["action"], event["subject"])
            == (event_id, actor, origin, action, subject)
            and (event["category"], event["purpose"], event["result"]) == (category, purpose, result)
            and (datetime.fromisoformat(event["at"]) - _EPOCH) // _MICROSECOND == at_us
            and (orjson.loads(details) == event["details"])
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
