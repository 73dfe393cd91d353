"""The watermark's benchmark measures what it says."""

import pytest

from tests.benchmarks.test_benchmarks import run_tiny


@pytest.mark.slow
def test_marks_are_found_after_every_attack_and_by_no_other_key():
    result, _ = run_tiny("watermark")

    assert result["weights"]["marked"] >= 18
    assert result["adapter"]["rank re-base"] >= 15
    assert result["wrong_keys"]["largest"] < 5
