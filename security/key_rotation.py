"""Acting on all keys of an installation: what they protect, newer ones, and erasing them.

Every step can be killed and called again: a scope's key is wrapped anew or not, a file's header is written or not, and an
older key is dropped only after no file needs it.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from contracts.errors import DamagedFileError
from contracts.record import Record
from storage.encryption.container import Header, is_encrypted, read_header, write_slot
from storage.encryption.keyring import Keyring

OnProgress = Callable[[int], None]
"""Told how many headers were written so far."""


class ScopeState(Record):
    """What is known of a scope's keys."""

    scope: str
    keys: int
    kept_by: list[str]
    """The key-encryption keys that wrap them."""
    erased: int
    files: int
    """Encrypted files found."""


class KeysState(Record):
    """All scopes, and the key-encryption key in use."""

    newest: str
    behind: int
    """Keys that an older key-encryption key wraps: it is needed until `rotate` has run."""
    scopes: list[ScopeState]


class Rotation(Record):
    """What a rotation did."""

    newest: str
    rewrapped: int
    """Keys of scopes that are wrapped by the newest key-encryption key since."""
    headers: int
    """Files whose key was wrapped anew."""
    retired: int
    """Older keys of scopes that were dropped."""


def keys_state(keyring: Keyring, root: Path) -> KeysState:
    """What there is, read from the keyring and the files' headers."""
    files = Counter(header.scope for _, header in encrypted_files(root))
    newest = keyring.keeper.newest()
    scopes = keyring.scopes()
    return KeysState(
        newest=newest,
        behind=sum(key.kept_by != newest for scope in scopes for key in scope.keys),
        scopes=[
            ScopeState(
                scope=scope.scope,
                keys=len(scope.keys),
                kept_by=sorted({key.kept_by for key in scope.keys}),
                erased=len(scope.erased),
                files=files[scope.scope],
            )
            for scope in scopes
        ],
    )


def rotate_keys(
    keyring: Keyring,
    root: Path,
    *,
    new_key: bool = True,
    scopes_of_values: frozenset[str] = frozenset(),
    file_keys: bool = False,
    on_progress: OnProgress | None = None,
) -> Rotation:
    """Wrap every scope's key by the newest key-encryption key, a new one with `new_key`.

    With `file_keys`, also give each scope a new key and write every header below `root` anew; the older keys are dropped
    then. Scopes of single values, such as database columns, keep their keys: nobody can write all of those anew.
    """
    newest = keyring.keeper.rotate() if new_key else keyring.keeper.newest()
    rewrapped = sum(keyring.rewrap(scope.scope) for scope in keyring.scopes())
    if not file_keys:
        return Rotation(newest=newest, rewrapped=rewrapped, headers=0, retired=0)
    moved = [scope for scope in keyring.scopes() if scope.keys and scope.scope not in scopes_of_values]
    for scope in moved:
        # several keys: an earlier rotation was killed, and goes on here
        if len(scope.keys) == 1:
            keyring.add_key(scope.scope)
    names = {scope.scope for scope in moved}
    headers = 0
    # once more until nothing is found: files may have been written meanwhile
    while written := _rewrite_headers(keyring, root, names, headers, on_progress):
        headers += written
    retired = sum(keyring.retire_keys(scope) for scope in sorted(names))
    return Rotation(newest=newest, rewrapped=rewrapped, headers=headers, retired=retired)


def encrypted_files(root: Path) -> Iterator[tuple[Path, Header]]:
    """Every encrypted file below the folder, hard links once. A damaged header is passed over: reading the file tells."""
    seen: set[tuple[int, int]] = set()
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder, name)
            try:
                entry = path.lstat()
                if not path.is_file() or path.is_symlink() or (entry.st_dev, entry.st_ino) in seen:
                    continue
                if not is_encrypted(path):
                    continue
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # gone meanwhile
                continue
            seen.add((entry.st_dev, entry.st_ino))
            try:
                header = read_header(descriptor, path)
            except DamagedFileError:
                continue
            finally:
                os.close(descriptor)
            yield path, header


def _rewrite_headers(
    keyring: Keyring, root: Path, scopes: set[str], before: int, on_progress: OnProgress | None
) -> int:
    written = 0
    for path, header in encrypted_files(root):
        if header.scope not in scopes or header.slot.key_id.hex() == keyring.current_key(header.scope)[0]:
            continue
        file_key = keyring.file_key(header.scope, header.slot, header.fixed)
        write_slot(path, header, keyring.slot_for(header.scope, file_key, header.fixed))
        written += 1
        if on_progress is not None:
            on_progress(before + written)
    return written
