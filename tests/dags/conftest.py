"""DAGs as Airflow reads them."""

from pathlib import Path

import pytest

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def dag_bag():
    """All DAGs, to be looked at: one that is to run is read by `run_dag`."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(REPOSITORY_ROOT / "dags"))


@pytest.fixture(scope="session")
def metadata_database():
    """Airflow's own database, in the tests' AIRFLOW_HOME."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def run_dag(metadata_database):
    """Runs a DAG to its end in this process. It is read for this run only, for a run leaves its parameters in the tasks."""
    from airflow.dag_processing.dagbag import DagBag

    def run(dag_id, conf):
        dags = DagBag(dag_folder=str(REPOSITORY_ROOT / "dags" / f"{dag_id}.py")).dags
        return dags[dag_id].test(run_conf=conf)

    return run
