"""Opening the platform's own files: encrypted where they lie in an installation that encrypts, plain elsewhere.

Whatever reads files that the platform wrote opens them here, and sees the same bytes whether they are encrypted or not.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from contracts.errors import KeyUnavailableError
from storage.encryption.container import EncryptedReader, EncryptedWriter, is_encrypted
from storage.encryption.installed import installation_of
from storage.files import sha256_of_file

_DIGEST_BYTES = 2**20


def open_stored(path: Path) -> BinaryIO:
    """The file's content as a seekable stream; pyarrow takes it as a source.

    Raises FileNotFoundError, DamagedFileError or KeyUnavailableError.
    """
    return cast("BinaryIO", _reader(path)) if is_encrypted(path) else path.open("rb")


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


def scope_of_stored(path: Path) -> str | None:
    """What is erased together with a file at the path; None where it would be written in plain."""
    installation = installation_of(path)
    if installation is None or not installation.encrypts:
        return None
    return installation.scope_of(path.parent.resolve().relative_to(installation.root) / path.name)


def seal_file(source: Path, target: Path, scope: str) -> str:
    """Encrypt a plain file, under the scope's key and another name; the digest of its content."""
    installation = installation_of(target)
    assert installation is not None
    digest = hashlib.sha256()
    with source.open("rb") as content, EncryptedWriter(target, installation.keyring, scope) as sealed:
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


def _reader(path: Path) -> EncryptedReader:
    installation = installation_of(path)
    if installation is None:
        raise KeyUnavailableError(
            "The file is encrypted and lies outside of the data folder",
            value=path,
            allowed="a file below TUNEWAY_DATA_DIR of the installation that wrote it",
            next_step="put it where it was, or export what it holds: `tuneway dataset export`",
        )
    return EncryptedReader(path, installation.keyring)


def _writer(path: Path, mode: int) -> EncryptedWriter | None:
    scope, installation = scope_of_stored(path), installation_of(path)
    if scope is None or installation is None:
        return None
    return EncryptedWriter(path, installation.keyring, scope, mode=mode)
