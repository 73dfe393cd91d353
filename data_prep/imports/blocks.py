"""The bytes and the text of a file in blocks: unpacked on the way, never the whole file at once."""

import codecs
import contextlib
import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader, RawIOBase
from queue import Full, Queue
from threading import Event, Thread
from typing import BinaryIO, cast

from contracts.errors import CapacityError, InvalidDataError
from data_prep.imports.input_files import InputFile
from storage.encryption.scratch import sealed_scratch

BLOCK_BYTES = 1 << 20
_ZSTD_INPUT_BYTES = 2048
"""Read at once from a zstd file: even a bomb makes 64 MB of it at most (4 bytes can stand for 128 KiB)."""
_BLOCKS_AHEAD = 4
_SCRATCH_FLOOR_BYTES = 10**9


class ByteBlocks:
    """The unpacked bytes of a file, block by block, with the place in the file for a progress bar."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._position = 0

    def position(self) -> int:
        """Bytes of the file, as it lies on the disk, that were read."""
        return self._position

    def __iter__(self) -> Iterator[bytes]:
        if self._file.compression is None:
            yield from self._plain()
        else:
            # unpacking runs beside the reading of rows: zlib and zstd leave the interpreter free meanwhile
            yield from _read_ahead(self._unpacked())

    def _plain(self) -> Iterator[bytes]:
        with self._file.opened() as stream:
            while block := stream.read(BLOCK_BYTES):
                self._position = stream.tell()
                yield block

    def _unpacked(self) -> Iterator[bytes]:
        import zstandard

        try:
            with BufferedReader(cast("RawIOBase", self._file.opened())) as stream:
                blocks = _gzip_blocks(stream) if self._file.compression == "gzip" else _zstd_blocks(stream)
                unpacked = 0
                for block in blocks:
                    self._position = stream.tell()
                    unpacked += len(block)
                    self._file.require_unpacked(unpacked)
                    yield block
        except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
            raise InvalidDataError(
                f"The compressed file is damaged or cut off ({self._file.compression})",
                value=self._file.name,
                allowed="a whole .gz or .zst file",
                next_step="copy or compress it again",
            ) from error


def _gzip_blocks(stream: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as unpacked:
        while block := unpacked.read(BLOCK_BYTES):
            yield block


def _zstd_blocks(stream: BinaryIO) -> Iterator[bytes]:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frame = decompressor.decompressobj()
    begun = False
    waiting: list[bytes] = []
    size = 0
    while given := stream.read(_ZSTD_INPUT_BYTES):
        while given:
            block = frame.decompress(given)
            begun = True
            waiting.append(block)
            size += len(block)
            given = b""
            if frame.eof:
                given = frame.unused_data
                frame = decompressor.decompressobj()
                begun = False
        if size >= BLOCK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if begun:
        raise EOFError("the last zstd frame has no end")
    if size:
        yield b"".join(waiting)


def _read_ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks, made by a thread that is a few of them ahead."""
    ready: Queue[bytes | Exception | None] = Queue(_BLOCKS_AHEAD)
    stopped = Event()

    def put(item: bytes | Exception | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(Full):
                ready.put(item, timeout=0.1)
                return

    def make() -> None:
        try:
            for block in blocks:
                put(block)
                if stopped.is_set():
                    return
            put(None)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that reads
            put(error)

    thread = Thread(target=make, name="unpacking", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def text_blocks(blocks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """The decoded text, cut anywhere. Each byte that does not fit becomes a lone surrogate, as by `surrogateescape`."""
    decoder = codecs.getincrementaldecoder(encoding)(_KEEP_BYTES)
    for block in blocks:
        if text := decoder.decode(block):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def _keep_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    """Like `surrogateescape`, which gives up where bytes below 128 are in the wrong place (UTF-16)."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


_KEEP_BYTES = "tuneway-keep-bytes"
codecs.register_error(_KEEP_BYTES, _keep_bytes)


@contextlib.contextmanager
def seekable(file: InputFile) -> Iterator[BinaryIO]:
    """The file for a reader that jumps about in it; a compressed one is unpacked first, to a file that only we can read."""
    if file.compression is None:
        with BufferedReader(cast("RawIOBase", file.opened())) as stream:
            yield stream
        return

    def check_room(number: int) -> None:
        if number % 64 == 0 and (free := shutil.disk_usage(tempfile.gettempdir()).free) < _SCRATCH_FLOOR_BYTES:
            raise CapacityError(
                f"The disk of {tempfile.gettempdir()} has too little room to unpack {file.name}",
                value=f"{free / 1e9:.2f} GB free",
                allowed=f"at least {_SCRATCH_FLOOR_BYTES / 1e9:g} GB left",
                next_step="free space, or unpack the file yourself",
            )

    with sealed_scratch(ByteBlocks(file), check_room) as unpacked:
        yield unpacked
