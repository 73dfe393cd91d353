"""How far raters agree beyond chance: Cohen's kappa, Krippendorff's alpha, confusion, each interval from resampled items.

    kappa = 1 - Σ w_vk o_vk / Σ w_vk e_vk                 Cohen 1960, weighted 1968; w_vv = 0
    alpha = 1 - Σ o_vk δ²_vk / (Σ n_v n_k δ²_vk / (n-1))   Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"

o_vk of alpha is the coincidence matrix: each item adds c_v (c_k - [v = k]) / (m - 1) for its m ratings, of which c_v say v.
δ² is 0 or 1 (nominal), the squared number of ratings between two values in rank (ordinal) or (v - k)² (interval).
Both are functions of a sum over items, so a resample is a weighted sum.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.enums import MeasurementLevel
from contracts.evaluation import Interval
from contracts.ratings import Agreement, Coefficient, Confusion

RESAMPLES = 2_000
SEED = 20_260_101
MIN_DEFINED_SHARE = 0.5
"""Of the resamples that must have a coefficient for an interval to be given."""

Ratings = Mapping[str, Mapping[str, str]]
"""By item_key: what each rater said."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Scale:
    """The values in their order, and how far apart they are for the interval level."""

    labels: Sequence[str]
    positions: Floats


def _scale(labels: Sequence[str]) -> _Scale:
    """Numbers stand where they say; names stand one apart."""
    try:
        positions = np.array([float(label) for label in labels])
    except ValueError:
        positions = np.arange(len(labels), dtype=np.float64)
    return _Scale(labels, positions)


def agreement(ratings: Ratings, labels: Sequence[str], level: MeasurementLevel) -> Agreement:
    """Agreement on the items that at least two raters rated. `labels` are all values that a rating may have, in order."""
    scale = _scale(labels)
    raters = sorted({rater for of_item in ratings.values() for rater in of_item})
    numbers = {label: number for number, label in enumerate(labels)}
    counts_nv = np.zeros((len(ratings), len(labels)))
    for row, key in enumerate(sorted(ratings)):
        for value in ratings[key].values():
            counts_nv[row, numbers[value]] += 1
    counts_nv = counts_nv[counts_nv.sum(axis=1) >= 2]
    kappa = weighted = None
    if len(raters) == 2:
        cells_nvk = _cells([ratings[key] for key in sorted(ratings)], raters, numbers)
        kappa = cohens_kappa(cells_nvk)
        if level is not MeasurementLevel.NOMINAL:
            weighted = cohens_kappa(cells_nvk, (scale.positions[:, None] - scale.positions[None, :]) ** 2)
    return Agreement(
        raters=raters,
        items=len(counts_nv),
        ratings=int(counts_nv.sum()),
        observed=_observed(counts_nv),
        level=level,
        alpha={one: krippendorffs_alpha(counts_nv, one, scale.positions) for one in MeasurementLevel},
        kappa=kappa,
        weighted_kappa=weighted,
    )


def confusion(first: Mapping[str, str], second: Mapping[str, str], labels: Sequence[str]) -> Confusion:
    """What two sides said of the same items, counted."""
    counted = Counter((first[key], second[key]) for key in first.keys() & second.keys())
    return Confusion(labels=list(labels), counts=[[counted[row, column] for column in labels] for row in labels])


def confusion_by_category(
    first: Mapping[str, str], second: Mapping[str, str], labels: Sequence[str], categories: Mapping[str, str]
) -> dict[str, Confusion]:
    """The same within each category."""
    keys: dict[str, list[str]] = defaultdict(list)
    for key in first.keys() & second.keys():
        keys[categories[key]].append(key)
    return {
        category: confusion({key: first[key] for key in of}, second, labels) for category, of in sorted(keys.items())
    }


def common_opinion(ratings: Ratings, labels: Sequence[str], level: MeasurementLevel, undecided: str) -> dict[str, str]:
    """What several raters say together of each item: the most frequent value, or the lower median of scores.

    Where two values of a nominal scale are equally frequent the opinion is `undecided`.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    opinions = {}
    for key, of_item in ratings.items():
        said = sorted(of_item.values(), key=numbers.__getitem__)
        if not said:
            continue
        if level is MeasurementLevel.NOMINAL:
            ranked = Counter(said).most_common()
            is_tied = len(ranked) > 1 and ranked[0][1] == ranked[1][1]
            opinions[key] = undecided if is_tied else ranked[0][0]
        else:
            opinions[key] = said[(len(said) - 1) // 2]
    return opinions


def krippendorffs_alpha(counts_nv: Floats, level: MeasurementLevel, positions: Floats) -> Coefficient:
    """Alpha of items' counts: how many raters gave item n the value v. Items with one rating tell nothing."""
    sizes_n = counts_nv.sum(axis=1)
    counts_nv, sizes_n = counts_nv[sizes_n >= 2], sizes_n[sizes_n >= 2]
    pairs_nvk = counts_nv[:, :, None] * counts_nv[:, None, :]
    diagonal = np.arange(counts_nv.shape[1])
    pairs_nvk[:, diagonal, diagonal] -= counts_nv
    coincidences_nvk = pairs_nvk / (sizes_n - 1)[:, None, None]

    def alpha(sums_bvk: Floats) -> Floats:
        marginals_bv = sums_bvk.sum(axis=2)
        totals_b = marginals_bv.sum(axis=1)
        distances = _squared_distances(marginals_bv, level, positions)
        observed_b = (sums_bvk * distances).sum(axis=(1, 2))
        expected_b = (marginals_bv[:, :, None] * marginals_bv[:, None, :] * distances).sum(axis=(1, 2))
        return _one_minus_ratio(observed_b * (totals_b - 1), expected_b)

    return _coefficient(coincidences_nvk, alpha)


