"""The import's benchmark measures what it says."""

import pytest

from tests.benchmarks.test_benchmarks import run_tiny


@pytest.mark.slow
@pytest.mark.deep
def test_every_format_is_imported_with_the_same_rows():
    result, _ = run_tiny("imports")

    assert len(result["measured"]) == 8
    assert len({line["rows"] for line in result["measured"]}) == 1
    assert all(line["cpu_ratio"] > 0 for line in result["measured"])
