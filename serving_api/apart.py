"""Work on datasets in a process of its own: seconds or minutes of reading rows are no work for the router.

`python -m serving_api.apart <work>` reads its request from standard input and answers with one JSON object: `answer`, or
`error`. It goes on when the service stops.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from contracts.errors import TunewayError, UnavailableError, error_from_record
from contracts.record import JsonObject
from settings.logs import start_logging
from stages.services import Services, open_services

A = TypeVar("A", bound=BaseModel)

AT_ONCE = 4
"""Calls that wait for such a process; more are answered 503."""
_NICENESS = 5
"""Of the minutes in which all cores prepare rows: answers to users come first."""

_free = threading.BoundedSemaphore(AT_ONCE)


def done_apart(work: str, request: JsonObject, kind: type[A], services: Services) -> A:
    """The work's answer. Raises what the work raises, and UnavailableError where too many wait or the process vanishes."""
    if not _free.acquire(blocking=False):
        raise UnavailableError(
            "As much work on datasets is being done as this service does at a time",
            value=AT_ONCE,
            next_step="try again when one of them has ended",
        )
    try:
        process = start_apart(work, request, services, subprocess.PIPE)
        told, _ = process.communicate()
    finally:
        _free.release()
    return kind.model_validate(_answer(work, told)["answer"])


def start_apart(work: str, request: JsonObject, services: Services, answers: int) -> "subprocess.Popen[bytes]":
    """Begin, and come back at once; `answers` is where the process's standard output goes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "serving_api.apart", work],
        stdin=subprocess.PIPE,
        stdout=answers,
        start_new_session=True,
        cwd=services.settings.repository_root,
        env={**os.environ, **services.settings.as_environment()},
    )
    assert process.stdin is not None, "it was opened with a pipe"
    with process.stdin as pipe:
        pipe.write(json.dumps(request).encode())
    process.stdin = None
    return process


def _answer(work: str, told: bytes) -> JsonObject:
    lines = told.splitlines()
    if not lines:
        raise UnavailableError(
            "The process that did the work has vanished", value=work, next_step="try again; see `tuneway logs serving`"
        )
    found: JsonObject = json.loads(lines[-1])
    error = found.get("error")
    if isinstance(error, dict):
        raise error_from_record(error)
    return found


def _finish_upload(request: JsonObject, services: Services) -> BaseModel:
    from stages.uploads import finish_upload

    return finish_upload(str(request["upload_id"]), services, lambda: os.nice(_NICENESS))


def _validate(request: Any, services: Services) -> BaseModel:
    from contracts.datasets import QualityRequest
    from stages.audit import record_action
    from stages.check_quality import check_quality

    wanted = QualityRequest.model_validate(request["request"])
    report = check_quality(wanted, services)
    told: JsonObject = {"passed": report.passed}
    record_action(services, str(request["actor"]), "dataset.validated", f"dataset/{wanted.dataset_id}", told)
    return report


def _split(request: Any, services: Services) -> BaseModel:
    from data_prep.versions.splitting import Ratios
    from stages.dataset_versions import split_version

    return split_version(int(request["dataset_id"]), Ratios(*request["ratios"]), services, str(request["actor"]))


def _diff(request: Any, services: Services) -> BaseModel:
    from stages.dataset_versions import compare_versions

    return compare_versions(str(request["before"]), str(request["after"]), services, int(request["rows"]))


WORKS: dict[str, Callable[[Any, Services], BaseModel]] = {
    "finish_upload": _finish_upload,
    "validate": _validate,
    "split": _split,
    "diff": _diff,
}


def main(work: str) -> None:
    """Do the work that standard input asks for."""
    start_logging("serving-api")
    request = json.loads(sys.stdin.buffer.read())
    told: JsonObject
    try:
        told = {"answer": WORKS[work](request, open_services()).model_dump(mode="json")}
    except TunewayError as error:
        told = {"error": error.as_record()}
    try:
        print(json.dumps(told), flush=True)
    except BrokenPipeError:  # nobody waits any more
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
