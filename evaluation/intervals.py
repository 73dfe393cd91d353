"""95 % intervals of scores: Wilson for rates, resampled source documents for everything else.

Cases written from one document stand and fall together, so what is drawn again is documents, not cases: all cases of a
document come or stay away at once (the cluster bootstrap; Davison and Hinkley 1997, section 3.8). A case without a document
is a document of its own. Bounds are BCa (Efron 1987): percentiles corrected for the bias and the skew of the estimate.
Every interval is seeded, so the same scores give the same bounds.
"""

import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from contracts.evaluation import Interval
from contracts.suites import ScoreEstimate
from evaluation.statistics import Z_95, wilson_interval

RESAMPLES = 2_000
MOST_RESAMPLED_CLUSTERS = 20_000
"""From there on the estimate is as good as normal, and its linearised variance takes the place of resampling."""
FEWEST_CLUSTERS = 2
"""One document tells nothing about others."""
_DRAWS_AT_A_TIME = 4_000_000
"""Counts of one block of resamples: 32 MB."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Clusters:
    """Sums of numerator and denominator within each cluster."""

    numerators_k: Floats
    denominators_k: Floats

    @property
    def count(self) -> int:
        return len(self.numerators_k)

    @property
    def ratio(self) -> float:
        return float(self.numerators_k.sum() / self.denominators_k.sum())


def rate_estimate(name: str, correct: int, n: int) -> ScoreEstimate:
    """A share of right answers, with Wilson's interval."""
    return ScoreEstimate(name=name, value=correct / n if n else 0.0, interval=wilson_interval(correct, n), n=n)


