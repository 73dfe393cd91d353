"""Where other pages and the chat lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.services import Services

if TYPE_CHECKING:
    from contracts.pipeline import PipelineRun


def airflow_run_page(services: Services, run: PipelineRun) -> str:
    """The run in Airflow."""
    # runs of the smaller DAGs carry their DAG in the id
    run_id = run.run_id.removeprefix(f"{run.dag_id}/")
    return f"{services.settings.resolved_airflow_url}/dags/{run.dag_id}/runs/{run_id}"


def mlflow_run_page(services: Services, mlflow_run_id: str) -> str:
    """The run in MLflow."""
    return f"{services.settings.resolved_mlflow_tracking_url}/#/runs/{mlflow_run_id}"


def chat_endpoint(services: Services) -> str:
    """Where users ask."""
    return f"{services.settings.resolved_serving_url}/v1/chat/completions"
