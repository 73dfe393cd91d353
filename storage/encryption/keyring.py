"""The keys of an installation's scopes, each wrapped by the key-encryption key: `<folder>/<scope>.json`.

A scope is what is erased together: one dataset, the log of the A/B tests. Its key wraps the keys of its files and gives the
keys of its values. Three levels: key-encryption key (kept elsewhere) → key of a scope (here) → key of a file (its header).
A new key-encryption key is one small file a scope; an erased scope is lost in every copy of its files, backups too, because
the files alone do not hold its key. Keep this folder's backups apart from the data's.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AwareDatetime

from contracts.errors import DamagedFileError, KeyUnavailableError, NotFoundError
from contracts.record import Record, utc_now
from storage.encryption.container import KEY_BYTES, KEY_ID_BYTES, Slot
from storage.encryption.key_keepers import KeyKeeper, WrappedKey
from storage.files import read_json, write_json_atomically


class ScopeKey(Record):
    """One key of a scope, wrapped."""

    key_id: str
    """32 hexadecimal digits."""
    made_at: AwareDatetime
    kept_by: str
    """Which key-encryption key wrapped it."""
    wrapped: str


class ErasedKey(Record):
    """What is left of a key that was erased: that it was."""

    key_id: str
    erased_at: AwareDatetime


class ScopeKeys(Record):
    """All keys of a scope; the last one is used for what is written."""

    scope: str
    keys: list[ScopeKey] = []
    erased: list[ErasedKey] = []


FileState = tuple[int, int, int] | None
"""Tells one content of a scope's file from another; None where there is no file."""


