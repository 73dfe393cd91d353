"""Which arm a user gets: a keyed hash of experiment and user, so the same user always gets the same one."""

import hashlib

from contracts.enums import Arm
from contracts.experiments import TrafficSplit

# A power of two with an exact float: the point is one of 2^53 evenly spaced values below 1.
_POINTS = 1 << 53


def user_key(secret: str, user: str) -> str:
    """The user's pseudonym: 32 hex digits that nobody can turn back or make without the secret."""
    return hashlib.blake2b(user.encode(), key=_key(secret), digest_size=16, person=b"tuneway-user").hexdigest()


def assignment_point(secret: str, experiment_id: int, user: str) -> float:
    """The user's place in [0, 1), uniform over users and independent between experiments."""
    digest = hashlib.blake2b(
        f"{experiment_id}\0{user}".encode(), key=_key(secret), digest_size=8, person=b"tuneway-arm"
    ).digest()
    return (int.from_bytes(digest, "big") >> 11) / _POINTS


def assign_arm(secret: str, experiment_id: int, user: str, split: TrafficSplit) -> Arm:
    """The user's arm: a below the share of a, else b. A larger share moves only the users it takes in."""
    return Arm.A if assignment_point(secret, experiment_id, user) < split.a else Arm.B


def _key(secret: str) -> bytes:
    # BLAKE2 takes keys of up to 64 bytes
    return hashlib.blake2b(secret.encode(), digest_size=32).digest()
