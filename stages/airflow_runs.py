"""Runs that the platform itself starts in its Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.errors import InvalidRequestError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from contracts.record import JsonObject
    from stages.services import Services


def start_run(dag_id: str, run_id: str, conf: JsonObject, services: Services) -> str:
    """Start it, or find it started under that id; its id.

    Raises UnavailableError where Airflow is away, or is not the one of this installation: without the DAG, or with
    another password.
    """
    try:
        return services.airflow.trigger(dag_id, run_id, conf).run_id
    except (NotFoundError, InvalidRequestError) as error:
        raise UnavailableError(
            "Airflow does not start runs for this installation",
            value=error.sentence(),
            next_step="look at it with `tuneway status`; then send the same call again",
        ) from error
