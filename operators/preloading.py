"""What most tasks import, imported once: under LocalExecutor the scheduler's workers, and the tasks they start, are forks.

A task then begins in a tenth of a second instead of two, and the memory of what was imported is shared by all of them.
"""

import sys
from importlib import import_module
from typing import Any

from airflow.configuration import conf
from airflow.listeners import hookimpl

from stages.catalog import STAGES

_ENGINES = ("numba", "psycopg", "mlflow", "scipy.stats", "registry.tracking", "ab_testing.decision")
"""What stages import when they come to it; none of them starts a thread or opens a connection, which a fork would break."""


@hookimpl
def on_starting(component: Any) -> None:
    """Airflow calls this in each of its programs; in the scheduler, before the executor starts its workers."""
    if sys.argv[1:2] == ["scheduler"] and "LocalExecutor" in conf.get_mandatory_value("core", "executor"):
        preload()


def preload() -> None:
    """Import the stages and what they compute with: three seconds, once."""
    for stage in STAGES.values():
        stage.function()
    for name in _ENGINES:
        import_module(name)
