"""Exact duplicates: rows whose turns are equal once spaces, case and punctuation are left out."""

import re
from hashlib import blake2b

from data_prep.normalisation import comparable
from data_prep.rows import Row

_DIGITS = re.compile(r"[0-9]+")


def content_key(row: Row) -> bytes:
    """Equal for rows that say the same with the same words."""
    digest = blake2b(digest_size=16)
    for message in row.messages:
        # punctuation alone ("!!!") compares as itself, not as nothing
        text = comparable(message.content) or message.content
        # without punctuation 3.5 and 35 would be one number
        digest.update(f"{message.role}\0{text}\0{_DIGITS.findall(message.content)}\0".encode())
    return digest.digest()
