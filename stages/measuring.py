"""How long a dataset version's rows are for a base model, found out in a process of its own: it loads transformers.

`python -m stages.measuring` reads the question from standard input and writes the lengths, or the error's parts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from contracts.errors import TunewayError, UnavailableError, error_from_record
from contracts.fitting import RowLengths
from stages.services import open_services

if TYPE_CHECKING:
    from stages.services import Services

LIMIT_SECONDS = 120.0
"""Some 5 s on a machine that is not busy, most of them to load libraries."""
REFUSED = 3


def measured_elsewhere(dataset_id: int, base_model: str, objective: str, services: Services) -> RowLengths:
    """The lengths. Raises what says that this base model or these rows cannot be trained on, and UnavailableError."""
    question = {"dataset_id": dataset_id, "base_model": base_model, "objective": objective}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stages.measuring"],
            input=json.dumps(question).encode(),
            stdout=subprocess.PIPE,
            timeout=LIMIT_SECONDS,
            check=False,
            cwd=services.settings.repository_root,
            env={**os.environ, **services.settings.as_environment()},
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            "The rows were not measured in time", value=f"{LIMIT_SECONDS:.0f} s", next_step="try again"
        ) from error
    if done.returncode == REFUSED:
        raise error_from_record(json.loads(done.stdout))
    if done.returncode != 0:
        raise UnavailableError(
            "The rows could not be measured",
            value=f"exit code {done.returncode}",
            next_step="see the service's log; the job itself can be created all the same",
        )
    return RowLengths.model_validate_json(done.stdout)


def main() -> None:
    """Measure what standard input asks for."""
    from stages.model_gate import base_model_folder
    from stages.plan_training import row_lengths
    from training.base_model import check_architecture

    question = json.loads(sys.stdin.buffer.read())
    services = open_services()
    try:
        model = base_model_folder(question["base_model"], services.settings)
        check_architecture(model)
        found = row_lengths(question["dataset_id"], model, question["objective"], services)
    except TunewayError as error:
        sys.stdout.write(json.dumps(error.as_record()))
        sys.exit(REFUSED)
    sys.stdout.write(found.model_dump_json())


if __name__ == "__main__":
    main()
