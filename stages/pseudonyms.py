"""The key by which pseudonyms are made: one secret an installation, a key of its own for each dataset."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from storage.files import write_bytes_atomically

if TYPE_CHECKING:
    from settings import Settings

KEY_FILE = "pseudonym.key"


def pseudonym_key(settings: Settings, dataset_name: str) -> bytes:
    """The dataset's key; the secret behind it is made when it is first needed. Without it nobody finds a value again."""
    path = settings.secrets_dir / KEY_FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        write_bytes_atomically(path, secrets.token_bytes(32), mode=0o600, replace=False)
    return hmac.digest(path.read_bytes(), dataset_name.encode(), "sha256")
