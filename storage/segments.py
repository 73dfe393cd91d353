"""A stored file that arrives in pieces: a folder of segments, each whole or absent, read again as one stream.

A segment is `<first byte>-<bytes>.segment`. Whoever is killed while writing loses the segment at hand, and nothing of
those before.
"""

import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from storage.seekable_reader import SeekableReader
from storage.stored_files import create_stored, open_stored

SEGMENT_BYTES = 16 << 20
_NAME = re.compile(r"^(\d{15})-(\d{15})\.segment$")
_ARRIVING = ".arriving"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the file."""

    path: Path
    first: int
    size: int


def segments(folder: Path) -> list[Segment]:
    """Those that are whole and follow each other from the beginning, in their order."""
    found = sorted(
        (Segment(path, int(match[1]), int(match[2])) for path in folder.iterdir() if (match := _NAME.match(path.name))),
        key=lambda segment: segment.first,
    )
    place = 0
    for count, segment in enumerate(found):
        if segment.first != place:
            return found[:count]
        place += segment.size
    return found


def received_bytes(folder: Path) -> int:
    """Of the whole segments."""
    return sum(segment.size for segment in segments(folder))


def arriving_bytes(folder: Path) -> int:
    """About so many bytes of the next segment are on the disk: they are lost where its writer is killed."""
    found = 0
    for path in folder.glob(f".*{_ARRIVING}*"):
        with suppress(FileNotFoundError):  # it has just become a segment
            found += path.stat().st_size
    return found


def remove_segments(folder: Path) -> None:
    """Remove the whole segments and what a killed writer left."""
    for path in folder.iterdir():
        if _NAME.match(path.name) or _ARRIVING in path.name:
            path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed writer left; for who knows that nobody writes."""
    for path in folder.iterdir():
        if _ARRIVING in path.name:
            path.unlink(missing_ok=True)


class SegmentWriter:
    """Goes on where the segments end. `close` keeps what has arrived, also of a segment that is not full."""

    def __init__(self, folder: Path, before_segment: Callable[[], None] = lambda: None) -> None:
        """`before_segment` is called before each; what it raises ends the writing."""
        self._folder = folder
        self._before_segment = before_segment
        self.place = received_bytes(folder)
        self._first = self.place
        self._stack: ExitStack | None = None
        self._stream: BinaryIO | None = None

    def write(self, content: bytes) -> None:
        """Take all of the bytes."""
        with memoryview(content) as view:
            start = 0
            while start < len(view):
                stream = self._stream or self._begin()
                taken = view[start : start + self._first + SEGMENT_BYTES - self.place]
                stream.write(taken)
                start += len(taken)
                self.place += len(taken)
                if self.place - self._first == SEGMENT_BYTES:
                    self.close()

    def close(self) -> None:
        """Keep the segment at hand."""
        if self._stack is None:
            return
        self._stack.close()
        self._stack = self._stream = None
        path = self._arriving()
        path.rename(self._folder / f"{self._first:015d}-{self.place - self._first:015d}.segment")
        self._first = self.place

    def _arriving(self) -> Path:
        return self._folder / f".{self._first:015d}{_ARRIVING}"

    def _begin(self) -> BinaryIO:
        self._before_segment()
        self._stack = ExitStack()
        self._stream = self._stack.enter_context(create_stored(self._arriving()))
        return self._stream


class SegmentReader(SeekableReader):
    """The segments as one readable, seekable stream; one of them is open at a time."""

    def __init__(self, folder: Path) -> None:
        self._segments = segments(folder)
        self.size = sum(segment.size for segment in self._segments)
        self._open: Segment | None = None
        self._stream: BinaryIO | None = None

    def _piece(self, most: int) -> bytes:
        segment = self._segment()
        stream = self._opened(segment)
        offset = self._place - segment.first
        stream.seek(offset)
        piece = stream.read(min(most, segment.size - offset))
        if not piece:
            raise OSError(f"{segment.path} is shorter than it says")
        return piece

    def close(self) -> None:
        """Close what is open."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        super().close()

    def _segment(self) -> Segment:
        if self._open is not None and self._open.first <= self._place < self._open.first + self._open.size:
            return self._open
        return next(one for one in reversed(self._segments) if one.first <= self._place)

    def _opened(self, segment: Segment) -> BinaryIO:
        if self._stream is None or self._open != segment:
            if self._stream is not None:
                self._stream.close()
            self._stream, self._open = open_stored(segment.path), segment
        return self._stream
