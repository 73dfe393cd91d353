"""An encrypted file: AES-256-GCM in chunks, each bound to its place, the last one marked as the last.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance, CRYPTO 2015) with a key of its own for each file:

    header, 256 bytes
        fixed part, 152 bytes, authenticated with every chunk:
            8 magic | 1 format | 1 suite | 4 chunk size | 7 salt | 1 length of the scope | 130 scope, padded with zeros
        key slot, 76 bytes: 16 id of the scope's key | 60 the file's key, wrapped by it (bound to the fixed part)
        28 zeros
    chunks: AES-256-GCM of `chunk size` bytes (fewer in the last one), 16 bytes of tag each;
        nonce = salt ‖ number of the chunk, 4 bytes ‖ 1 for the last one, else 0; authenticated data = the fixed part

A flipped bit, a cut end, chunks in another order, bytes at the end and an edited header are all refused. The key slot can be
written anew without touching the rest, which is how keys are rotated; it lies in the first 512 bytes of the file, which
disks write whole (PostgreSQL's pg_control relies on the same).
"""

import os
import struct
import uuid
from dataclasses import dataclass, replace
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.errors import DamagedFileError
from storage.files import fsync_path
from storage.seekable_reader import SeekableReader

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAGIC = b"\x89TWENC\r\n"
FORMAT = 1
RECORDS_FORMAT = 2
"""The same header over records that are added one by one: `records.py`."""
AES_256_GCM, ARIA_256_GCM = 1, 2
"""Suites. The second is kept free for a validated Korean module; nothing here writes or reads it."""
CHUNK_BYTES = 256 * 1024
MIN_CHUNK_BYTES, MAX_CHUNK_BYTES = 64, 2**24
KEY_BYTES, TAG_BYTES, SALT_BYTES, KEY_ID_BYTES = 32, 16, 7, 16
WRAPPED_BYTES = 12 + KEY_BYTES + TAG_BYTES
MAX_SCOPE_BYTES = 130
HEADER_BYTES = 256
_FIXED = struct.Struct(f">8sBBI{SALT_BYTES}sB{MAX_SCOPE_BYTES}s")
FIXED_BYTES = _FIXED.size
_SLOT_END = FIXED_BYTES + KEY_ID_BYTES + WRAPPED_BYTES


@dataclass(frozen=True, slots=True)
class Slot:
    """Whose key opens the file: what a rotation of keys writes anew."""

    key_id: bytes
    """Of the scope's key, 16 bytes."""
    wrapped: bytes
    """The file's key, encrypted by the scope's, 60 bytes."""


