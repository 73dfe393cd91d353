"""What the scheduler imports before its workers are forked from it."""

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from tests.conftest import REPOSITORY_ROOT

STARTED = """
import json, sys, threading
sys.argv = ["airflow", "{program}"]
from operators import preloading
before = set(sys.modules)
preloading.on_starting(component=None)
print(json.dumps({{"new": sorted(set(sys.modules) - before), "threads": threading.active_count()}}))
"""


@pytest.fixture(scope="module")
def started():
    @cache
    def start(program: str, executor: str = "LocalExecutor") -> dict[str, Any]:
        code = STARTED.format(program=program)
        variables = os.environ | {"AIRFLOW__CORE__EXECUTOR": executor}
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY_ROOT, env=variables, check=True, capture_output=True, text=True
        )
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found

    return start


def test_the_scheduler_has_what_its_tasks_need(started):
    found = started("scheduler")
    assert {"stages.prepare", "stages.monitor_ab_test", "mlflow", "scipy.stats", "numba"} <= set(found["new"])


def test_what_it_has_can_be_forked(started):
    found = started("scheduler")
    assert found["threads"] == 1
    assert "torch" not in found["new"]  # as large as all the rest, and two tasks of a run want it


def test_a_scheduler_whose_tasks_run_elsewhere_imports_nothing(started):
    assert started("scheduler", "CeleryExecutor")["new"] == []


@pytest.mark.parametrize("program", ["triggerer", "dag-processor", "api-server"])
def test_the_other_programs_import_nothing(started, program):
    assert started(program)["new"] == []
