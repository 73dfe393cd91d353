"""Train, validation and test: stratified by category, never through a group, and stable while the dataset grows.

A group (a source document, or the rows with one question) is on one side. Where the version before had it, it stays
there. Else the hash of the group and the seed, a number from 0 to 1, is looked up in the range that the ratios cut: no
other row matters, so no row changes sides because others came, also between datasets that know nothing of each other.
Shares hold in every category up to chance (n groups of one size miss a share r by about sqrt(r·(1-r)/n)).

Chance is not left alone with few groups. Groups that the version before did not have are moved, the fewest that do, where
- a category has no training row;
- a side has less than half, or more than twice, of what it should have of a category (or of all rows).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy
from numpy.typing import NDArray

from contracts.enums import Split, SplitUnit
from contracts.record import Record

_MIN_ROWS_FOR_EVERY_SIDE = 10
_LEAST, _MOST = 0.5, 2.0
"""Of the wanted rows of a side."""
_FINE_MOVES = 50
"""Of single groups, where many small ones do not do."""
_SIDES = list(Split)
_TRAIN = _SIDES.index(Split.TRAIN)


@dataclass(frozen=True, slots=True)
class Ratios:
    """Wanted shares; they sum to one."""

    train: float
    validation: float
    test: float


class SideReport(Record):
    """What one side of a split got."""

    wanted: float
    share: float
    rows: int
    groups: int


class SplitReport(Record):
    """How far a split is from what was wanted."""

    sides: dict[str, SideReport]
    """By Split."""
    largest_deviation: float
    """The largest difference between a wanted and a reached share of all rows."""
    uneven_categories: dict[str, dict[str, float]]
    """Categories of which a side has less than half or more than twice of what it should: the shares reached, by Split."""

    @property
    def even(self) -> bool:
        """Whether every side has between half and twice of its rows."""
        return all(
            side.wanted == 0 or _LEAST * side.wanted <= side.share <= _MOST * side.wanted
            for side in self.sides.values()
        )


def group_of(source: str, question: int, unit: SplitUnit) -> str:
    """What must not be divided: the row's source document, or its question (`question_key`) where it has none or the
    unit is that.
    """
    if unit is SplitUnit.DOCUMENT and source:
        return f"document:{source}"
    return f"question:{question}"


def assign_sides(
    categories: Sequence[str],
    groups: Sequence[str],
    ratios: Ratios,
    seed: int,
    previous: Mapping[str, Split] | None = None,
) -> list[Split]:
    """The side of every row. `previous`: the side that a group had in the version before."""
    if not categories:
        return []
    table = _Groups(categories, groups, seed)
    table.place(ratios, previous or {})
    table.give_every_category_a_training_row()
    table.correct(ratios)
    return [_SIDES[side] for side in table.sides[table.group_of_row].tolist()]


def report_split(
    categories: Sequence[str], groups: Sequence[str], sides: Sequence[Split], ratios: Ratios
) -> SplitReport:
    """The shares that were reached beside those that were wanted."""
    wanted = dict(zip(_SIDES, _as_list(ratios), strict=True))
    numbers = numpy.array([_SIDES.index(side) for side in sides], dtype=numpy.int64)
    reached = {
        side: SideReport(
            wanted=wanted[side],
            share=round(float((numbers == number).mean()), 6) if len(numbers) else 0.0,
            rows=int((numbers == number).sum()),
            groups=len({group for group, of_row in zip(groups, sides, strict=True) if of_row is side}),
        )
        for number, side in enumerate(_SIDES)
    }
    names, strata = _numbered(categories)
    counts = numpy.zeros((len(names), len(_SIDES)), dtype=numpy.int64)
    numpy.add.at(counts, (strata, numbers), 1)
    targets = _targets(counts.sum(axis=1), ratios)
    uneven = ((counts < _LEAST * targets) | (counts > _MOST * targets)) & (targets >= 1)
    return SplitReport(
        sides={side.value: report for side, report in reached.items()},
        largest_deviation=round(max(abs(report.share - report.wanted) for report in reached.values()), 6),
        uneven_categories={
            names[index]: {
                side.value: round(float(counts[index, number] / counts[index].sum()), 4)
                for number, side in enumerate(_SIDES)
            }
            for index in numpy.flatnonzero(uneven.any(axis=1)).tolist()
        },
    )


class _Groups:
    """The groups as arrays: sizes in rows, stratum (the category of most of its rows), place, side."""

    def __init__(self, categories: Sequence[str], groups: Sequence[str], seed: int) -> None:
        self.names, self.group_of_row = _numbered(groups)
        stratum_names, stratum_of_row = _numbered(categories)
        self.strata = len(stratum_names)
        self.sizes = numpy.bincount(self.group_of_row)
        self.stratum = self._most_frequent(stratum_of_row)
        self.category_of_row = stratum_of_row
        self.places = numpy.array([_place(name, seed) for name in self.names])
        self.sides = numpy.zeros(len(self.names), dtype=numpy.int64)
        self.fixed = numpy.zeros(len(self.names), dtype=bool)

    def place(self, ratios: Ratios, previous: Mapping[str, Split]) -> None:
        """Every group on the side of the version before, else on that of its hash."""
        bounds = numpy.array([ratios.train, ratios.train + ratios.validation])
        self.sides = numpy.searchsorted(bounds, self.places, side="right")
        if not ratios.test:  # the sum of the ratios may miss one by a rounding
            self.sides = numpy.minimum(self.sides, 1 if ratios.validation else _TRAIN)
        if previous:
            for index, name in enumerate(self.names):
                side = previous.get(name)
                if side is not None:
                    self.sides[index], self.fixed[index] = _SIDES.index(side), True

    def give_every_category_a_training_row(self) -> None:
        """By the first group, in the order of the places, of each category that has none."""
        trained = self._has_training_row()
        if trained.all():
            return
        rows_by_place = numpy.lexsort((numpy.arange(len(self.category_of_row)), self.places[self.group_of_row]))
        for row in rows_by_place[~trained[self.category_of_row[rows_by_place]]].tolist():
            group = self.group_of_row[row]
            if not trained[self.category_of_row[row]] and not self.fixed[group]:
                self.sides[group] = _TRAIN
                trained[self.category_of_row[row]] = True

    def correct(self, ratios: Ratios) -> None:
        """Move what must be moved, category by category, then over all."""
        counts = self._counts()
        targets = _targets(counts.sum(axis=1), ratios)
        for stratum in numpy.flatnonzero(_uneven(counts, targets).any(axis=1)).tolist():
            self._correct(numpy.flatnonzero(self.stratum == stratum), targets[stratum])
        counts = self._counts().sum(axis=0)
        targets = _targets(counts.sum(keepdims=True), ratios)[0]
        if counts.sum() >= _MIN_ROWS_FOR_EVERY_SIDE:
            raised = numpy.where(targets > 0, numpy.maximum(targets, 1), 0)
            raised[numpy.argmax(raised)] -= (raised - targets).sum()
            targets = raised
        if _uneven(counts, targets).any():
            self._correct(numpy.arange(len(self.names)), targets)

    def _correct(self, members: NDArray[numpy.int64], targets: NDArray[numpy.float64]) -> None:
        free = members[~self.fixed[members]]
        # from the end of a side's range: the groups whose hash is nearest to the other sides
        free = free[numpy.argsort(-self.places[free], kind="stable")]
        for _ in range(2 * len(_SIDES)):
            counts = numpy.bincount(self.sides[members], weights=self.sizes[members], minlength=len(_SIDES))
            if not _uneven(counts, targets).any():
                return
            receiver, donor = int(numpy.argmax(targets - counts)), int(numpy.argmax(counts - targets))
            candidates = free[self.sides[free] == donor]
            missing, excess = targets[receiver] - counts[receiver], counts[donor] - targets[donor]
            if not self._move(candidates, receiver, float(missing), float(excess)):
                break
        for _ in range(_FINE_MOVES):
            counts = numpy.bincount(self.sides[members], weights=self.sizes[members], minlength=len(_SIDES))
            if not _uneven(counts, targets).any() or not self._move_the_best(
                free, counts.astype(numpy.float64), targets
            ):
                return

    def _move_the_best(
        self, free: NDArray[numpy.int64], counts: NDArray[numpy.float64], targets: NDArray[numpy.float64]
    ) -> bool:
        """Move the one group that brings the sides nearest to their targets: least sum of (rows - target)² / target."""
        wanted = numpy.maximum(targets, 1e-9)

        def distance(side: NDArray[numpy.int64] | int, rows: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
            return numpy.asarray((rows - targets[side]) ** 2 / wanted[side])

        in_train = numpy.bincount(self.stratum[self.sides == _TRAIN], minlength=self.strata)
        movable = free[(self.sides[free] != _TRAIN) | (in_train[self.stratum[free]] > 1)]
        sizes, donors = self.sizes[movable], self.sides[movable]
        left = distance(donors, counts[donors] - sizes) - distance(donors, counts[donors])
        best, best_change, receiver_of_best = -1, -1e-9, 0
        for receiver in numpy.flatnonzero(targets > 0).tolist():
            gained = distance(receiver, counts[receiver] + sizes) - distance(receiver, counts[receiver : receiver + 1])
            change = numpy.where(donors == receiver, 0.0, left + gained)
            if len(change) and change.min() < best_change:
                best, receiver_of_best = int(movable[numpy.argmin(change)]), receiver
                best_change = float(change.min())
        if best < 0:
            return False
        self.sides[best] = receiver_of_best
        return True

    def _move(self, candidates: NDArray[numpy.int64], receiver: int, missing: float, excess: float) -> bool:
        """Move candidates until nothing is missing or in excess: first such as fit, then any that helps."""
        in_train = numpy.bincount(self.stratum[self.sides == _TRAIN], minlength=self.strata)
        moved = False
        for must_fit in (True, False):
            for group in candidates.tolist():
                if missing < 0.5 or excess < 0.5:
                    return moved
                size, side, stratum = int(self.sizes[group]), int(self.sides[group]), int(self.stratum[group])
                helps = abs(missing - size) + abs(excess - size) < missing + excess
                fits = size <= missing + 0.5 or not must_fit
                if side == receiver or not helps or not fits or (side == _TRAIN and in_train[stratum] <= 1):
                    continue
                if side == _TRAIN:
                    in_train[stratum] -= 1
                self.sides[group] = receiver
                missing, excess, moved = missing - size, excess - size, True
        return moved

    def _counts(self) -> NDArray[numpy.int64]:
        flat = numpy.bincount(
            self.stratum * len(_SIDES) + self.sides, weights=self.sizes, minlength=self.strata * len(_SIDES)
        )
        return flat.reshape(self.strata, len(_SIDES)).astype(numpy.int64)

    def _has_training_row(self) -> NDArray[numpy.bool_]:
        trained = numpy.zeros(self.strata, dtype=bool)
        trained[self.category_of_row[self.sides[self.group_of_row] == _TRAIN]] = True
        return trained

    def _most_frequent(self, stratum_of_row: NDArray[numpy.int64]) -> NDArray[numpy.int64]:
        pairs, counts = numpy.unique(self.group_of_row * self.strata + stratum_of_row, return_counts=True)
        found = numpy.zeros(len(self.names), dtype=numpy.int64)
        # ascending counts, and of equal ones the first category last: the last assignment wins
        order = numpy.lexsort((-pairs, counts))
        found[pairs[order] // self.strata] = pairs[order] % self.strata
        return found


def _targets(rows: NDArray[numpy.int64], ratios: Ratios) -> NDArray[numpy.float64]:
    return numpy.outer(rows, _as_list(ratios))


def _uneven(counts: NDArray[numpy.int64], targets: NDArray[numpy.float64]) -> NDArray[numpy.bool_]:
    return ((counts < _LEAST * targets) | (counts > _MOST * targets)) & (targets >= 1)


def _as_list(ratios: Ratios) -> list[float]:
    return [ratios.train, ratios.validation, ratios.test]


def _numbered(names: Sequence[str]) -> tuple[list[str], NDArray[numpy.int64]]:
    """The different names in the order in which they come, and the number of each one's name."""
    numbers: dict[str, int] = {}
    places = numpy.fromiter(
        (numbers.setdefault(name, len(numbers)) for name in names), dtype=numpy.int64, count=len(names)
    )
    return list(numbers), places


def _place(group: str, seed: int) -> float:
    digest = blake2b(f"{seed}\0{group}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