class FileKeys(Protocol):
    """Who makes and opens the keys of files."""

    def new_file_key(self, scope: str, bound: bytes) -> tuple[bytes, Slot]:
        """A fresh key of 32 bytes, and its slot bound to these bytes."""
        ...

    def file_key(self, scope: str, slot: Slot, bound: bytes) -> bytes:
        """The key in the slot. Raises KeyUnavailableError, or DamagedFileError where the slot was edited."""
        ...


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the chunks."""

    suite: int
    chunk_bytes: int
    salt: bytes
    scope: str
    slot: Slot
    format: int = FORMAT

    @property
    def fixed(self) -> bytes:
        """The part that never changes: authenticated with every chunk, and with the wrapped key."""
        return fixed_part(self.suite, self.chunk_bytes, self.salt, self.scope, self.format)

    def packed(self) -> bytes:
        """The 256 bytes."""
        return (self.fixed + self.slot.key_id + self.slot.wrapped).ljust(HEADER_BYTES, b"\0")


def fixed_part(suite: int, chunk_bytes: int, salt: bytes, scope: str, file_format: int = FORMAT) -> bytes:
    """The header without its key slot."""
    name = scope.encode()
    if len(name) > MAX_SCOPE_BYTES:
        raise ValueError(f"the scope {scope!r} is longer than {MAX_SCOPE_BYTES} bytes")
    return _FIXED.pack(MAGIC, file_format, suite, chunk_bytes, salt, len(name), name)


def is_encrypted(path: Path) -> bool:
    """Whether the file begins as a container does."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def stored_format(path: Path) -> int:
    """FORMAT or RECORDS_FORMAT. Raises DamagedFileError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_header(descriptor, path).format
    finally:
        os.close(descriptor)


def read_header(descriptor: int, path: Path) -> Header:
    """The header, checked as far as it can be without a key. Raises DamagedFileError."""
    packed = os.pread(descriptor, HEADER_BYTES, 0)
    if len(packed) < HEADER_BYTES or packed[: len(MAGIC)] != MAGIC:
        raise damaged(path, "its header is cut off" if packed[: len(MAGIC)] == MAGIC else "it has no header")
    _, version, suite, chunk_bytes, salt, length, name = _FIXED.unpack(packed[:FIXED_BYTES])
    if version not in {FORMAT, RECORDS_FORMAT}:
        raise damaged(path, f"format {version} is not known here")
    if suite != AES_256_GCM:
        raise damaged(path, f"cipher suite {suite} is not known here")
    if not MIN_CHUNK_BYTES <= chunk_bytes <= MAX_CHUNK_BYTES or length > MAX_SCOPE_BYTES:
        raise damaged(path, "its header was changed")
    if any(name[length:]) or any(packed[_SLOT_END:]):
        raise damaged(path, "its header was changed")
    try:
        scope = name[:length].decode()
    except UnicodeDecodeError as error:
        raise damaged(path, "its header was changed") from error
    slot = Slot(packed[FIXED_BYTES : FIXED_BYTES + KEY_ID_BYTES], packed[FIXED_BYTES + KEY_ID_BYTES : _SLOT_END])
    return Header(suite, chunk_bytes, salt, scope, slot, version)


def opened_header(descriptor: int, path: Path, keys: FileKeys) -> tuple[Header, bytes]:
    """The header and the file's key. Raises DamagedFileError or KeyUnavailableError."""
    header = read_header(descriptor, path)
    try:
        return header, keys.file_key(header.scope, header.slot, header.fixed)
    except DamagedFileError as error:
        # a rotation may have written the slot while it was read
        again = read_header(descriptor, path)
        if again.slot == header.slot:
            raise damaged(path, "its header was changed") from error
        return again, keys.file_key(again.scope, again.slot, again.fixed)


