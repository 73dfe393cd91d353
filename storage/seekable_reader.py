"""A stream over content that lies in pieces: readable and seekable, whatever a piece is."""

import os
from abc import abstractmethod
from io import RawIOBase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SeekableReader(RawIOBase):
    """What the streams of segments and of encrypted chunks share."""

    size = 0
    """Bytes of the whole content."""
    _place = 0

    @abstractmethod
    def _piece(self, most: int) -> bytes:
        """Between one and `most` bytes of the content from `_place` on; the content goes on there."""

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; behind the end nothing is read."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"there is no place {start + offset}")
        self._place = start + offset
        return self._place

    def readinto(self, target: "WriteableBuffer") -> int:
        """Fill the target, up to the content's end."""
        if self.closed:
            raise ValueError("read of a closed file")
        with memoryview(target).cast("B") as view:
            wanted = min(len(view), max(self.size - self._place, 0))
            filled = 0
            while filled < wanted:
                piece = self._piece(wanted - filled)
                view[filled : filled + len(piece)] = piece
                filled += len(piece)
                self._place += len(piece)
        return filled
