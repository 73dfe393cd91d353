"""Cuts a stream into chunks by its content: what is inserted or removed changes the chunks around it, not those behind.

FastCDC with normalised chunking (Xia et al.: FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data
Deduplication, USENIX ATC 2016). The table of random numbers comes from the repository's key, so that the sizes of the chunks
do not tell which well-known file a repository holds.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

import numpy as np

from data_prep.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MIN_BYTES = 1024 * 1024
AVERAGE_BYTES = 4 * 1024 * 1024
MAX_BYTES = 16 * 1024 * 1024
READ_BYTES = 2 * MAX_BYTES
_BITS = AVERAGE_BYTES.bit_length() - 1
# the highest bits: they depend on the last 64 bytes, the lowest ones on the last few only
_STRICT_MASK = ((1 << (_BITS + 2)) - 1) << (64 - _BITS - 2)
"""Before the average size: a cut is four times less likely."""
_LOOSE_MASK = ((1 << (_BITS - 2)) - 1) << (64 - _BITS + 2)
"""Behind it: four times more likely."""


class Readable(Protocol):
    """What can be read piece by piece."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


def gear_table(key: bytes) -> NDArray[np.uint64]:
    """256 random numbers of 64 bits from the key."""
    return np.frombuffer(hashlib.shake_256(key).digest(256 * 8), np.uint64)


def content_chunks(stream: Readable, gear: NDArray[np.uint64]) -> Iterator[bytes]:
    """The stream's bytes in chunks of MIN_BYTES to MAX_BYTES, the last one shorter; nothing for an empty stream."""
    held, place, at_end = b"", 0, False
    while True:
        while not at_end and len(held) - place < MAX_BYTES:
            piece = stream.read(READ_BYTES)
            at_end = not piece
            held, place = held[place:] + piece, 0
        end = min(len(held) - place, MAX_BYTES)
        if not end:
            return
        if end > MIN_BYTES:
            content = np.frombuffer(held, np.uint8, count=end, offset=place)
            end = _cut(content, gear, MIN_BYTES, min(AVERAGE_BYTES, end), _STRICT_MASK, _LOOSE_MASK)
        yield held[place : place + end]
        place += end


@compiled("u1[]", "u8[]", "i8", "i8", "u8", "u8")
def _cut(
    content: NDArray[np.uint8], gear: NDArray[np.uint64], least: int, average: int, strict: int, loose: int
) -> int:
    """Where the first chunk of the content ends."""
    fingerprint = np.uint64(0)
    for place in range(least, len(content)):
        fingerprint = (fingerprint << np.uint64(1)) + gear[content[place]]
        if fingerprint & (strict if place < average else loose) == 0:
            return place + 1
    return len(content)
