"""The platform's own files: the same content, encrypted or not."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.errors import KeyUnavailableError
from storage.encryption.container import is_encrypted
from storage.encryption.installed import install_keyring
from storage.stored_files import create_stored, create_stored_text, open_stored, open_stored_text, sha256_of_stored
from tests.storage.encryption.keys import make_keyring


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "installation"
    folder.mkdir()
    install_keyring(folder, lambda: make_keyring(tmp_path), lambda path: path.parts[0], encrypts=True)
    yield folder
    install_keyring(folder, lambda: make_keyring(tmp_path), lambda path: path.parts[0], encrypts=False)


def test_files_of_an_installation_are_encrypted_and_read_as_if_they_were_not(root: Path, tmp_path: Path) -> None:
    for folder in (root, tmp_path):
        with create_stored_text(folder / "lines.jsonl") as stream:
            stream.write("하나\n둘\n")
        with open_stored_text(folder / "lines.jsonl") as lines:
            assert list(lines) == ["하나\n", "둘\n"]
        with open_stored(folder / "lines.jsonl") as content:
            assert content.read() == "하나\n둘\n".encode()
        assert sha256_of_stored(folder / "lines.jsonl") == sha256("하나\n둘\n".encode()).hexdigest()
        assert is_encrypted(folder / "lines.jsonl") == (folder == root)


def test_an_error_in_the_middle_leaves_no_encrypted_file(root: Path) -> None:
    with pytest.raises(RuntimeError), create_stored_text(root / "lines.jsonl") as stream:
        stream.write("half")
        raise RuntimeError
    with pytest.raises(RuntimeError), create_stored(root / "bytes") as content:
        content.write(b"half")
        raise RuntimeError
    assert list(root.iterdir()) == []


def test_an_encrypted_file_elsewhere_says_what_is_missing(root: Path, tmp_path: Path) -> None:
    with create_stored(root / "file") as stream:
        stream.write(b"content")
    (root / "file").rename(tmp_path / "file")
    with pytest.raises(KeyUnavailableError, match="outside of the data folder"):
        open_stored(tmp_path / "file")


def test_what_was_encrypted_is_read_after_encryption_was_turned_off(root: Path, tmp_path: Path) -> None:
    with create_stored(root / "file") as stream:
        stream.write(b"old")
    install_keyring(root, lambda: make_keyring(tmp_path), lambda path: path.parts[0], encrypts=False)
    with create_stored(root / "newer") as stream:
        stream.write(b"new")
    with open_stored(root / "file") as old, open_stored(root / "newer") as new:
        assert (old.read(), new.read()) == (b"old", b"new")
    assert not is_encrypted(root / "newer")
