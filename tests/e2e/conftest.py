"""One platform for all end-to-end tests: the demo is run on it once."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Installation, free_port_base

DEMO_RUN = "e2e-demo"


@pytest.fixture(scope="session")
def installation(demo_base_model) -> Iterator[Installation]:
    """A platform with the base model at hand; ended, with everything it started, after the last test."""
    folder = Path(tempfile.mkdtemp(prefix="tuneway-e2e-"))
    folder.chmod(0o755)  # PostgreSQL may run as another account
    shutil.copytree(demo_base_model, folder / "models" / "base" / "demo-base")
    platform = Installation(folder, free_port_base())
    yield platform
    down = platform.tuneway("down")
    left = platform.processes()
    for process in left:
        process.kill()
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False)
    assert down.returncode == 0, down.stderr
    assert left == [], f"`tuneway down` has left {left}"


@pytest.fixture(scope="session")
def demo(installation) -> subprocess.CompletedProcess[str]:
    """`tuneway demo`, run to its end."""
    completed: subprocess.CompletedProcess[str] = installation.tuneway("demo", "--run-id", DEMO_RUN, timeout=3000)
    print(completed.stderr)
    print(completed.stdout)
    assert completed.returncode == 0, completed.stderr
    return completed
