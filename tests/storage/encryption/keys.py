"""A keyring of its own for each test."""

from pathlib import Path

from storage.encryption.key_keepers import KeyFile, make_key_file
from storage.encryption.keyring import Keyring


def make_keyring(folder: Path) -> Keyring:
    """A keyring whose key-encryption key is a file."""
    key_file = folder / "key-encryption-keys"
    if not key_file.exists():
        make_key_file(key_file)
    return Keyring(folder / "keyring", KeyFile(key_file))
