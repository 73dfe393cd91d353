"""Agreement against scikit-learn and the krippendorff package, and by hand."""

import random
import warnings

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from contracts.enums import MeasurementLevel
from evaluation.agreement import agreement, common_opinion, confusion, confusion_by_category

SCORES = ["1", "2", "3", "4", "5"]


def rated(items: int, raters: int, missing: float, seed: int = 0) -> dict[str, dict[str, str]]:
    """Ratings around a true score, some of them missing."""
    chance = random.Random(seed)
    ratings: dict[str, dict[str, str]] = {}
    for item in range(items):
        truth = chance.randint(1, 5)
        ratings[f"item-{item:03d}"] = {
            f"rater-{rater}": str(min(5, max(1, truth + chance.choice([-1, 0, 0, 0, 1, 2]))))
            for rater in range(raters)
            if chance.random() >= missing
        }
    return ratings


def matrix(ratings: dict[str, dict[str, str]], raters: int) -> np.ndarray:
    return np.array(
        [[float(of.get(f"rater-{rater}", "nan")) for of in ratings.values()] for rater in range(raters)]
    )  # fmt: skip


@pytest.mark.parametrize("level", list(MeasurementLevel))
@pytest.mark.parametrize(("raters", "missing"), [(2, 0.0), (3, 0.3), (5, 0.6)])
def test_alpha_is_that_of_the_krippendorff_package(level, raters, missing):
    ratings = rated(80, raters, missing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = krippendorff.alpha(
            reliability_data=matrix(ratings, raters), level_of_measurement=level.value, value_domain=[1, 2, 3, 4, 5]
        )
    found = agreement(ratings, SCORES, level).deciding
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.interval is not None
    assert found.interval.lower < expected < found.interval.upper


@pytest.mark.parametrize(
    ("level", "weights"), [(MeasurementLevel.NOMINAL, None), (MeasurementLevel.ORDINAL, "quadratic")]
)
def test_kappa_is_that_of_scikit_learn(level, weights):
    ratings = rated(120, 2, 0.0, seed=3)
    first, second = ([of[f"rater-{rater}"] for of in ratings.values()] for rater in (0, 1))
    found = agreement(ratings, SCORES, level)
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    if weights is None:
        assert found.weighted_kappa is None
    else:
        assert found.weighted_kappa is not None
        expected = cohen_kappa_score([int(one) for one in first], [int(one) for one in second], weights=weights)
        assert found.weighted_kappa.value == pytest.approx(expected, abs=1e-12)


def test_the_interval_covers_the_true_alpha_about_as_often_as_it_says():
    # two raters who say the truth with probability 0.8 and else anything: alpha in the limit is 0.64
    covered = 0
    for seed in range(100):
        chance = random.Random(seed)
        ratings = {}
        for item in range(100):
            truth = chance.choice("ab")
            ratings[str(item)] = {
                rater: truth if chance.random() < 0.8 else chance.choice("ab") for rater in ("one", "two")
            }
        interval = agreement(ratings, ["a", "b"], MeasurementLevel.NOMINAL).deciding.interval
        assert interval is not None
        covered += interval.lower <= 0.64 <= interval.upper
    assert 88 <= covered <= 100


def test_agreement_by_hand():
    # 4 items, two raters, three the same: observed 3/4; n_a = 5, n_b = 3, n = 8
    # alpha = 1 - (2/8) · 8·7 / (2·5·3) · (8/8) = 1 - 2·7/30
    ratings = {
        "1": {"x": "a", "y": "a"},
        "2": {"x": "a", "y": "a"},
        "3": {"x": "b", "y": "b"},
        "4": {"x": "a", "y": "b"},
    }
    found = agreement(ratings, ["a", "b"], MeasurementLevel.NOMINAL)
    assert found.observed == 0.75
    assert found.deciding.value == pytest.approx(1 - 14 / 30)
    assert (found.items, found.ratings) == (4, 8)


def test_what_nobody_could_disagree_on_has_no_coefficient():
    same = {str(item): {"x": "a", "y": "a"} for item in range(5)}
    found = agreement(same, ["a", "b"], MeasurementLevel.NOMINAL)
    assert found.deciding.value is None
    assert found.kappa is not None
    assert found.kappa.value is None
    assert found.observed == 1.0


def test_items_with_one_rating_tell_nothing():
    found = agreement({"1": {"x": "a"}, "2": {"y": "b"}}, ["a", "b"], MeasurementLevel.NOMINAL)
    assert (found.items, found.observed, found.deciding.value) == (0, None, None)


def test_several_experts_have_one_opinion():
    ratings = {"1": {"x": "a", "y": "b"}, "2": {"x": "a", "y": "a", "z": "b"}, "3": {}}
    assert common_opinion(ratings, ["a", "tie", "b"], MeasurementLevel.NOMINAL, "tie") == {"1": "tie", "2": "a"}
    scores = {"1": {"x": "2", "y": "5"}, "2": {"x": "5", "y": "1", "z": "4"}}
    assert common_opinion(scores, SCORES, MeasurementLevel.ORDINAL, "3") == {"1": "2", "2": "4"}


def test_confusion_counts_what_both_rated_by_category():
    first, second = {"1": "a", "2": "a", "3": "b", "4": "a"}, {"1": "a", "2": "b", "3": "b", "5": "a"}
    assert confusion(first, second, ["a", "b"]).counts == [[1, 1], [0, 1]]
    by_category = confusion_by_category(first, second, ["a", "b"], {"1": "x", "2": "y", "3": "y", "4": "y"})
    assert {name: one.counts for name, one in by_category.items()} == {"x": [[1, 0], [0, 0]], "y": [[0, 1], [0, 1]]}