def _squared_distances(marginals_bv: Floats, level: MeasurementLevel, positions: Floats) -> Floats:
    count = len(positions)
    if level is MeasurementLevel.NOMINAL:
        return (1.0 - np.eye(count))[None]
    if level is MeasurementLevel.INTERVAL:
        return ((positions[:, None] - positions[None, :]) ** 2)[None]
    # ratings up to the middle of each value; the distance of two ranks is what lies between their middles
    middles_bv = np.cumsum(marginals_bv, axis=1) - marginals_bv / 2
    distances: Floats = (middles_bv[:, :, None] - middles_bv[:, None, :]) ** 2
    return distances


def cohens_kappa(cells_nvk: Floats, weights: Floats | None = None) -> Coefficient:
    """Kappa of two raters; `cells_nvk` has a single 1 for each item, at (first rater's value, second rater's)."""
    count = cells_nvk.shape[1]
    disagreement = 1.0 - np.eye(count) if weights is None else weights

    def kappa(sums_bvk: Floats) -> Floats:
        rows_bv, columns_bv = sums_bvk.sum(axis=2), sums_bvk.sum(axis=1)
        totals_b = rows_bv.sum(axis=1)
        observed_b = (sums_bvk * disagreement).sum(axis=(1, 2))
        expected_b = (rows_bv[:, :, None] * columns_bv[:, None, :] * disagreement).sum(axis=(1, 2))
        return _one_minus_ratio(observed_b * totals_b, expected_b)

    return _coefficient(cells_nvk, kappa)


def _cells(items: Sequence[Mapping[str, str]], raters: Sequence[str], numbers: Mapping[str, int]) -> Floats:
    both = [of_item for of_item in items if len(of_item) == 2]
    cells_nvk = np.zeros((len(both), len(numbers), len(numbers)))
    for row, of_item in enumerate(both):
        cells_nvk[row, numbers[of_item[raters[0]]], numbers[of_item[raters[1]]]] = 1
    return cells_nvk


def _one_minus_ratio(numerators_b: Floats, denominators_b: Floats) -> Floats:
    """Not a number where nothing could have differed."""
    defined_b = denominators_b > 0
    values_b: Floats = np.where(defined_b, 1 - numerators_b / np.where(defined_b, denominators_b, 1.0), np.nan)
    return values_b


def _coefficient(terms_nvk: Floats, measure: Callable[[Floats], Floats]) -> Coefficient:
    """The measure of the items' sum, with percentiles of the measure over items drawn again."""
    items = len(terms_nvk)
    if items == 0:
        return Coefficient(value=None, interval=None)
    value = float(measure(terms_nvk.sum(axis=0)[None])[0])
    if np.isnan(value):
        return Coefficient(value=None, interval=None)
    return Coefficient(value=value, interval=_interval(terms_nvk, measure) if items > 1 else None)


def _interval(terms_nvk: Floats, measure: Callable[[Floats], Floats]) -> Interval | None:
    items, values = terms_nvk.shape[:2]
    draws_bn = np.random.default_rng(SEED).multinomial(items, np.full(items, 1 / items), size=RESAMPLES)
    sums_bvk = (draws_bn @ terms_nvk.reshape(items, -1)).reshape(RESAMPLES, values, values)
    measured = measure(sums_bvk)
    measured = measured[~np.isnan(measured)]
    if len(measured) < MIN_DEFINED_SHARE * RESAMPLES:
        return None
    lower, upper = np.quantile(measured, [0.025, 0.975])
    return Interval(lower=float(lower), upper=float(upper), method="item bootstrap")


def _observed(counts_nv: Floats) -> float | None:
    sizes_n = counts_nv.sum(axis=1)
    pairs = (sizes_n * (sizes_n - 1)).sum()
    return None if pairs == 0 else float((counts_nv * (counts_nv - 1)).sum() / pairs)
