"""The key by which pseudonyms are made: one secret an installation, a key of its own for each dataset."""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings import Settings

KEY_FILE = "pseudonym.key"


def pseudonym_key(settings: Settings, dataset_name: str) -> bytes:
    """The dataset's key; the secret behind it is made when it is first needed. Without it nobody finds a value again."""
    path = settings.secrets_dir / KEY_FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}.tmp")
    if not path.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(32))
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):  # of two processes the first one's secret stays
            os.link(temporary, path)
        temporary.unlink()
    return hmac.digest(path.read_bytes(), dataset_name.encode(), "sha256")
