"""Single values, such as a column of a row or a piece of a journal, encrypted by AES-256-GCM and bound to their place.

    tw1:<base64 of: 16 id of the scope's key | 16 salt | 12 nonce | the value, encrypted, and 16 of tag>

Values of before have the other alphabet of base64, that of URLs, and open as well.

The key is the scope's, derived with the salt (RFC 5869). Each process draws a salt of its own, so that no key sees more
values than random nonces of 96 bits allow (2^32).
"""

import base64
import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pybase64 import b64encode_as_string

from contracts.errors import DamagedFileError
from storage.encryption.container import KEY_ID_BYTES, TAG_BYTES
from storage.encryption.keyring import Keyring

PREFIX = "tw1:"
_SALT_BYTES, _NONCE_BYTES = 16, 12
_KEY_BYTES = KEY_ID_BYTES + _SALT_BYTES
"""Which key, and the salt by which it was derived."""
_MIN_BYTES = _KEY_BYTES + _NONCE_BYTES + TAG_BYTES
_LOOK_SECONDS = 1.0
"""How long a process may go on sealing by a key that another one has replaced or erased."""
_KEPT_CIPHERS = 256
"""Of processes that wrote before: what one reader meets."""


class ValueCipher:
    """Encrypts and decrypts the values of one scope."""

    def __init__(self, keyring: Keyring, scope: str) -> None:
        self._keyring, self._scope = keyring, scope
        self._bound_by = f"{scope}\0".encode()
        self._salt = os.urandom(_SALT_BYTES)
        self._sealing: tuple[float, bytes, AESGCM] | None = None
        self._cipher_of = lru_cache(_KEPT_CIPHERS)(self._new_cipher)

    def seal(self, value: bytes, context: str) -> str:
        """The value as ASCII text. `context` is its place, such as a table, a column and a row: it opens nowhere else."""
        return self.seal_all([(context, value)])[0]

    def seal_all(self, values: Sequence[tuple[str, bytes]], begins: str = "") -> list[str]:
        """Many values at once, each behind its place; `begins` is how all of these places begin."""
        before, cipher = self._current()
        encrypt, bound_by = cipher.encrypt, self._bound(begins)
        nonces = os.urandom(_NONCE_BYTES * len(values))
        sealed = []
        start = 0
        for place, value in values:
            nonce = nonces[start : start + _NONCE_BYTES]
            start += _NONCE_BYTES
            packed = before + nonce + encrypt(nonce, value, bound_by + place.encode())
            sealed.append(PREFIX + b64encode_as_string(packed))
        return sealed

    def seal_bytes(self, value: bytes, context: str) -> bytes:
        """As `seal`, a third shorter, for where it need not be text."""
        before, cipher = self._current()
        nonce = os.urandom(_NONCE_BYTES)
        return before + nonce + cipher.encrypt(nonce, value, self._bound(context))

    def _current(self) -> tuple[bytes, AESGCM]:
        """How what is sealed now begins, and by what."""
        sealing = self._sealing
        if sealing is None or time.monotonic() > sealing[0]:
            key_id, _ = self._keyring.current_key(self._scope)
            until = time.monotonic() + _LOOK_SECONDS
            sealing = until, bytes.fromhex(key_id) + self._salt, self._cipher_of(key_id, self._salt)
            self._sealing = sealing
        return sealing[1], sealing[2]

    def open(self, text: str, context: str) -> bytes:
        """The value again. Raises DamagedFileError, or KeyUnavailableError where its key was erased."""
        try:
            # takes both alphabets
            packed = base64.urlsafe_b64decode(text.removeprefix(PREFIX))
        except ValueError as error:
            raise _damaged(context) from error
        if not text.startswith(PREFIX):
            raise _damaged(context)
        return self.open_bytes(packed, context)

    def open_bytes(self, packed: bytes, context: str) -> bytes:
        """What `seal_bytes` sealed. Raises as `open`."""
        return self.opener(context)(packed)

    def opener(self, context: str) -> Callable[[bytes], bytes]:
        """The same for all values of one place, read at once: each key is asked for once."""
        ciphers: dict[bytes, AESGCM] = {}
        return lambda packed: self._opened(packed, context, ciphers)

    def _opened(self, packed: bytes, context: str, ciphers: dict[bytes, AESGCM]) -> bytes:
        if len(packed) < _MIN_BYTES:
            raise _damaged(context)
        nonce, sealed = packed[_KEY_BYTES : _KEY_BYTES + _NONCE_BYTES], packed[_KEY_BYTES + _NONCE_BYTES :]
        cipher = ciphers.get(packed[:_KEY_BYTES])
        if cipher is None:
            key_id, salt = packed[:KEY_ID_BYTES].hex(), packed[KEY_ID_BYTES:_KEY_BYTES]
            # asked each time, so that an erased key opens nothing in a process that had opened it before
            self._keyring.key(self._scope, key_id)
            cipher = ciphers[packed[:_KEY_BYTES]] = self._cipher_of(key_id, salt)
        try:
            return cipher.decrypt(nonce, sealed, self._bound(context))
        except InvalidTag as error:
            raise _damaged(context) from error

    def _new_cipher(self, key_id: str, salt: bytes) -> AESGCM:
        return AESGCM(self._keyring.value_key(self._scope, key_id, salt))

    def _bound(self, context: str) -> bytes:
        return self._bound_by + context.encode()


def is_sealed(text: str) -> bool:
    """Whether the text is a value that `seal` made."""
    return text.startswith(PREFIX)


def _damaged(context: str) -> DamagedFileError:
    return DamagedFileError(
        "An encrypted value cannot be read: it is not what was written there",
        value=context,
        allowed="a value as this installation wrote it",
        next_step="restore it from a backup; if nobody should have touched it, look at who did",
    )
