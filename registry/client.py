"""The connection to the MLflow server: short waits, own errors, nothing sent anywhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from contracts.errors import InvalidRequestError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # whoever calls retries as it sees fit
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
}
_CLIENT_ERRORS = range(400, 500)
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})


def open_client(tracking_url: str) -> MlflowClient:
    """A client of the server at this URL; nothing is sent yet."""
    os.environ.update(_ENVIRONMENT)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_url, registry_uri=tracking_url)


def is_permanent(error: Exception) -> bool:
    """MLflow understood the request and will refuse it again."""
    from mlflow.exceptions import MlflowException

    if not isinstance(error, MlflowException):
        return False
    status = error.get_http_status_code()
    return status in _CLIENT_ERRORS and status not in _WORTH_ANOTHER_TRY


@contextmanager
def mlflow_errors(what: str, tracking_url: str) -> Iterator[None]:
    """Turn MLflow's exceptions into ours: UnavailableError, NotFoundError or InvalidRequestError."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except (MlflowException, RequestException) as error:
        first_line = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        if not is_permanent(error):
            raise UnavailableError(
                f"{what}: MLflow does not answer ({first_line})",
                value=tracking_url,
                next_step="look at it with `tuneway status` and `tuneway logs mlflow`; the work can be repeated",
            ) from error
        if isinstance(error, MlflowException) and error.get_http_status_code() == 404:
            raise NotFoundError(f"{what}: {first_line}", value=tracking_url) from error
        raise InvalidRequestError(f"{what}: MLflow refused it ({first_line})", value=tracking_url) from error
