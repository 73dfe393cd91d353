"""One platform for all end-to-end tests: the demo is run on it once."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.installation import Installation, own_installation

DEMO_RUN = "e2e-demo"


@pytest.fixture(scope="session")
def installation(demo_base_model) -> Iterator[Installation]:
    """A platform with the base model at hand; ended, with everything it started, after the last test."""
    with own_installation(demo_base_model) as platform:
        yield platform


@pytest.fixture(scope="session")
def demo(installation) -> subprocess.CompletedProcess[str]:
    """`tuneway demo`, run to its end."""
    completed: subprocess.CompletedProcess[str] = installation.tuneway("demo", "--run-id", DEMO_RUN, timeout=3000)
    print(completed.stderr)
    print(completed.stdout)
    assert completed.returncode == 0, completed.stderr
    return completed
