"""How long a dataset version's rows are for a base model, found out in a process of its own: it loads transformers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from contracts.fitting import RowLengths
from stages.elsewhere import answer, answered_elsewhere
from stages.services import open_services

if TYPE_CHECKING:
    from stages.services import Services

LIMIT_SECONDS = 120.0
"""Some 5 s on a machine that is not busy, most of them to load libraries."""


def measured_elsewhere(dataset_id: int, base_model: str, objective: str, services: Services) -> RowLengths:
    """The lengths. Raises what says that this base model or these rows cannot be trained on, and UnavailableError."""
    question = {"dataset_id": dataset_id, "base_model": base_model, "objective": objective}
    return answered_elsewhere(
        "stages.measuring",
        json.dumps(question),
        RowLengths,
        services.settings,
        what="The measure of the rows",
        limit_seconds=LIMIT_SECONDS,
    )


def _measure(question: str) -> RowLengths:
    from stages.model_gate import base_model_folder
    from stages.plan_training import row_lengths
    from training.base_model import check_architecture

    asked = json.loads(question)
    services = open_services()
    model = base_model_folder(asked["base_model"], services.settings)
    check_architecture(model)
    return row_lengths(asked["dataset_id"], model, asked["objective"], services)


if __name__ == "__main__":
    answer(_measure)
