"""Request ids that prove they are ours: a rating can be taken while PostgreSQL is away."""

import hashlib
import hmac
import os
import time

_PREFIX = "tw-"
_BODY_DIGITS = 28
_TAG_DIGITS = 12


def new_request_id(key: bytes) -> str:
    """Sorts by time, cannot be guessed."""
    body = f"{time.time_ns() // 1_000_000:012x}{os.urandom(8).hex()}"
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


def _tag(key: bytes, body: str) -> str:
    return hashlib.blake2b(
        body.encode(), key=key, digest_size=_TAG_DIGITS // 2, person=b"tuneway-request"[:16]
    ).hexdigest()
