"""How strongly numbers lean towards a key's signs, and how likely that is by chance.

    z = <x, s> / |x|        P(z >= t) <= exp(-t² / 2)  for any fixed x and signs drawn independently of it (Hoeffding, 1963)

Tensors are joined with weights that depend on their shapes alone: z = sum w_i z_i, sum w_i² = 1. That is <u, s> of one
unit vector u again, so the bound holds for the whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DETECTED_FROM = 8.0
"""exp(-32) = 1.3e-14 for one key."""
INCONCLUSIVE_FROM = 4.0


@dataclass(slots=True)
class Correlation:
    """Sums over numbers and their signs."""

    product: float = 0.0
    squares: float = 0.0

    def add(self, values: NDArray[np.floating], signs: NDArray[np.floating]) -> None:
        """Take more of them in. Not-a-number counts as nothing: one must not hide the mark."""
        if not np.isfinite(values).all():
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        self.product += float(np.dot(values, signs))
        self.squares += float(np.dot(values, values))

    @property
    def z(self) -> float:
        """Zero where there are no numbers but zeros."""
        return self.product / math.sqrt(self.squares) if self.squares > 0 else 0.0


def joined(parts: Sequence[tuple[float, float]]) -> float:
    """The z of several tensors, each given by its z and its number of freedoms."""
    total = sum(freedoms for _, freedoms in parts)
    return sum(math.sqrt(freedoms / total) * z for z, freedoms in parts) if total else 0.0


def log10_chance(z: float, keys_tried: int = 1) -> float:
    """Decimal logarithm of the bound: by chance, one of so many keys reaches z at most so often."""
    return min(0.0, -(max(z, 0.0) ** 2) / 2 / math.log(10) + math.log10(max(keys_tried, 1)))
