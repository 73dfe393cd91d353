"""Newer keys without touching what they protect, at whatever instant it was killed before."""

import os
from pathlib import Path

import pytest

from contracts.errors import KeyUnavailableError
from security.key_rotation import keys_state, rotate_keys
from storage.encryption.container import HEADER_BYTES, EncryptedReader, EncryptedWriter
from storage.encryption.keyring import Keyring
from storage.encryption.values import ValueCipher
from tests.storage.encryption.keys import make_keyring


def write(path: Path, keyring: Keyring, scope: str, content: bytes) -> None:
    with EncryptedWriter(path, keyring, scope) as stream:
        stream.write(content)


def read(path: Path, keyring: Keyring) -> bytes:
    with EncryptedReader(path, keyring) as stream:
        return stream.read()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    keyring = make_keyring(tmp_path)
    folder = tmp_path / "data"
    for name, scope in (("a1", "dataset/a"), ("a2", "dataset/a"), ("b1", "dataset/b")):
        write(folder / name, keyring, scope, name.encode())
    os.link(folder / "a1", folder / "linked")
    (folder / "a1").chmod(0o444)
    (folder / "plain").write_text("plain")
    return folder


def test_a_new_key_encryption_key_touches_no_file(root: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    keyring = make_keyring(tmp_path)
    rotation = rotate_keys(keyring, root)
    assert (rotation.newest, rotation.rewrapped, rotation.headers) == ("file:2", 2, 0)
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before
    assert rotate_keys(keyring, root, new_key=False).rewrapped == 0
    state = keys_state(make_keyring(tmp_path), root)
    assert (state.newest, state.behind) == ("file:2", 0)
    assert [(scope.scope, scope.files, scope.kept_by) for scope in state.scopes] == [
        ("dataset/a", 2, ["file:2"]),
        ("dataset/b", 1, ["file:2"]),
    ]
    assert read(root / "a1", make_keyring(tmp_path)) == b"a1"


def test_new_keys_of_files_change_headers_only_and_drop_the_older_ones(root: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    keyring = make_keyring(tmp_path)
    value = ValueCipher(keyring, "traffic").seal(b"asked", "here")
    told: list[int] = []
    rotation = rotate_keys(
        keyring, root, file_keys=True, scopes_of_values=frozenset({"traffic"}), on_progress=told.append
    )
    assert (rotation.headers, rotation.retired, told) == (3, 2, [1, 2, 3])
    for path in root.iterdir():
        after = path.read_bytes()
        assert after[HEADER_BYTES:] == before[path.name][HEADER_BYTES:]
        assert (after == before[path.name]) == (path.name == "plain")
    again = make_keyring(tmp_path)
    assert [read(root / name, again) for name in ("a1", "a2", "b1", "linked")] == [b"a1", b"a2", b"b1", b"a1"]
    assert (root / "a1").stat().st_mode & 0o777 == 0o444
    assert ValueCipher(again, "traffic").open(value, "here") == b"asked"
    # a copy of before needs a key that is gone
    (root / "a2").write_bytes(before["a2"])
    with pytest.raises(KeyUnavailableError):
        read(root / "a2", again)


class KilledError(BaseException):
    """Stands for the kill: nothing catches it."""


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_rotation_killed_between_two_files_goes_on(root: Path, tmp_path: Path, after: int) -> None:
    def kill(written: int) -> None:
        if written == after:
            raise KilledError

    with pytest.raises(KilledError):
        rotate_keys(make_keyring(tmp_path), root, file_keys=True, on_progress=kill)
    names = ("a1", "a2", "b1")
    assert [read(root / name, make_keyring(tmp_path)) for name in names] == [b"a1", b"a2", b"b1"]
    rotation = rotate_keys(make_keyring(tmp_path), root, new_key=False, file_keys=True)
    assert rotation.headers == 3 - after
    keyring = make_keyring(tmp_path)
    assert [read(root / name, keyring) for name in names] == [b"a1", b"a2", b"b1"]
    assert [len(scope.keys) for scope in keyring.scopes()] == [1, 1]
