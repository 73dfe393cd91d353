"""What every DAG of the platform shares."""

from datetime import timedelta
from enum import StrEnum

from airflow.sdk import WeightRule

from contracts.enums import StageName

GPU_POOL = "gpu"
"""Declared in pools.json; one slot stands for one GPU."""


class Queue(StrEnum):
    """Which hosts take a task, where workers of several do (CeleryExecutor). LocalExecutor and pods take all of them."""

    DEFAULT = "default"
    SERVING = "serving"
    """The host whose supervisor has the model servers."""
    GPU = "gpu"
    """Hosts with a runner."""


STAGE_QUEUES = {
    StageName.GENERATE_QA: Queue.GPU,  # may start a model server for its own use
    StageName.DEPLOY: Queue.SERVING,
    StageName.START_AB_TEST: Queue.SERVING,
    StageName.CONCLUDE_AB_TEST: Queue.SERVING,
}
"""Of stages that need more than files and databases."""

TASK_DEFAULTS = {
    "owner": "tuneway",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    # the default, downstream, lets a new run's first stages overtake the last stages of a run that is nearly done
    "weight_rule": WeightRule.UPSTREAM,
}
