"""Our errors as Airflow understands them, and as pipeline_stages keeps them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from contracts.errors import TunewayError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contracts.record import JsonObject


@contextmanager
def airflow_failures() -> Iterator[None]:
    """Errors that a retry can help become a retry; all other errors of ours fail the task at once.

    Errors that are not ours pass: they are bugs or outages, and Airflow retries them.
    """
    try:
        yield
    except TunewayError as error:
        if error.retryable:
            raise AirflowException(error.sentence()) from error
        # the sentence says it all: no traceback for a user's mistake
        raise AirflowFailException(error.sentence()) from None


def error_record(error: Exception) -> JsonObject:
    """The four parts of an error, whoever raised it."""
    if isinstance(error, TunewayError):
        return error.as_record()
    return {
        "code": "internal",
        "what": f"{type(error).__name__}: {error}",
        "value": None,
        "allowed": "",
        "next_step": "read the task's log in Airflow",
        "retryable": False,
    }
