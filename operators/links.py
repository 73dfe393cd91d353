"""Buttons beside a task in Airflow's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from airflow.sdk import BaseOperatorLink

from operators.run_ids import pipeline_run_id
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


class JobLink(BaseOperatorLink):
    """The dashboard's page of the fine-tuning job that the task waits for or takes over."""

    name = "작업"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The page of the job that the operator has noted as `job_id`; else the list of jobs."""
        return job_page(getattr(operator, "job_id", None))


class ModelLink(BaseOperatorLink):
    """The dashboard's page of the model version that the task registers or deploys."""

    name = "모델"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The page of the model version that the operator has noted as `model_id`; else the list of models."""
        return _page("models", model=getattr(operator, "model_id", None))


class DashboardLink(BaseOperatorLink):
    """The dashboard's page of the run. Built from settings alone: Airflow's api-server asks for it at every page view."""

    name = "Tuneway"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The run's page; the dashboard's first page where Airflow does not say which run."""
        if ti_key is None:
            return load_settings().resolved_dashboard_url
        return _page("runs", run=pipeline_run_id(ti_key.dag_id, ti_key.run_id))


def job_page(job_id: int | None) -> str:
    """Where a person sees a fine-tuning job, or all of them."""
    return _page("jobs", job=job_id)


def _page(name: str, **item: int | str | None) -> str:
    chosen = urlencode({key: value for key, value in item.items() if value is not None})
    return f"{load_settings().resolved_dashboard_url}/{name}{f'?{chosen}' if chosen else ''}"
