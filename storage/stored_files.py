"""Opening the platform's own files: encrypted where they lie in an installation that encrypts, plain elsewhere.

Whatever reads files that the platform wrote opens them here, and sees the same bytes whether they are encrypted or not.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from contracts.errors import KeyUnavailableError
from contracts.record import JsonObject
from storage.encryption.container import EncryptedReader, EncryptedWriter, is_encrypted
from storage.encryption.installed import installation_of
from storage.encryption.keyring import Keyring
from storage.files import sha256_of_file, write_bytes_atomically

_DIGEST_BYTES = 2**20


def open_stored(path: Path, buffering: int = -1) -> BinaryIO:
    """The file's content as a seekable stream; pyarrow takes it as a source.

    Raises FileNotFoundError, DamagedFileError or KeyUnavailableError.
    """
    return cast("BinaryIO", _reader(path) if is_encrypted(path) else path.open("rb", buffering))


def open_stored_text(path: Path, encoding: str = "utf-8") -> TextIO:
    """The file's content as lines of text."""
    if is_encrypted(path):
        return TextIOWrapper(BufferedReader(_reader(path), 2**16), encoding=encoding)
    return path.open(encoding=encoding)


def read_stored(path: Path) -> bytes:
    """The whole content."""
    with open_stored(path) as stream:
        return stream.read()


@contextmanager
def create_stored(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A stream to write the file by. Encrypted, it has its name only when the block has ended well."""
    writer = _writer(path, mode)
    if writer is None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as plain:
            yield plain
        return
    with writer:
        yield cast("BinaryIO", writer)


@contextmanager
def create_stored_text(path: Path, mode: int = 0o600) -> Iterator[TextIO]:
    """`create_stored` for text."""
    with create_stored(path, mode) as stream:
        text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
        try:
            yield text
            text.flush()
        finally:
            # closing it would close the stream, and so keep what an error has cut short
            text.detach()


def write_stored(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace the file as a whole: readers see the old or the new content, never a part."""
    if scope_of_stored(path) is None:
        write_bytes_atomically(path, content, mode=mode)
        return
    with create_stored(path, mode) as stream:
        stream.write(content)


def write_stored_text(path: Path, text: str, mode: int = 0o600) -> None:
    """`write_stored` for text."""
    write_stored(path, text.encode(), mode)


def write_stored_json(path: Path, value: JsonObject, mode: int = 0o600) -> None:
    """Replace a JSON file as a whole."""
    write_stored_text(path, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n", mode)


def read_stored_text(path: Path) -> str:
    """The whole content of a text file."""
    return read_stored(path).decode()


def read_stored_json(path: Path) -> JsonObject | None:
    """The file's object, or None where there is no such file."""
    try:
        value = json.loads(read_stored(path))
    except FileNotFoundError:
        return None
    assert isinstance(value, dict)
    return value


def scope_of_stored(path: Path) -> str | None:
    """What is erased together with a file at the path; None where it would be written in plain."""
    installation = installation_of(path)
    if installation is None or not installation.encrypts:
        return None
    return installation.scope_of(path.parent.resolve().relative_to(installation.root) / path.name)


def seal_file(source: Path, target: Path, scope: str) -> str:
    """Encrypt a plain file, under the scope's key and another name; the digest of its content."""
    digest = hashlib.sha256()
    with source.open("rb") as content, EncryptedWriter(target, keyring_for(target), scope) as sealed:
        while piece := content.read(_DIGEST_BYTES):
            digest.update(piece)
            sealed.write(piece)
    return digest.hexdigest()


def copy_in_clear(source: Path, target: Path) -> None:
    """The content as a plain file, whatever the target's place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_stored(source) as content, target.open("wb") as clear:
        shutil.copyfileobj(content, clear, _DIGEST_BYTES)


def sha256_of_stored(path: Path) -> str:
    """Hex digest of the content: the same for a plain and an encrypted file."""
    if not is_encrypted(path):
        return sha256_of_file(path)
    digest = hashlib.sha256()
    with _reader(path) as stream:
        while piece := stream.read(_DIGEST_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def sha256_of_stored_folder(folder: Path, pattern: str = "*") -> str:
    """Hex digest over the names and contents of the folder's files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob(pattern) if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0{sha256_of_stored(path)}\n".encode())
    return digest.hexdigest()


def keyring_for(path: Path) -> Keyring:
    """The keys of the file's installation. Raises KeyUnavailableError for a file that lies in none."""
    installation = installation_of(path)
    if installation is None:
        raise KeyUnavailableError(
            "The file is encrypted and lies outside of the data folder",
            value=path,
            allowed="a file below TUNEWAY_DATA_DIR of the installation that wrote it",
            next_step="put it where it was, or export what it holds: `tuneway dataset export`",
        )
    return installation.keyring


def _reader(path: Path) -> EncryptedReader:
    return EncryptedReader(path, keyring_for(path))


def _writer(path: Path, mode: int) -> EncryptedWriter | None:
    scope = scope_of_stored(path)
    return None if scope is None else EncryptedWriter(path, keyring_for(path), scope, mode=mode)
