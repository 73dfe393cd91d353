"""Several questions to one experiment: adjusted p values. Fed with always-valid p values, the answer may be read at
any look.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from contracts.errors import InvalidRequestError


def adjust_by_holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """For several metrics: the chance of one false finding among all stays below alpha (Holm 1979)."""
    names, ordered = _ordered(p_values)
    count = len(names)
    adjusted = np.maximum.accumulate(np.minimum(1.0, ordered * np.arange(count, 0, -1)))
    return _as_given(p_values, names, adjusted)


def adjust_by_benjamini_hochberg(p_values: Mapping[str, float]) -> dict[str, float]:
    """For segments: the share of false ones among the findings stays below alpha (Benjamini, Hochberg 1995).

    Segments are different users, so that their p values are independent, which this rests on.
    """
    names, ordered = _ordered(p_values)
    count = len(names)
    raw = np.minimum(1.0, ordered * count / np.arange(1, count + 1))
    return _as_given(p_values, names, np.minimum.accumulate(raw[::-1])[::-1])


def _ordered(p_values: Mapping[str, float]) -> tuple[list[str], np.ndarray]:
    wrong = {name: p for name, p in p_values.items() if not 0 <= p <= 1}
    if wrong:
        raise InvalidRequestError(
            "A p value is no probability", value=wrong, allowed="0 to 1", next_step="leave out what was not computable"
        )
    names = sorted(p_values, key=lambda name: p_values[name])
    return names, np.array([p_values[name] for name in names], dtype=float)


def _as_given(p_values: Mapping[str, float], names: list[str], adjusted: np.ndarray) -> dict[str, float]:
    found = dict(zip(names, map(float, adjusted), strict=True))
    return {name: found[name] for name in p_values}