def mean_estimate(name: str, values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> ScoreEstimate:
    """A mean over cases; `clusters` names each case's source document, None where it has none."""
    return ratio_estimate(name, values, [1.0] * len(values), clusters)


def ratio_estimate(
    name: str,
    numerators: Sequence[float],
    denominators: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
) -> ScoreEstimate:
    """The sum of the numerators over that of the denominators: tokens per second, negative log likelihood per token."""
    grouped = _grouped(numerators, denominators, clusters)
    return ScoreEstimate(
        name=name,
        value=grouped.ratio,
        interval=_ratio_interval(grouped, seed=zlib.crc32(name.encode())),
        n=len(numerators),
        clusters=grouped.count,
    )


def macro_f1_estimate(name: str, golds: Sequence[int], predictions: Sequence[int]) -> ScoreEstimate:
    """The mean of each class's F1, with percentiles over resampled cases."""
    golds_n, predictions_n = np.asarray(golds), np.asarray(predictions)
    size = int(max(golds_n.max(), predictions_n.max())) + 1
    cells_n = golds_n * size + predictions_n
    shares = np.bincount(cells_n, minlength=size * size) / len(cells_n)
    # cases of one cell of the confusion matrix are alike, so that drawing cases is drawing cells
    draws_bc = np.random.default_rng(zlib.crc32(name.encode())).multinomial(len(cells_n), shares, size=RESAMPLES)
    resampled = _macro_f1(draws_bc.reshape(RESAMPLES, size, size).astype(np.float64))
    counts = np.bincount(cells_n, minlength=size * size).reshape(1, size, size).astype(np.float64)
    return ScoreEstimate(
        name=name,
        value=float(_macro_f1(counts)[0]),
        interval=Interval(
            lower=float(np.quantile(resampled, 0.025)),
            upper=float(np.quantile(resampled, 0.975)),
            method="bootstrap percentile",
        ),
        n=len(cells_n),
    )


def _macro_f1(confusion_bgp: Floats) -> Floats:
    """Over the classes that occur, as gold or as prediction."""
    right_bk = np.diagonal(confusion_bgp, axis1=1, axis2=2)
    there_bk = confusion_bgp.sum(axis=1) + confusion_bgp.sum(axis=2)
    f1_bk = 2 * right_bk / np.where(there_bk == 0, 1.0, there_bk)
    means: Floats = f1_bk.sum(axis=1) / np.maximum((there_bk > 0).sum(axis=1), 1)
    return means


def quantile_estimate(name: str, values: Sequence[float], share: float) -> ScoreEstimate:
    """A quantile, with the distribution-free interval between two order statistics (Conover 1999, section 3.2)."""
    from scipy.stats import binom

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    low, high = int(binom.ppf(0.025, n, share)), int(binom.ppf(0.975, n, share)) + 1
    # with few values no order statistic lies far enough out: there is then no bound on that side
    interval = (
        Interval(lower=float(ordered[low - 1]), upper=float(ordered[high - 1]), method="order statistics")
        if low >= 1 and high <= n
        else None
    )
    return ScoreEstimate(name=name, value=float(np.quantile(ordered, share)), interval=interval, n=n)


def transformed(estimate: ScoreEstimate, name: str, function: Callable[[float], float]) -> ScoreEstimate:
    """The estimate and its bounds through an increasing function: perplexity is exp of the loss a token."""
    interval = estimate.interval
    moved = None
    if interval is not None:
        moved = interval.model_copy(update={"lower": function(interval.lower), "upper": function(interval.upper)})
    return estimate.model_copy(update={"name": name, "value": function(estimate.value), "interval": moved})


def _grouped(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[Hashable] | None
) -> _Clusters:
    numerators_n, denominators_n = (np.asarray(values, dtype=np.float64) for values in (numerators, denominators))
    if clusters is None:
        return _Clusters(numerators_n, denominators_n)
    numbers: dict[Hashable, int] = {}
    indices_n = np.fromiter(
        (
            numbers.setdefault(("case", place) if cluster is None else ("document", cluster), len(numbers))
            for place, cluster in enumerate(clusters)
        ),
        dtype=np.int64,
        count=len(clusters),
    )
    return _Clusters(
        np.bincount(indices_n, weights=numerators_n, minlength=len(numbers)).astype(np.float64),
        np.bincount(indices_n, weights=denominators_n, minlength=len(numbers)).astype(np.float64),
    )


def _ratio_interval(clusters: _Clusters, seed: int) -> Interval | None:
    if clusters.count < FEWEST_CLUSTERS:
        return None
    if clusters.count > MOST_RESAMPLED_CLUSTERS:
        return _linearised_interval(clusters)
    resampled = np.sort(np.concatenate(list(_resampled_ratios(clusters, np.random.default_rng(seed)))))
    lower, upper = _bca_shares(resampled, clusters)
    return Interval(
        lower=float(np.quantile(resampled, lower)),
        upper=float(np.quantile(resampled, upper)),
        method="cluster bootstrap BCa",
    )


def _resampled_ratios(clusters: _Clusters, generator: np.random.Generator) -> Iterator[Floats]:
    """The ratio of each resample: how often each cluster was drawn, times its sums."""
    shares_k = np.full(clusters.count, 1 / clusters.count)
    block = max(1, min(RESAMPLES, _DRAWS_AT_A_TIME // clusters.count))
    left = RESAMPLES
    while left:
        size = min(block, left)
        draws_bk = generator.multinomial(clusters.count, shares_k, size=size)
        denominators_b = draws_bk @ clusters.denominators_k
        yield (draws_bk @ clusters.numerators_k) / np.where(denominators_b == 0, 1.0, denominators_b)
        left -= size


def _bca_shares(resampled: Floats, clusters: _Clusters) -> tuple[float, float]:
    """Which percentiles of the resamples are the bounds (Efron and Tibshirani 1993, chapter 14)."""
    normal = NormalDist()
    # ties count half, as for a score that takes few values
    below = (np.sum(resampled < clusters.ratio) + np.sum(resampled <= clusters.ratio)) / (2 * len(resampled))
    left_out = _leave_one_out(clusters)
    deviations = left_out.mean() - left_out
    spread = float(np.sum(deviations**2))
    if not 0 < below < 1 or spread < 1e-24:  # all documents the same: nothing to correct
        return 0.025, 0.975
    bias = normal.inv_cdf(float(below))
    acceleration = float(np.sum(deviations**3)) / (6 * spread**1.5)

    def share(z: float) -> float:
        return normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))

    return share(-Z_95), share(Z_95)


def _leave_one_out(clusters: _Clusters) -> Floats:
    denominators = clusters.denominators_k.sum() - clusters.denominators_k
    numerators = clusters.numerators_k.sum() - clusters.numerators_k
    left_out: Floats = numerators / np.where(denominators == 0, 1.0, denominators)
    return left_out


def _linearised_interval(clusters: _Clusters) -> Interval:
    """Normal bounds from the variance of the linearised ratio (Cochran 1977, section 6.3)."""
    residuals = clusters.numerators_k - clusters.ratio * clusters.denominators_k
    variance = clusters.count / (clusters.count - 1) * float(np.sum(residuals**2))
    half_width = Z_95 * sqrt(variance) / float(clusters.denominators_k.sum())
    return Interval(lower=clusters.ratio - half_width, upper=clusters.ratio + half_width, method="linearised ratio")
