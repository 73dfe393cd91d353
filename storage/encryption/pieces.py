"""Encrypted pieces in a file that grows: what a crash has cut off does not spoil the pieces around it.

tw2:<4 bytes: how many follow><the piece, as ValueCipher.seal_bytes has made it>
"""

from collections.abc import Iterator
from dataclasses import dataclass

MARK = b"tw2:"
_LENGTH_BYTES = 4
_HEAD_BYTES = len(MARK) + _LENGTH_BYTES


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the file."""

    content: bytes
    """Without its head; of a damaged piece all that there is."""
    is_whole: bool


def framed(sealed: bytes) -> bytes:
    """The piece with its head."""
    return b"%b%b%b" % (MARK, len(sealed).to_bytes(_LENGTH_BYTES), sealed)


def pieces_of(written: bytes) -> Iterator[Piece]:
    """All of the file, in its order."""
    start = 0
    while start < len(written):
        begins = start + _HEAD_BYTES
        ends = begins + int.from_bytes(written[start + len(MARK) : begins])
        is_marked = written.startswith(MARK, start)
        if is_marked and (ends == len(written) or written.startswith(MARK, ends)):
            yield Piece(written[begins:ends], is_whole=True)
        else:
            ends = written.find(MARK, start + 1)
            ends = len(written) if ends < 0 else ends
            yield Piece(written[start:ends], is_whole=False)
        start = ends