class Keyring:
    """Makes and opens the keys of files and values. Safe between threads and processes."""

    def __init__(self, folder: Path, keeper: KeyKeeper) -> None:
        self.folder = folder
        self.keeper = keeper
        self._open: dict[tuple[str, str], tuple[FileState, bytes]] = {}
        """Unwrapped keys by scope and id, as of a state of the scope's file: the keeper is asked once for each."""
        self._current: dict[str, tuple[FileState, str]] = {}
        """By scope: the id of the key in use, as of a state of the scope's file."""
        self._lock = Lock()

    def new_file_key(self, scope: str, bound: bytes) -> tuple[bytes, Slot]:
        """A fresh key, and its slot."""
        key = secrets.token_bytes(KEY_BYTES)
        return key, self.slot_for(scope, key, bound)

    def slot_for(self, scope: str, file_key: bytes, bound: bytes) -> Slot:
        """The file's key wrapped by the scope's newest key."""
        key_id, key = self.current_key(scope)
        nonce = os.urandom(12)
        sealed = AESGCM(_derived(key, b"tuneway file keys")).encrypt(nonce, file_key, bound + bytes.fromhex(key_id))
        return Slot(bytes.fromhex(key_id), nonce + sealed)

    def file_key(self, scope: str, slot: Slot, bound: bytes) -> bytes:
        """The key in the slot. Raises KeyUnavailableError or DamagedFileError."""
        key = _derived(self.key(scope, slot.key_id.hex()), b"tuneway file keys")
        try:
            return AESGCM(key).decrypt(slot.wrapped[:12], slot.wrapped[12:], bound + slot.key_id)
        except InvalidTag as error:
            raise DamagedFileError(
                "The key in the header of an encrypted file is not what was written",
                value=f"scope {scope}",
                next_step="restore the file from a backup, or make it again",
            ) from error

    def value_key(self, scope: str, key_id: str, salt: bytes) -> bytes:
        """The key of the values that were sealed with this salt."""
        return _derived(self.key(scope, key_id), b"tuneway values", salt)

    def current_key(self, scope: str) -> tuple[str, bytes]:
        """Id and key with which the scope is written; made at the first call."""
        with self._lock:
            state = self._state(scope)
            known = self._current.get(scope)
            if known is None or known[0] != state:
                keys = self.scope_keys(scope)
                if not keys.keys:
                    keys = self._with_first_key(scope)
                    state = None
                known = state, keys.keys[-1].key_id
                self._current[scope] = known
        return known[1], self.key(scope, known[1])

    def key(self, scope: str, key_id: str) -> bytes:
        """The key of that id. Raises KeyUnavailableError where it was erased or is not there."""
        state = self._state(scope)
        known = self._open.get((scope, key_id))
        if known is not None and known[0] == state:
            return known[1]
        keys = self.scope_keys(scope)
        for key in keys.keys:
            if key.key_id == key_id:
                opened = self.keeper.unwrap(WrappedKey(key.kept_by, key.wrapped), _bound(scope, key_id))
                self._open[scope, key_id] = state, opened
                return opened
        self._open.pop((scope, key_id), None)
        erased_at = next((key.erased_at for key in keys.erased if key.key_id == key_id), None)
        if erased_at is not None:
            raise KeyUnavailableError(
                "What is encrypted here was erased: its key is gone for good",
                value=f"{scope}, erased on {erased_at:%Y-%m-%d %H:%M} UTC",
                next_step="remove the file; if it is still needed, import it again from its source",
            )
        raise KeyUnavailableError(
            "There is no key for what is encrypted here",
            value=f"scope {scope}, key {key_id}, keyring {self.folder}",
            allowed="a file that this installation wrote",
            next_step="restore the keyring's folder from its own backup, or read the file where it was written",
        )

    def scopes(self) -> list[ScopeKeys]:
        """All scopes, in the order of their names."""
        found = [read_json(path) for path in self.folder.glob("*.json")]
        return sorted((ScopeKeys.model_validate(keys) for keys in found if keys is not None), key=lambda k: k.scope)

    def scope_keys(self, scope: str) -> ScopeKeys:
        """The scope's keys, wrapped; none where nothing was written for it."""
        found = read_json(self._path(scope))
        return ScopeKeys(scope=scope) if found is None else ScopeKeys.model_validate(found)

    def rewrap(self, scope: str) -> int:
        """Wrap the scope's keys by the newest key-encryption key; how many were not yet."""
        newest = self.keeper.newest()
        with self._changing():
            keys = self.scope_keys(scope)
            behind = sum(key.kept_by != newest for key in keys.keys)
            if behind:
                wrapped = [key if key.kept_by == newest else self._wrapped_anew(scope, key) for key in keys.keys]
                self._write(keys.model_copy(update={"keys": wrapped}))
        return behind

    def add_key(self, scope: str) -> str:
        """Give the scope a newer key, used from now on; returns its id."""
        with self._changing():
            keys = self.scope_keys(scope)
            made = self._new_key(scope)
            self._write(keys.model_copy(update={"keys": [*keys.keys, made]}))
        return made.key_id

    def retire_keys(self, scope: str) -> int:
        """Drop all keys of the scope but the newest, which must be the one that every file of it needs."""
        with self._changing():
            keys = self.scope_keys(scope)
            if len(keys.keys) > 1:
                self._write(keys.model_copy(update={"keys": keys.keys[-1:]}))
        for key in keys.keys[:-1]:
            self._open.pop((scope, key.key_id), None)
        return max(len(keys.keys) - 1, 0)

    def erase(self, scope: str) -> list[str]:
        """Drop all keys of the scope: whatever they encrypted is lost, in every copy. Returns their ids.

        Raises NotFoundError where the scope has no key.
        """
        with self._changing():
            keys = self.scope_keys(scope)
            if not keys.keys:
                raise NotFoundError(
                    "There is no key to erase",
                    value=scope,
                    allowed=", ".join(known.scope for known in self.scopes() if known.keys) or "nothing encrypted yet",
                    next_step="`tuneway keys status` lists what has a key",
                )
            erased = [ErasedKey(key_id=key.key_id, erased_at=utc_now()) for key in keys.keys]
            rest = keys.model_copy(update={"keys": [], "erased": [*keys.erased, *erased]})
            self._overwrite(rest)
            self._write(rest)
        for key in erased:
            self._open.pop((scope, key.key_id), None)
        return [key.key_id for key in erased]

    def _with_first_key(self, scope: str) -> ScopeKeys:
        with self._changing():
            # of two processes the first one's key stays
            keys = self.scope_keys(scope)
            if not keys.keys:
                keys = keys.model_copy(update={"keys": [self._new_key(scope)]})
                self._write(keys)
        return keys

    def _new_key(self, scope: str) -> ScopeKey:
        key, key_id = secrets.token_bytes(KEY_BYTES), secrets.token_hex(KEY_ID_BYTES)
        wrapped = self.keeper.wrap(key, _bound(scope, key_id))
        return ScopeKey(key_id=key_id, made_at=utc_now(), kept_by=wrapped.kept_by, wrapped=wrapped.wrapped)

    def _wrapped_anew(self, scope: str, key: ScopeKey) -> ScopeKey:
        bound = _bound(scope, key.key_id)
        wrapped = self.keeper.wrap(self.keeper.unwrap(WrappedKey(key.kept_by, key.wrapped), bound), bound)
        return key.model_copy(update={"kept_by": wrapped.kept_by, "wrapped": wrapped.wrapped})

    def _path(self, scope: str) -> Path:
        return self.folder / f"{quote(scope, safe='')}.json"

    def _state(self, scope: str) -> FileState:
        try:
            found = self._path(scope).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _write(self, keys: ScopeKeys) -> None:
        write_json_atomically(self._path(keys.scope), keys.model_dump(mode="json"))

    def _overwrite(self, keys: ScopeKeys) -> None:
        """Nothing of the wrapped keys stays in the file's old blocks, as far as the file system writes in place."""
        with self._path(keys.scope).open("r+b") as stream:
            size = os.fstat(stream.fileno()).st_size
            # blanks behind it: whole JSON at every instant
            stream.write(keys.model_dump_json().encode().ljust(size))
            stream.flush()
            os.fsync(stream.fileno())

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One process at a time changes keys."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _bound(scope: str, key_id: str) -> bytes:
    return f"tuneway scope key\0{scope}\0{key_id}".encode()


def _derived(key: bytes, use: bytes, salt: bytes = b"") -> bytes:
    """A key of its own for each use (RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=use).derive(key)
