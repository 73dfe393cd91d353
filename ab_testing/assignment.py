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
    state = _users(secret).copy()
    state.update(user.encode())
    return state.hexdigest()


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
    return 1 - _point_in(_scoped_to_arm(secret, experiment_id, arm), user)


def assign_among(secret: str, experiment_id: int, user: str, shares: Mapping[str, float]) -> str:
    """The user's arm, by weighted rendezvous hashing: a share that changes moves users to or from that arm alone.

    The users of an arm that is left out go to the others in proportion to their shares.
    """
    chosen, shortest = None, math.inf
    for arm, share in shares.items():
        if not 0 <= share < math.inf:
            raise _no_arm(shares)
        if share:
            # an exponential of rate `share`: the smallest is that of an arm with a chance of its share (Thaler, Ravishankar 1998)
            wait = -math.log(arm_point(secret, experiment_id, user, arm)) / share
            # waits that are alike go by the name: the order of the mapping decides nothing
            if chosen is None or wait < shortest or (wait == shortest and arm < chosen):
                chosen, shortest = arm, wait
    if chosen is None:
        raise _no_arm(shares)
    return chosen


def _no_arm(shares: Mapping[str, float]) -> InvalidRequestError:
    return InvalidRequestError(
        "No arm can be assigned by these shares",
        value=dict(shares),
        allowed="shares that are not negative, one of them above 0",
        next_step="give each arm that is to get users a share",
    )


def _point(secret: str, scope: int | str, user: str, person: bytes) -> float:
    return _point_in(_scoped(secret, scope, person), user)


def _point_in(scoped: hashlib.blake2b, user: str) -> float:
    state = scoped.copy()
    state.update(user.encode())
    return (int.from_bytes(state.digest(), "big") >> 11) / _POINTS


# a copy of a state takes a fifth of the time of a new one with its key; 1,024: all arms of a hundred tests of ten
@lru_cache(maxsize=1024)
def _scoped(secret: str, scope: int | str, person: bytes) -> hashlib.blake2b:
    return hashlib.blake2b(f"{scope}\0".encode(), key=_key(secret), digest_size=8, person=person)


@lru_cache(maxsize=1024)
def _scoped_to_arm(secret: str, experiment_id: int, arm: str) -> hashlib.blake2b:
    return _scoped(secret, f"{experiment_id}\0{arm}", b"tuneway-arms")


@lru_cache(maxsize=8)
def _users(secret: str) -> hashlib.blake2b:
    return hashlib.blake2b(key=_key(secret), digest_size=16, person=b"tuneway-user")


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    # BLAKE2 takes keys of up to 64 bytes
    return hashlib.blake2b(secret.encode(), digest_size=32).digest()