def write_slot(path: Path, header: Header, slot: Slot) -> None:
    """Replace the key slot in place and flush it to the disk; nothing else of the file is written."""
    mode = path.stat().st_mode
    if not mode & 0o200:
        path.chmod(mode | 0o200)
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        changed = replace(header, slot=slot)
        # the whole header in one write of less than a sector
        os.pwrite(descriptor, changed.packed(), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        path.chmod(mode)


class EncryptedWriter(RawIOBase):
    """A file being encrypted: one chunk in memory, a temporary name until it is closed, then the whole file at once.

    Left by an exception in a `with` block, or never closed, it leaves the old file as it was.
    """

    def __init__(
        self, path: Path, keys: FileKeys, scope: str, *, chunk_bytes: int = CHUNK_BYTES, mode: int = 0o600
    ) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        self._salt = os.urandom(SALT_BYTES)
        self._fixed = fixed_part(AES_256_GCM, chunk_bytes, self._salt, scope)
        key, slot = keys.new_file_key(scope, self._fixed)
        self._cipher = AESGCM(key)
        self._chunk_bytes = chunk_bytes
        self._waiting = bytearray()
        self._chunks, self._taken = 0, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        self._stream = os.fdopen(descriptor, "wb", buffering=0)
        try:
            self._put(Header(AES_256_GCM, chunk_bytes, self._salt, scope, slot).packed())
        except BaseException:
            self.abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Bytes taken so far."""
        return self._taken

    def write(self, content: "ReadableBuffer") -> int:
        """Take all of the bytes."""
        if self.closed:
            raise ValueError("write to a closed file")
        with memoryview(content).cast("B") as view:
            size, start = len(view), 0
            # the last chunk is known as such only when the file is closed: one is always kept back
            while len(self._waiting) + size - start > self._chunk_bytes:
                take = self._chunk_bytes - len(self._waiting)
                self._waiting += view[start : start + take]
                start += take
                self._put_chunk(is_last=False)
            self._waiting += view[start:]
        self._taken += size
        return size

    def close(self) -> None:
        """Write the last chunk, flush to the disk, and take the name."""
        if self.closed:
            return
        try:
            self._put_chunk(is_last=True)
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._temporary.replace(self._path)
            fsync_path(self._path.parent)
        except BaseException:
            self.abandon()
            raise
        super().close()

    def abandon(self) -> None:
        """Leave nothing of what was written."""
        if self.closed:
            return
        self._stream.close()
        self._temporary.unlink(missing_ok=True)
        super().close()

    def __del__(self) -> None:
        # RawIOBase would close, and so keep, a file that nobody finished
        if hasattr(self, "_stream"):
            self.abandon()

    def _put_chunk(self, *, is_last: bool) -> None:
        if self._chunks >= 2**32:
            raise ValueError("the file has too many chunks")
        nonce = _nonce(self._salt, self._chunks, is_last=is_last)
        self._put(self._cipher.encrypt(nonce, self._waiting, self._fixed))
        self._chunks += 1
        self._waiting.clear()

    def _put(self, content: bytes) -> None:
        written = 0
        while written < len(content):
            written += self._stream.write(content[written:]) or 0


class EncryptedReader(SeekableReader):
    """An encrypted file as a readable, seekable one. In memory is the chunk read last.

    The last chunk is authenticated when the file is opened, so that a cut end is seen before anything was read; each
    other chunk before a byte of it is given out. Raises DamagedFileError or KeyUnavailableError.
    """

    def __init__(self, path: Path, keys: FileKeys) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.header, key = opened_header(self._descriptor, path, keys)
            if self.header.format != FORMAT:
                raise damaged(path, "it holds records, and is read by them")
            self._fixed = self.header.fixed
            self._cipher = AESGCM(key)
            self._number = -1
            self._chunk = b""
            body = os.fstat(self._descriptor).st_size - HEADER_BYTES
            stride = self.header.chunk_bytes + TAG_BYTES
            self._chunks = -(-body // stride)
            rest = body - (self._chunks - 1) * stride
            # an empty last chunk is written for an empty file only
            if self._chunks < 1 or rest < TAG_BYTES + (self._chunks > 1):
                raise damaged(path, "its end is cut off")
            self.size = body - self._chunks * TAG_BYTES
            self._load(self._chunks - 1)
        except BaseException:
            os.close(self._descriptor)
            super().close()
            raise

    def _piece(self, most: int) -> bytes:
        number, offset = divmod(self._place, self.header.chunk_bytes)
        if number != self._number:
            self._load(number)
        return self._chunk[offset : offset + most]

    def close(self) -> None:
        """Close the file and forget what is in memory."""
        if not self.closed:
            os.close(self._descriptor)
            self._chunk = b""
        super().close()

    def _load(self, number: int) -> None:
        stride = self.header.chunk_bytes + TAG_BYTES
        sealed = os.pread(self._descriptor, stride, HEADER_BYTES + number * stride)
        nonce = _nonce(self.header.salt, number, is_last=number == self._chunks - 1)
        try:
            self._chunk = self._cipher.decrypt(nonce, sealed, self._fixed)
        except InvalidTag as error:
            raise damaged(self._path, f"chunk {number + 1} of {self._chunks} is not what was written") from error
        self._number = number


def _nonce(salt: bytes, number: int, *, is_last: bool) -> bytes:
    return salt + number.to_bytes(4) + (b"\x01" if is_last else b"\x00")


def damaged(path: Path, why: str) -> DamagedFileError:
    """The error of a file that is not what was written."""
    return DamagedFileError(
        f"The encrypted file cannot be read: {why}",
        value=path,
        allowed="a file as this installation wrote it",
        next_step="restore it from a backup, or make it again; if nobody should have touched it, look at who did",
    )
