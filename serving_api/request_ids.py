"""Request ids that prove they are ours: a rating can be taken while PostgreSQL is away."""

import hashlib
import hmac
import os
import time
from functools import lru_cache

_PREFIX = "tw-"
_BODY_DIGITS = 28
_TAG_DIGITS = 12


def new_request_id(key: bytes) -> str:
    """Sorts by time, cannot be guessed."""
    body = f"{time.time_ns() // 1_000_000:012x}{_random_digits()}"
    return f"{_PREFIX}{body}{_tag(key, body)}"


def is_request_id(key: bytes, text: str) -> bool:
    """Whether this installation gave the id out."""
    body, tag = text[len(_PREFIX) : -_TAG_DIGITS], text[-_TAG_DIGITS:]
    return (
        text.startswith(_PREFIX)
        and len(body) == _BODY_DIGITS
        and text.isascii()
        and hmac.compare_digest(tag, _tag(key, body))
    )


_unused: list[str] = []


def _random_digits() -> str:
    """Of the system's generator, asked for many at once."""
    while True:
        try:
            return _unused.pop()
        except IndexError:
            digits = os.urandom(8 * 256).hex()
            _unused.extend(digits[start : start + 16] for start in range(0, len(digits), 16))


def _tag(key: bytes, body: str) -> str:
    tag = _keyed(key).copy()
    tag.update(body.encode())
    return tag.hexdigest()


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> "hashlib.blake2b":
    return hashlib.blake2b(key=key, digest_size=_TAG_DIGITS // 2, person=b"tuneway-request")
