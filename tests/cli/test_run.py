"""How `make test` runs the tests: what failed is run once more, and what fails twice has failed."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY_ROOT

TESTS = """
from pathlib import Path

def test_steady():
    assert True

def test_first_time():
    before = Path("ran").exists()
    Path("ran").touch()
    assert before

def test_never():
    assert {never}
"""


def run(folder, *marks):
    return subprocess.run(
        ["sh", str(REPOSITORY_ROOT / "tests" / "run.sh"), sys.executable, "-n", "1", "--", *marks],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_what_fails_once_is_named_and_what_fails_twice_has_failed(folder):
    tests = folder / "test_some.py"
    tests.write_text(TESTS.format(never=True))
    ended = run(folder)
    assert ended.returncode == 0, ended.stdout
    assert "is unsteady" in ended.stdout
    assert "PASSED test_some.py::test_first_time" in ended.stdout
    assert "PASSED test_some.py::test_steady" not in ended.stdout
    assert "1 failed, 2 passed" in ended.stdout
    (folder / "ran").unlink()
    tests.write_text(TESTS.format(never=False))
    ended = run(folder)
    assert ended.returncode == 1
    assert ended.stdout.count("FAILED test_some.py::test_never") == 2


def test_a_run_without_tests_or_with_an_error_of_its_own_is_not_run_again(folder):
    for arguments in ([], ["--no-such-option"]):
        ended = run(folder, *arguments)
        assert ended.returncode not in (0, 1), arguments
        assert "Once more" not in ended.stdout
