"""Refresh tokens and keys of service accounts: 256 random bits, of which the database knows the hash only.

A fast hash is enough for them: unlike a password, nobody can guess 256 bits.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

REFRESH_PREFIX = "twr_"
KEY_PREFIX = "twk_"
"""Recognisable, so that a scanner finds one that was committed by mistake."""
_KEY = re.compile(r"twk_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """A key just made: the text goes to its owner, prefix and hash into the database."""

    text: str
    prefix: str

    @property
    def hashed(self) -> str:
        """What is stored."""
        return hash_token(self.text)


def generate_refresh_token() -> str:
    """A new refresh token."""
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def generate_key() -> GeneratedKey:
    """A new key."""
    prefix = secrets.token_hex(6)
    return GeneratedKey(f"{KEY_PREFIX}{prefix}_{secrets.token_urlsafe(32)}", prefix)


def key_prefix(text: str) -> str | None:
    """The public part of what looks like a key, else None."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def hash_token(text: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
