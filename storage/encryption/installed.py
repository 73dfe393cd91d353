"""Which keyring belongs to which folder: what lies below a data folder is written and read with its installation's keys.

A process says so once, with `install_keyring` (`stages.services` and `data_prep.workers` do); code that writes and reads
files asks `keyring_of` through `storage.stored_files`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from storage.encryption.keyring import Keyring
from storage.encryption.values import ValueCipher


@dataclass
class Installation:
    """A data folder and its keys."""

    root: Path
    open_keyring: Callable[[], Keyring]
    """Called once, when a key is first needed."""
    scope_of: Callable[[Path], str]
    """What a file belongs to, by its path below the root: scopes are erased as a whole."""
    encrypts: bool
    """What is written is encrypted; what is encrypted already can be read either way."""
    _keyring: Keyring | None = None
    _ciphers: dict[str, ValueCipher] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @property
    def keyring(self) -> Keyring:
        """The keys. Raises KeyUnavailableError where their keeper has none."""
        with self._lock:
            if self._keyring is None:
                self._keyring = self.open_keyring()
            return self._keyring

    def cipher(self, scope: str) -> ValueCipher:
        """Of the scope's values."""
        found = self._ciphers.get(scope)
        if found is None:
            found = self._ciphers.setdefault(scope, ValueCipher(self.keyring, scope))
        return found


_INSTALLATIONS: dict[Path, Installation] = {}


def install_keyring(
    root: Path, open_keyring: Callable[[], Keyring], scope_of: Callable[[Path], str], *, encrypts: bool
) -> Installation:
    """Use these keys for everything below the folder. The same call again changes nothing but `encrypts`."""
    place = root.resolve()
    found = _INSTALLATIONS.get(place)
    if found is None:
        found = _INSTALLATIONS[place] = Installation(place, open_keyring, scope_of, encrypts)
    found.encrypts = encrypts
    return found


def installation_of(path: Path) -> Installation | None:
    """The installation in whose data folder the file lies; None where it lies in none that this process knows."""
    # the folder, not the file: a link's target does not matter
    place = path.parent.resolve()
    for folder in (place, *place.parents):
        found = _INSTALLATIONS.get(folder)
        if found is not None:
            return found
    return None
