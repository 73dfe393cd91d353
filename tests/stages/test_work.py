"""A job's own process: what it leaves and how it ends when it is asked to stop."""

import subprocess
import sys
import time

import pytest

from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import EXIT_CODE_ERROR, EXIT_CODE_STOPPED
from tests.runner.conftest import submission

WORK = """
import os, signal, sys, time
from stages import work
from contracts.errors import InvalidDataError

def within_a_library(folder):
    try:
        if {stops}:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
    except BaseException as ending:  # as datasets and pybind11 do with all that passes them
        raise {error} from ending
    raise {error}

work.work = within_a_library
raise SystemExit(work.main(sys.argv[1:]))
"""


@pytest.fixture
def run(tmp_path):
    """Runs a job's process whose work ends with the error, stopped in the midst of it or not."""

    def run(error: str, *, stops: bool) -> tuple[int, JobFolder]:
        folder = JobFolder(tmp_path / "train-1")
        write_json_atomically(folder.submission, submission().model_dump(mode="json"))
        folder.attempt(1).root.mkdir(parents=True)
        code = WORK.format(error=error, stops=stops)
        began = time.monotonic()
        ended = subprocess.run([sys.executable, "-c", code, str(folder.root), "1"], check=False, capture_output=True)
        assert time.monotonic() - began < 30, ended.stderr
        return ended.returncode, folder

    return run


@pytest.mark.parametrize("error", ["RuntimeError('the map failed')", "InvalidDataError('The rows cannot be read')"])
def test_a_stop_that_a_library_makes_an_error_of_is_still_a_stop(run, error):
    code, folder = run(error, stops=True)
    assert code == EXIT_CODE_STOPPED
    assert not folder.attempt(1).error.exists()


@pytest.mark.parametrize(
    ("error", "what"),
    [
        ("RuntimeError('the map failed')", "The job met an error that nobody foresaw"),
        ("InvalidDataError('The rows cannot be read')", "The rows cannot be read"),
    ],
)
def test_the_same_error_without_a_stop_is_the_jobs_own(run, error, what):
    code, folder = run(error, stops=False)
    assert code == EXIT_CODE_ERROR
    assert (read_json(folder.attempt(1).error) or {})["what"] == what
