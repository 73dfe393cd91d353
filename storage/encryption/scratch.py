"""A file for the time of its use only, encrypted by a key that is never written down: after a kill nobody can read it."""

import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from storage.encryption.container import (
    KEY_BYTES,
    KEY_ID_BYTES,
    WRAPPED_BYTES,
    EncryptedReader,
    EncryptedWriter,
    Slot,
)

_BUFFER_BYTES = 2**16


class _OneKey:
    """Keeps the only file's key in memory; its slot is empty."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)

    def new_file_key(self, _scope: str, _bound: bytes) -> tuple[bytes, Slot]:
        return self._key, Slot(bytes(KEY_ID_BYTES), bytes(WRAPPED_BYTES))

    def file_key(self, _scope: str, _slot: Slot, _bound: bytes) -> bytes:
        return self._key


@contextmanager
def sealed_scratch(pieces: Iterable[bytes], before_piece: Callable[[int], None] = lambda _: None) -> Iterator[BinaryIO]:
    """The pieces, one after the other, as a seekable stream below the system's temporary folder.

    `before_piece` is told each piece's number; what it raises ends the writing.
    """
    keys = _OneKey()
    with tempfile.TemporaryDirectory(prefix="tuneway-scratch-") as folder:
        path = Path(folder) / "sealed"
        with EncryptedWriter(path, keys, "scratch") as out:
            for number, piece in enumerate(pieces):
                before_piece(number)
                out.write(piece)
        with BufferedReader(EncryptedReader(path, keys), _BUFFER_BYTES) as stream:
            yield cast("BinaryIO", stream)
