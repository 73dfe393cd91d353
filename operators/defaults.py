"""What every DAG of the platform shares."""

from datetime import timedelta

from airflow.sdk import WeightRule

GPU_POOL = "gpu"
"""Declared in pools.json; one slot stands for one GPU."""

TASK_DEFAULTS = {
    "owner": "tuneway",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    # the default, downstream, lets a new run's first stages overtake the last stages of a run that is nearly done
    "weight_rule": WeightRule.UPSTREAM,
}
