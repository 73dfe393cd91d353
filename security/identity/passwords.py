"""Passwords: argon2id, and what counts as too weak."""

import os
import secrets
from threading import BoundedSemaphore

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from contracts.errors import InvalidRequestError

MEMORY_KIB = 19_456
ITERATIONS = 2
LANES = 1
"""The OWASP Password Storage Cheat Sheet's first choice for argon2id: 19 MiB, two passes, one lane."""
SHORTEST = 12
LONGEST = 256
"""Characters; hashing has no limit of its own."""
FEWEST_DISTINCT = 6
_AT_ONCE = BoundedSemaphore(2)
"""Hashes computed at the same time: each takes 19 MiB and a core for a tenth of a second."""
COMMON = ("password", "qwerty", "tuneway", "admin", "123456", "abcdef", "letmein", "iloveyou", "비밀번호")


def hash_password(password: str) -> str:
    """The hash in PHC form, which carries its parameters and its salt."""
    derivation = Argon2id(salt=os.urandom(16), length=32, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB)
    with _AT_ONCE:
        return derivation.derive_phc_encoded(password.encode())


def verify_password(password: str, hashed: str) -> bool:
    """Whether the password made this hash; takes as long either way."""
    try:
        with _AT_ONCE:
            Argon2id.verify_phc_encoded(password.encode(), hashed)
    except (InvalidKey, ValueError):
        return False
    return True


def needs_rehash(hashed: str) -> bool:
    """The hash was made with other parameters than today's."""
    return f"$m={MEMORY_KIB},t={ITERATIONS},p={LANES}$" not in hashed


def random_password() -> str:
    """24 characters of 144 random bits."""
    return secrets.token_urlsafe(18)


def refuse_weak_password(password: str, username: str) -> None:
    """Raise InvalidRequestError for a password that is guessed first."""
    lowered = password.lower()
    weakness = (
        f"{len(password)} characters"
        if not SHORTEST <= len(password) <= LONGEST
        else "contains the user name"
        if username.lower() in lowered
        else f"{len(set(password))} different characters"
        if len(set(password)) < FEWEST_DISTINCT
        else "is a common word with little beside it"
        if any(word in lowered and len(password) - len(word) < FEWEST_DISTINCT for word in COMMON)
        else None
    )
    if weakness is not None:
        raise InvalidRequestError(
            "The password is too weak",
            # what it is, never itself: errors are logged
            value=weakness,
            allowed=f"{SHORTEST} to {LONGEST} characters, {FEWEST_DISTINCT} of them different, without the user name",
            next_step="choose a longer one, or have one made: leave the password out",
        )
