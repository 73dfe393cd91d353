"""The keys of marks: one master key an installation, one key a model, and what may be published of them."""

import hashlib
import secrets
import stat
from pathlib import Path
from typing import Protocol

from contracts.errors import InvalidDataError, NotFoundError
from storage.files import write_bytes_atomically

KEY_BYTES = 32
KEY_FILE = "watermark_key"


class MasterKey(Protocol):
    """Where the master key is kept: a file here; a vault or an HSM may stand behind the same call."""

    def derive(self, identity: str) -> bytes:
        """The 32-byte key of one mark. The master key itself is never handed out."""


class MasterKeyFile:
    """A file of 64 hexadecimal digits and mode 0400."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def derive(self, identity: str) -> bytes:
        """HKDF-SHA256 (RFC 5869) of the master key for the mark. Raises NotFoundError or InvalidDataError."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = b"tuneway watermark 1\0" + identity.encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._read())

    def make(self) -> None:
        """Make the key where there is none. Two processes at once make one."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_bytes_atomically(self.path, secrets.token_hex(KEY_BYTES).encode() + b"\n", mode=0o400, replace=False)

    def _read(self) -> bytes:
        try:
            text = self.path.read_text(encoding="ascii").strip()
            mode = self.path.stat().st_mode
        except FileNotFoundError as error:
            raise NotFoundError(
                "There is no watermark key",
                value=self.path,
                next_step="restore the file from its backup; the first training of an installation makes it",
            ) from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InvalidDataError(
                "Others can read the watermark key",
                value=f"{self.path} has mode {stat.S_IMODE(mode):o}",
                allowed="400",
                next_step=f"chmod 400 {self.path}, and think whether it was read",
            )
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise InvalidDataError(
                "The watermark key is damaged",
                value=f"{self.path}: {len(text)} characters",
                allowed=f"{2 * KEY_BYTES} hexadecimal digits",
                next_step="restore the file from its backup",
            )
        return key


def commitment_of(key: bytes) -> str:
    """What is published before the model is: nobody can later find a key that happens to fit."""
    return hashlib.sha256(b"tuneway watermark commitment\0" + key).hexdigest()
