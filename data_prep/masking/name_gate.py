"""One pass over the characters that says where a name may stand, so that few sentences need the analyser.

Each stretch of letters between other signs is weighed by its beginning, its end and its neighbours (a logistic regression over
hashes). It was trained to let through what the name model finds.
"""

from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

from data_prep.compiled import compiled

FEATURES = 20
SLOTS = 1 << 17
SHORT = 200
"""Characters up to which a text is read whole where anything in it is marked."""
THRESHOLD_OF_SHORT, THRESHOLD_OF_LONG = -11.5, -6.8
"""Of a stretch's sum of weights. In short texts 1 % of the model's names stand where nothing is marked; in long ones 6 %, and a fifth of the
sentences of office texts is read, which is what the time of a million rows allows."""


class NameGate:
    """Marks the places worth reading, in long texts with more reserve. `weights` are (SLOTS,)."""

    def __init__(self, weights: NDArray[numpy.float32]) -> None:
        self._weights = weights

    def places(self, texts: Sequence[str]) -> list[list[int]]:
        """Of each text, where the stretches begin that may be a name or a part of one."""
        starts, slots = read_stretches(texts)
        sizes = numpy.array([len(text) for text in texts], dtype=numpy.int64)
        begins = numpy.concatenate([numpy.zeros(1, dtype=numpy.int64), numpy.cumsum(sizes + 1)])
        every = numpy.searchsorted(begins, starts, side="right") - 1
        marks = (
            self._weights[slots].sum(axis=1) > numpy.where(sizes <= SHORT, THRESHOLD_OF_SHORT, THRESHOLD_OF_LONG)[every]
        )
        marked, owners = starts[marks], every[marks]
        found: list[list[int]] = [[] for _ in texts]
        for owner, place in zip(owners.tolist(), (marked - begins[owners]).tolist(), strict=True):
            found[owner].append(place)
        return found


def read_stretches(texts: Sequence[str]) -> tuple[NDArray[numpy.int64], NDArray[numpy.uint32]]:
    """Where stretches start among the characters of all texts, one sign behind each text, and their (FEATURES) slots."""
    joined = "".join(f"{text}\n" for text in texts)
    codes = numpy.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=numpy.uint32)
    starts = numpy.zeros(len(codes) // 2 + 2, dtype=numpy.int64)
    ends = numpy.zeros(len(starts), dtype=numpy.int64)
    split_letters(codes, starts, ends)
    count = int(starts[-1])
    slots = numpy.zeros((count, FEATURES), dtype=numpy.uint32)
    hash_stretches(codes, starts[:count], ends[:count], slots, SLOTS - 1)
    return starts[:count], slots


@compiled("u4[]", "i8[]!", "i8[]!")
def split_letters(codes: NDArray[numpy.uint32], starts: NDArray[numpy.int64], ends: NDArray[numpy.int64]) -> None:
    """Fill in where stretches of Hangul or Latin letters start and end; how many there are stands last in `starts`."""
    number, inside = 0, False
    for place in range(len(codes)):
        code = codes[place]
        letter = 0xAC00 <= code <= 0xD7A3 or 0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A
        if letter and not inside:
            starts[number] = place
        elif inside and not letter:
            ends[number] = place
            number += 1
        inside = letter
    starts[-1] = number


@compiled("u4[]", "i8[]", "i8[]", "u4[][]!", "i8")
def hash_stretches(
    codes: NDArray[numpy.uint32],
    starts: NDArray[numpy.int64],
    ends: NDArray[numpy.int64],
    slots: NDArray[numpy.uint32],
    last_slot: int,
) -> None:
    """Fill the slots of each stretch's features. A line feed parts texts: there are no neighbours beyond it."""
    factor, shift, mask = numpy.uint64(0x9E3779B97F4A7C15), numpy.uint64(31), numpy.uint64(last_slot)
    nothing = numpy.uint64(1)
    count = len(starts)
    # by stretch: its first 1 to 4 letters, all of it, its last 1 and 2, its length, the signs on both sides
    parts = numpy.zeros((count, 10), dtype=numpy.uint64)
    for number in range(count):
        first, end = starts[number], ends[number]
        mixed = nothing
        for place in range(first, min(end, first + 12)):
            mixed = (mixed ^ numpy.uint64(codes[place])) * factor
            mixed ^= mixed >> shift
            if place - first < 4:
                parts[number, place - first] = mixed
        for size in range(end - first, 4):
            parts[number, size] = nothing
        parts[number, 4] = mixed
        parts[number, 5] = numpy.uint64(codes[end - 1])
        parts[number, 6] = numpy.uint64(codes[max(first, end - 2)]) * factor + numpy.uint64(codes[end - 1])
        parts[number, 7] = numpy.uint64(min(end - first, 7))
        parts[number, 8] = numpy.uint64(codes[first - 1]) if first > 0 else numpy.uint64(10)
        parts[number, 9] = numpy.uint64(codes[end])
    for number in range(count):
        own = parts[number]
        # 11 to 14: whole, first two letters behind; whole, last two letters before
        behind_all, behind_two, before_all, before_two = nothing, nothing, nothing, nothing
        if own[9] != numpy.uint64(10) and number + 1 < count:
            behind_all, behind_two = parts[number + 1, 4], parts[number + 1, 1]
        if own[8] != numpy.uint64(10) and number > 0:
            before_all, before_two = parts[number - 1, 4], parts[number - 1, 6]
        for feature in range(20):
            if feature < 7:
                mixed = own[feature]
            elif feature == 7:
                mixed = own[7] * factor + own[5]
            elif feature == 8:
                mixed = own[0] + own[7]
            elif feature == 9:
                mixed = own[2] * factor + own[5]
            elif feature == 10:
                mixed = own[2] * factor + own[7]
            elif feature == 11:
                mixed = behind_all
            elif feature == 12:
                mixed = behind_two
            elif feature == 13:
                mixed = before_all
            elif feature == 14:
                mixed = before_two
            elif feature == 15:
                mixed = own[8] * factor + own[9]
            elif feature == 16:
                mixed = behind_two * factor + own[0]
            elif feature == 17:
                mixed = before_two * factor + own[0]
            elif feature == 18:
                mixed = own[1] * factor + own[7]
            else:
                mixed = behind_all * factor + own[7]
            mixed = (mixed + numpy.uint64(feature + 1)) * factor
            mixed ^= mixed >> shift
            mixed *= factor
            slots[number, feature] = numpy.uint32((mixed >> shift) & mask)
