"""Intervals of scores: against scipy and statsmodels, against what can be computed by hand, and how often they cover."""

import math

import numpy as np
import pytest

from evaluation.intervals import (
    MOST_RESAMPLED_CLUSTERS,
    mean_estimate,
    quantile_estimate,
    rate_estimate,
    ratio_estimate,
    transformed,
)

SKEWED = [0.9, 0.2, 0.4, 1.0, 0.0, 0.1, 0.3, 0.2, 0.0, 0.6, 0.05, 0.15, 0.25, 0.1, 0.0, 0.35, 0.8, 0.12, 0.07, 0.5]


def _bounds(estimate):
    assert estimate.interval is not None
    return estimate.interval.lower, estimate.interval.upper


@pytest.mark.parametrize(("correct", "n"), [(0, 5), (187, 200), (200, 200), (3, 7)])
def test_a_rate_has_the_interval_that_statsmodels_gives(correct, n):
    from statsmodels.stats.proportion import proportion_confint

    assert _bounds(rate_estimate("accuracy", correct, n)) == pytest.approx(
        proportion_confint(correct, n, method="wilson"), abs=1e-12
    )


def test_a_mean_has_the_bca_interval_that_scipy_gives():
    from scipy.stats import bootstrap

    theirs = bootstrap((SKEWED,), np.mean, n_resamples=9_999, method="BCa", rng=np.random.default_rng(1))
    ours = mean_estimate("token_f1", SKEWED)
    assert ours.value == pytest.approx(np.mean(SKEWED))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    # two samplings of the same bound: 2,000 resamples move it by about 2 % of the width
    assert _bounds(ours) == pytest.approx(tuple(theirs.confidence_interval), abs=0.06 * width)


def test_a_ratio_of_sums_has_the_interval_that_scipy_gives_for_pairs():
    from scipy.stats import bootstrap

    generator = np.random.default_rng(5)
    lengths = generator.integers(5, 80, size=60).astype(float)
    losses = lengths * generator.normal(2.0, 0.3, size=60)
    theirs = bootstrap(
        (losses, lengths),
        lambda numerators, denominators, axis=-1: numerators.sum(axis=axis) / denominators.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=9_999,
        method="BCa",
        rng=np.random.default_rng(1),
    )
    ours = ratio_estimate("loss", losses.tolist(), lengths.tolist())
    assert ours.value == pytest.approx(losses.sum() / lengths.sum())
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert _bounds(ours) == pytest.approx(tuple(theirs.confidence_interval), abs=0.06 * width)


def test_cases_of_one_document_count_as_one_observation():
    # ten documents, each with twenty equal scores: as uncertain as ten cases
    documents = [f"d-{place}" for place in range(10) for _ in range(20)]
    scores = [value for value in SKEWED[:10] for _ in range(20)]
    clustered = mean_estimate("token_f1", scores, documents)
    assert clustered.clusters == 10
    assert clustered.interval == mean_estimate("token_f1", SKEWED[:10]).interval
    lower, upper = _bounds(mean_estimate("token_f1", scores))
    assert upper - lower < 0.3 * (_bounds(clustered)[1] - _bounds(clustered)[0])


def test_a_case_without_a_document_is_a_document_of_its_own():
    assert mean_estimate("token_f1", SKEWED, [None] * len(SKEWED)) == mean_estimate("token_f1", SKEWED)


def test_the_same_scores_have_the_same_interval():
    assert mean_estimate("token_f1", SKEWED) == mean_estimate("token_f1", SKEWED)


def test_one_document_gives_no_interval():
    assert mean_estimate("token_f1", SKEWED, ["one"] * len(SKEWED)).interval is None


def test_equal_scores_have_an_interval_without_width():
    assert _bounds(mean_estimate("token_f1", [0.5] * 12)) == (0.5, 0.5)


def test_very_many_documents_are_linearised_to_the_normal_interval():
    values = np.tile([0.0, 1.0], MOST_RESAMPLED_CLUSTERS)
    n = len(values)
    half = 1.959963984540054 * values.std(ddof=1) / math.sqrt(n)
    assert _bounds(mean_estimate("score", values.tolist())) == pytest.approx((0.5 - half, 0.5 + half))


def test_a_quantile_lies_between_the_order_statistics_of_the_binomial():
    # for n = 100 and the median Conover's table gives the 40th and the 61st value
    estimate = quantile_estimate("latency_ms_p50", list(range(1, 101)), 0.5)
    assert (estimate.value, _bounds(estimate)) == (50.5, (40, 61))


def test_a_far_quantile_of_few_values_has_no_interval():
    assert quantile_estimate("latency_ms_p99", list(range(20)), 0.99).interval is None


def test_a_bound_goes_through_a_function_as_the_value_does():
    loss = mean_estimate("loss", SKEWED)
    perplexity = transformed(loss, "perplexity", math.exp)
    assert (perplexity.name, perplexity.value) == ("perplexity", math.exp(loss.value))
    assert _bounds(perplexity) == tuple(map(math.exp, _bounds(loss)))


def test_clustered_intervals_cover_the_true_mean_about_as_often_as_they_say():
    """150 samples of 40 documents: 95 % within sampling error; unclustered ones would cover far too rarely."""
    generator = np.random.default_rng(11)
    covered = naive = 0
    rounds = 150
    for _ in range(rounds):
        levels = generator.beta(4, 2, size=40)
        documents = np.repeat(np.arange(40), 5)
        scores = np.clip(levels[documents] + generator.normal(0, 0.03, size=200), 0, 1)
        true = 4 / 6
        lower, upper = _bounds(mean_estimate("score", scores.tolist(), documents.tolist()))
        covered += lower <= true <= upper
        lower, upper = _bounds(mean_estimate("score", scores.tolist()))
        naive += lower <= true <= upper
    assert 0.89 <= covered / rounds <= 0.99
    assert naive / rounds < 0.75
