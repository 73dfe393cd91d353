"""Links from Airflow to the rest of the platform."""

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from operators import preloading
from operators.links import DashboardLink, JobLink, MlflowLink, ModelLink
from settings import load_settings


def navigation() -> list[dict[str, Any]]:
    """Entries of the side bar, opened in a new tab: MLflow does not work inside a frame."""
    settings = load_settings()
    return [
        {
            "name": "Tuneway 대시보드",
            "href": settings.resolved_dashboard_url,
            "destination": "nav",
            "category": "browse",
        },
        {
            "name": "MLflow",
            "href": settings.resolved_mlflow_tracking_url,
            "destination": "nav",
            "category": "browse",
        },
    ]


class TunewayPlugin(AirflowPlugin):
    """Links beside every task, and two entries in the side bar."""

    name = "tuneway"
    operator_extra_links: ClassVar[list[Any]] = [MlflowLink(), JobLink(), ModelLink()]
    global_operator_extra_links: ClassVar[list[Any]] = [DashboardLink()]
    external_views: ClassVar[list[Any]] = navigation()
    listeners: ClassVar[list[Any]] = [preloading]
