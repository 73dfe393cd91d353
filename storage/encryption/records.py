"""An encrypted file that grows: the container's header, then records, each whole and authenticated by itself.

    4 length of what follows | 12 nonce | AES-256-GCM of the record, 16 bytes of tag;
        authenticated data = the header's fixed part ‖ the record's place in the file, 8 bytes

A record that was changed, moved or left out in the middle is refused. A cut end is not: it is what a kill leaves, and
whoever writes next cuts off the rest of the last record. Keys are rotated and erased as those of any container.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.encryption.container import (
    AES_256_GCM,
    HEADER_BYTES,
    MAGIC,
    MIN_CHUNK_BYTES,
    RECORDS_FORMAT,
    SALT_BYTES,
    TAG_BYTES,
    FileKeys,
    Header,
    damaged,
    fixed_part,
    opened_header,
)

_NONCE_BYTES, _LENGTH_BYTES = 12, 4


class RecordCipher:
    """Seals and opens the records of one file; the caller reads and writes their bytes."""

    def __init__(self, path: Path, fixed: bytes, key: bytes) -> None:
        self._path, self._fixed, self._cipher = path, fixed, AESGCM(key)

    def seal(self, record: bytes, place: int) -> bytes:
        """The bytes that stand at this place of the file."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, record, self._bound(place))
        return len(sealed).to_bytes(_LENGTH_BYTES) + sealed

    def open(self, stored: bytes, place: int) -> bytes:
        """The record that `seal` made for this place. Raises DamagedFileError."""
        sealed = stored[_LENGTH_BYTES:]
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._bound(place))
        except (InvalidTag, ValueError) as error:
            raise damaged(self._path, f"the record at byte {place} is not what was written") from error

    def stored_records(self, descriptor: int) -> Iterator[tuple[int, bytes]]:
        """Place and bytes of every whole record, in their order."""
        place = HEADER_BYTES
        while len(length := os.pread(descriptor, _LENGTH_BYTES, place)) == _LENGTH_BYTES:
            size = int.from_bytes(length)
            if size == 0:  # a power cut: the file grew, its bytes did not come
                return
            if size < _NONCE_BYTES + TAG_BYTES:
                raise damaged(self._path, f"the record at byte {place} is not what was written")
            sealed = os.pread(descriptor, size, place + _LENGTH_BYTES)
            if len(sealed) < size:
                return
            yield place, length + sealed
            place += _LENGTH_BYTES + size

    def _bound(self, place: int) -> bytes:
        return self._fixed + place.to_bytes(8)


def new_records(descriptor: int, path: Path, keys: FileKeys, scope: str) -> RecordCipher:
    """Begin the file anew, its header flushed to the disk."""
    salt = os.urandom(SALT_BYTES)
    fixed = fixed_part(AES_256_GCM, MIN_CHUNK_BYTES, salt, scope, RECORDS_FORMAT)
    key, slot = keys.new_file_key(scope, fixed)
    header = Header(AES_256_GCM, MIN_CHUNK_BYTES, salt, scope, slot, RECORDS_FORMAT)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, header.packed(), 0)
    os.fsync(descriptor)
    return RecordCipher(path, fixed, key)


def open_records(descriptor: int, path: Path, keys: FileKeys) -> RecordCipher:
    """Of a file that is there. Raises DamagedFileError or KeyUnavailableError."""
    header, key = opened_header(descriptor, path, keys)
    if header.format != RECORDS_FORMAT:
        raise damaged(path, "it holds no records")
    return RecordCipher(path, header.fixed, key)


def was_never_begun(start: bytes, size: int) -> bool:
    """Nothing, or a part of a header, which a kill has left."""
    return size < HEADER_BYTES and MAGIC.startswith(start[: len(MAGIC)])
