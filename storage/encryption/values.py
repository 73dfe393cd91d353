"""Single values, such as a column of a row or a piece of a journal, encrypted by AES-256-GCM and bound to their place.

    tw1:<base64url of: 16 id of the scope's key | 16 salt | 12 nonce | the value, encrypted, and 16 of tag>

The key is the scope's, derived with the salt (RFC 5869). Each process draws a salt of its own, so that no key sees more
values than random nonces of 96 bits allow (2^32).
"""

import base64
import binascii
import os
import time
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.errors import DamagedFileError
from storage.encryption.container import KEY_ID_BYTES, TAG_BYTES
from storage.encryption.keyring import Keyring

PREFIX = "tw1:"
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_SALT_BYTES, _NONCE_BYTES = 16, 12
_MIN_BYTES = KEY_ID_BYTES + _SALT_BYTES + _NONCE_BYTES + TAG_BYTES
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
        return self.seal_all([(value, context)])[0]

    def seal_all(self, values: Sequence[tuple[bytes, str]]) -> list[str]:
        """Many values at once, each with its place."""
        before, cipher = self._current()
        nonces = os.urandom(_NONCE_BYTES * len(values))
        sealed = []
        for number, (value, context) in enumerate(values):
            nonce = nonces[_NONCE_BYTES * number : _NONCE_BYTES * (number + 1)]
            packed = before + nonce + cipher.encrypt(nonce, value, self._bound(context))
            # what base64.urlsafe_b64encode does, without its two calls
            sealed.append(PREFIX + binascii.b2a_base64(packed, newline=False).translate(_TO_URL_SAFE).decode())
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
            packed = base64.urlsafe_b64decode(text.removeprefix(PREFIX))
        except ValueError as error:
            raise _damaged(context) from error
        if not text.startswith(PREFIX):
            raise _damaged(context)
        return self.open_bytes(packed, context)

    def open_bytes(self, packed: bytes, context: str) -> bytes:
        """What `seal_bytes` sealed. Raises as `open`."""
        if len(packed) < _MIN_BYTES:
            raise _damaged(context)
        key_id, rest = packed[:KEY_ID_BYTES].hex(), packed[KEY_ID_BYTES:]
        salt, nonce, sealed = rest[:_SALT_BYTES], rest[_SALT_BYTES:][:_NONCE_BYTES], rest[_SALT_BYTES + _NONCE_BYTES :]
        # asked each time, so that an erased key opens nothing in a process that had opened it before
        self._keyring.key(self._scope, key_id)
        try:
            return self._cipher_of(key_id, salt).decrypt(nonce, sealed, self._bound(context))
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
