"""Simulated users: what they rate, how alike the ratings of one user are, when they come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ab_testing.moments import Array
from ab_testing.rating_scale import RatingSpread

LATENT_CORRELATION = 0.341
"""Of the hidden opinion behind two ratings of a user; ratings cut from it have an ICC of 0.30."""


def draw_ratings(random: np.random.Generator, spread: RatingSpread, shape: tuple[int, ...]) -> Array:
    """Independent ratings."""
    return _cut(random.random(shape, dtype=np.float32), np.cumsum(spread.shares)[:-1].astype(np.float32))


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many experiments' users: user j belongs to arm A if j is even, to B if odd. Rows are experiments."""

    arrivals: NDArray[np.int16]
    """Whose rating comes at each moment; -1 where no more comes."""
    opinions: NDArray[np.float32]
    """What is common to a user's ratings."""
    cuts_a: NDArray[np.float32]
    cuts_b: NDArray[np.float32]

    def ratings_at(self, moment: int, random: np.random.Generator) -> Array:
        """Each experiment's rating at that moment."""
        users = self.arrivals[:, moment]
        noise = random.standard_normal(len(users), dtype=np.float32) * np.float32(np.sqrt(1 - LATENT_CORRELATION))
        felt = self.opinions[np.arange(len(users)), users] + noise
        return np.where(users % 2 == 0, _cut(felt, self.cuts_a), _cut(felt, self.cuts_b))


def gather_crowd(
    random: np.random.Generator,
    *,
    experiments: int,
    users_per_arm: int,
    ratings_per_user: int,
    effect: float,
    unequal_counts: bool,
    one_user_after_the_other: bool,
) -> Crowd:
    """Unequal counts are geometric, at most 40; users come one after the other, or all ratings in random order."""
    users = 2 * users_per_arm
    counts = np.full((experiments, users), ratings_per_user)
    if unequal_counts:
        counts = np.minimum(random.geometric(1 / ratings_per_user, (experiments, users)), 40)
    arrivals = np.full((experiments, int(counts.sum(axis=1).max())), -1, dtype=np.int16)
    for row, each in enumerate(counts):
        order = np.repeat(np.arange(users, dtype=np.int16), each)
        if not one_user_after_the_other:
            random.shuffle(order)
        arrivals[row, : len(order)] = order
    spread = RatingSpread()
    opinions = random.standard_normal((experiments, users), dtype=np.float32)
    return Crowd(
        arrivals=arrivals,
        opinions=opinions * np.float32(np.sqrt(LATENT_CORRELATION)),
        cuts_a=_normal_cuts(spread),
        cuts_b=_normal_cuts(spread.moved(effect)),
    )


def _normal_cuts(spread: RatingSpread) -> NDArray[np.float32]:
    cuts: NDArray[np.float32] = stats.norm.ppf(np.cumsum(spread.shares)[:-1]).astype(np.float32)
    return cuts


def _cut(values: NDArray[np.float32], cuts: NDArray[np.float32]) -> Array:
    rated = np.ones(values.shape, dtype=np.int8)
    for cut in cuts:
        rated += values > cut
    return rated.astype(float)
