"""Holm and Benjamini-Hochberg, against statsmodels and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ab_testing.multiplicity import adjust_by_benjamini_hochberg, adjust_by_holm
from contracts.errors import InvalidRequestError

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def named(p_values):
    return {str(place): p for place, p in enumerate(p_values)}


@pytest.mark.parametrize(("adjust", "method"), [(adjust_by_holm, "holm"), (adjust_by_benjamini_hochberg, "fdr_bh")])
def test_adjusted_values_are_those_of_statsmodels(adjust, method):
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is in requirements-dev.txt")
    p_values = np.random.default_rng(4).uniform(0, 0.2, 9)
    expected = multitest.multipletests(p_values, method=method)[1]
    assert list(adjust(named(p_values)).values()) == pytest.approx(list(expected), rel=1e-9)


@given(p_lists)
def test_benjamini_hochberg_is_that_of_scipy(p_values):
    expected = stats.false_discovery_control(p_values)
    assert list(adjust_by_benjamini_hochberg(named(p_values)).values()) == pytest.approx(list(expected), rel=1e-9)


@given(p_lists)
def test_adjusting_never_helps_and_holm_is_the_stricter(p_values):
    holm, bh = adjust_by_holm(named(p_values)), adjust_by_benjamini_hochberg(named(p_values))
    for name, p in named(p_values).items():
        assert p - 1e-12 <= bh[name] <= holm[name] + 1e-12 <= 1 + 1e-12


def test_by_hand():
    # 3 x 0.01, 2 x 0.03, and 0.04 raised to what stands before it
    assert adjust_by_holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_a_value_that_is_no_probability_is_refused():
    with pytest.raises(InvalidRequestError, match="no probability"):
        adjust_by_holm({"a": float("nan")})
