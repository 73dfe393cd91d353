"""Buttons beside a task in Airflow's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from settings import load_settings

if TYPE_CHECKING:
    from airflow.models.taskinstancekey import TaskInstanceKey
    from airflow.sdk import BaseOperator


class MlflowLink(BaseOperatorLink):
    """Metrics, parameters and artefacts of the fine-tuning jobs.

    Airflow asks for it in the task's process when a try ends, and keeps the answer; a task that defers pushes it
    itself before.
    """

    name = "MLflow"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The page of the run that the operator has noted as `mlflow_run_id`; else the list of experiments."""
        return mlflow_page(getattr(operator, "mlflow_run_id", None))


def mlflow_page(mlflow_run_id: str | None = None) -> str:
    """Where a person sees a run, or the experiments."""
    place = "experiments" if mlflow_run_id is None else f"runs/{mlflow_run_id}"
    return f"{load_settings().resolved_mlflow_tracking_url}/#/{place}"


class DashboardLink(BaseOperatorLink):
    """The platform's dashboard. Built from settings alone: Airflow's api-server asks for it at every page view."""

    name = "Tuneway"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The dashboard's first page."""
        return load_settings().resolved_dashboard_url
