"""The signs that a key gives to the weights of a tensor: an AES-256-CTR key stream, a bit a weight."""

import hashlib
from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

BAND_VALUES = 1 << 22
"""Signs made at a time for a matrix."""


class SignStream:
    """The signs of one tensor, in the order of its values, a block at a time.

    Its counter begins at a hash of the tensor's name, so no two tensors share signs.
    """

    def __init__(self, key: bytes, name: str) -> None:
        start = hashlib.sha256(b"tuneway watermark signs\0" + name.encode()).digest()[:16]
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()

    def take(self, count: int) -> NDArray[np.float32]:
        """The next `count` signs, +1 or -1. Take multiples of eight, except the last time."""
        stream = np.frombuffer(self._encryptor.update(bytes(-(-count // 8))), dtype=np.uint8)
        bits = np.unpackbits(stream, count=count)
        return bits.astype(np.float32) * np.float32(2) - np.float32(1)

    def bands(self, rows: int, columns: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """All signs of a matrix, some rows at a time, each with which rows they are."""
        band = max(8, BAND_VALUES // columns // 8 * 8)
        for begin in range(0, rows, band):
            end = min(begin + band, rows)
            yield slice(begin, end), self.take((end - begin) * columns).reshape(end - begin, columns)
