"""Train, validation and test: stratified by category, and stable while the dataset grows.

A row's side depends on its own question and the seed only: the hash of both is a number from 0 to 1, and the ratios
cut that range. So the shares hold in every category up to chance (a category of n rows misses its share r by about
sqrt(n·r·(1-r)) rows), no row ever changes sides because others came, and rows with the same question are together.
Exact quotas cannot have this: they move rows across the boundary with every row that is added.

Two exceptions, for small data: a category without any training row gives its first row in the order of the hash to
train, and a wanted side that stays empty takes a row of the largest category, once there are ten rows in all.

Rows with one source and one answer but different questions may come to different sides.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from contracts.enums import Split
from data_prep.normalisation import comparable
from data_prep.rows import Row

_MIN_ROWS_FOR_EVERY_SIDE = 10


@dataclass(frozen=True, slots=True)
class Ratios:
    """Wanted shares; they sum to one."""

    train: float
    validation: float
    test: float


def split_rows(rows: Sequence[Row], ratios: Ratios, seed: int) -> list[Split]:
    """The side of every row."""
    places = [_place(row, seed) for row in rows]
    sides = [_side(place, ratios) for place in places]
    by_place = sorted(range(len(rows)), key=lambda index: (places[index], rows[index].row_id))
    _give_every_category_a_training_row(rows, sides, by_place)
    if len(rows) >= _MIN_ROWS_FOR_EVERY_SIDE:
        for side, ratio in ((Split.TEST, ratios.test), (Split.VALIDATION, ratios.validation)):
            if ratio > 0 and side not in sides:
                _give_side_a_row(side, rows, sides, by_place)
    return sides


def _place(row: Row, seed: int) -> float:
    text = comparable(row.question) or row.question
    digest = blake2b(f"{seed}\0{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _side(place: float, ratios: Ratios) -> Split:
    if place < ratios.train:
        return Split.TRAIN
    return Split.VALIDATION if place < ratios.train + ratios.validation else Split.TEST


def _give_every_category_a_training_row(rows: Sequence[Row], sides: list[Split], by_place: list[int]) -> None:
    trained = {row.category for row, side in zip(rows, sides, strict=True) if side is Split.TRAIN}
    for index in by_place:
        if rows[index].category not in trained:
            sides[index] = Split.TRAIN
            trained.add(rows[index].category)


def _give_side_a_row(side: Split, rows: Sequence[Row], sides: list[Split], by_place: list[int]) -> None:
    in_train = Counter(row.category for row, taken in zip(rows, sides, strict=True) if taken is Split.TRAIN)
    largest, count = max(sorted(in_train.items()), key=lambda item: item[1])
    if count < 2:
        return
    candidates = [index for index in by_place if rows[index].category == largest and sides[index] is Split.TRAIN]
    sides[candidates[-1]] = side
