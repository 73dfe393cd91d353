"""A recipe, a dataset version and a base model as a folder that another trainer runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from contracts.enums import Split
from contracts.errors import ConflictError, InvalidRequestError
from contracts.record import Record
from stages.model_gate import base_model_folder
from storage.files import folder_written_whole, write_json_atomically

if TYPE_CHECKING:
    from contracts.datasets import DatasetVersion
    from contracts.training import TrainRequest
    from stages.services import Services

TRAINERS = ("axolotl", "llamafactory")


class ExportedTraining(Record):
    """Where the files are, and what to type."""

    trainer: str
    folder: str
    config: str
    """Path of the YAML file."""
    command: str


def export_training(request: TrainRequest, trainer: str, out: Path, services: Services) -> ExportedTraining:
    """Write the request for Axolotl or LLaMA-Factory into a new folder, whole or not at all."""
    from training.conversations import read_conversations
    from training.export import axolotl, llamafactory
    from training.export.run import ExportedRun, write_conversations
    from training.recipe import resolve_recipe

    if trainer not in TRAINERS:
        raise InvalidRequestError(
            "There is no such trainer to export to",
            value=trainer,
            allowed=", ".join(TRAINERS),
            next_step="choose one of these",
        )
    settings = services.settings
    recipe = resolve_recipe(request.recipe, request.hyperparameters, request.method, settings.recipes_dir)
    if recipe.objective != "sft":
        raise InvalidRequestError(
            "Only supervised fine-tuning is exported",
            value=f"{request.recipe} has the objective {recipe.objective}",
            allowed="sft",
            next_step="train it here: `tuneway train start`",
        )
    model = base_model_folder(request.base_model, settings)
    with services.unit_of_work() as uow:
        dataset: DatasetVersion = uow.datasets.get(request.dataset_id)
    out = out.resolve()
    if out.exists():
        raise ConflictError("The folder exists", value=out, next_step="choose a new one with --out")
    source = Path(dataset.file_path)
    run = ExportedRun(
        base_model_path=str(model),
        folder=out,
        num_gpus=request.num_gpus,
        seed=request.seed,
        validates=bool(read_conversations(source / f"{Split.VALIDATION}.parquet")),
    )
    module = axolotl if trainer == "axolotl" else llamafactory
    config = (
        axolotl.axolotl_config(recipe, run) if trainer == "axolotl" else llamafactory.llamafactory_config(recipe, run)
    )
    with folder_written_whole(out) as temporary:
        write_conversations(source, run.model_copy(update={"folder": temporary}))
        if trainer == "llamafactory":
            write_json_atomically(temporary / llamafactory.DATASETS_FILE, llamafactory.dataset_list(run))
        write_json_atomically(temporary / "tuneway.json", request.model_dump(mode="json"))
        (temporary / module.FILE).write_text(
            yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
    return ExportedTraining(
        trainer=trainer,
        folder=str(out),
        config=str(out / module.FILE),
        command=module.COMMAND.format(folder=out),
    )
