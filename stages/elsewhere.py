"""A question answered in a process of its own, which loads what the asking process does not carry about.

The module is run with the question on standard input, and writes its answer, or the parts of its error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, TypeVar

from contracts.errors import TunewayError, UnavailableError, error_from_record
from contracts.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from settings import Settings

A = TypeVar("A", bound=Record)

REFUSED = 3
"""Exit code: the error's parts are on standard output."""


def answered_elsewhere(
    module: str, question: str, kind: type[A], settings: Settings, *, what: str, limit_seconds: float
) -> A:
    """The answer. Raises what the module raises, and UnavailableError where it does not come to an end.

    `what` is the answer as the error names it, e.g. `The plan`.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=question.encode(),
            stdout=subprocess.PIPE,
            timeout=limit_seconds,
            check=False,
            cwd=settings.repository_root,
            env={**os.environ, **settings.as_environment()},
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"{what} was not ready in time", value=f"{limit_seconds:.0f} s", next_step="try again"
        ) from error
    if done.returncode == REFUSED:
        raise error_from_record(json.loads(done.stdout))
    if done.returncode != 0:
        raise UnavailableError(
            f"{what} could not be made",
            value=f"exit code {done.returncode}",
            next_step="see the service's log with `tuneway logs`; the job itself can be created all the same",
        )
    return kind.model_validate_json(done.stdout)


def answer(work: Callable[[str], Record]) -> None:
    """What such a module does: the work on standard input's question, its answer or error on standard output."""
    try:
        answered = work(sys.stdin.buffer.read().decode())
    except TunewayError as error:
        sys.stdout.write(json.dumps(error.as_record()))
        sys.exit(REFUSED)
    sys.stdout.write(answered.model_dump_json())
