"""Which arm a user gets: a keyed hash of experiment and user, so the same user always gets the same one."""

import hashlib
import math
from collections.abc import Mapping
from functools import lru_cache

from contracts.enums import Arm, Exposure
from contracts.errors import InvalidRequestError
from contracts.experiments import TrafficSplit
from contracts.layers import LAYER_BUCKETS

# A power of two with an exact float: the point is one of 2^53 evenly spaced values below 1.
_POINTS = 1 << 53


def user_key(secret: str, user: str) -> str:
    """The user's pseudonym: 32 hex digits that nobody can turn back or make without the secret."""
    return hashlib.blake2b(user.encode(), key=_key(secret), digest_size=16, person=b"tuneway-user").hexdigest()


def assignment_point(secret: str, experiment_id: int, user: str) -> float:
    """The user's place in [0, 1), uniform over users and independent between experiments."""
    return _point(secret, experiment_id, user, b"tuneway-arm")


def bucket_of(secret: str, layer: str, user: str) -> int:
    """The user's bucket of the layer, the same for every test and independent of the arms in each."""
    return int(_point(secret, layer, user, b"tuneway-layer") * LAYER_BUCKETS)


def exposure_of(secret: str, experiment_id: int, user: str, *, holdout: float, exposed: float) -> Exposure:
    """Whether the user takes part, independently of the arm: `holdout` is of all users, `exposed` of the others.

    A larger share of either moves only the users it takes in.
    """
    point = _point(secret, experiment_id, user, b"tuneway-exposure")
    if point >= 1 - holdout:
        return Exposure.HOLDOUT
    return Exposure.ASSIGNED if point < exposed * (1 - holdout) else Exposure.NOT_YET


def assign_arm(secret: str, experiment_id: int, user: str, split: TrafficSplit) -> Arm:
    """The user's arm: a below the share of a, else b. A larger share moves only the users it takes in."""
    return Arm.A if assignment_point(secret, experiment_id, user) < split.a else Arm.B


def arm_point(secret: str, experiment_id: int, user: str, arm: str) -> float:
    """The user's place in (0, 1] for one arm of many, independent between arms."""
    return 1 - _point(secret, f"{experiment_id}\0{arm}", user, b"tuneway-arms")


def assign_among(secret: str, experiment_id: int, user: str, shares: Mapping[str, float]) -> str:
    """The user's arm, by weighted rendezvous hashing: a share that changes moves users to or from that arm alone.

    The users of an arm that is left out go to the others in proportion to their shares.
    """
    usable = {arm: share for arm, share in shares.items() if share > 0}
    if not usable or any(share < 0 or not math.isfinite(share) for share in shares.values()):
        raise InvalidRequestError(
            "No arm can be assigned by these shares",
            value=dict(shares),
            allowed="shares that are not negative, one of them above 0",
            next_step="give each arm that is to get users a share",
        )
    # an exponential of rate `share` each: the smallest is that of an arm with a chance of its share (Thaler, Ravishankar 1998)
    return min(sorted(usable), key=lambda arm: -math.log(arm_point(secret, experiment_id, user, arm)) / usable[arm])


def _point(secret: str, scope: int | str, user: str, person: bytes) -> float:
    digest = hashlib.blake2b(f"{scope}\0{user}".encode(), key=_key(secret), digest_size=8, person=person).digest()
    return (int.from_bytes(digest, "big") >> 11) / _POINTS


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    # BLAKE2 takes keys of up to 64 bytes
    return hashlib.blake2b(secret.encode(), digest_size=32).digest()
