"""What a finished run leaves: the adapter or model, and the files of its tracked run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import yaml

from storage.files import folder_written_whole, write_json_atomically
from storage.stored_files import copy_in_clear
from training.methods import training_method
from training.metrics import read_metrics
from training.opened_checkpoints import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contracts.training import TrainingReport
    from contracts.watermark import Watermark
    from storage.job_folder import JobFolder
    from training.plan import TrainingPlan

    Mark = Callable[[Path], Watermark]
    """Marks the weights in a folder that nobody sees yet, in place."""


def save_output(
    trainer: Any, tokenizer: Any, plan: TrainingPlan, output: Path, checkpoint: Path, mark: Mark | None
) -> Watermark | None:
    """Adapter or model with tokenizer and chat template, marked, whole or absent.

    `checkpoint` has the very weights: a divided model's are taken from there, where they are whole.
    """
    if output.exists():  # an attempt that was killed after this point
        shutil.rmtree(output)
    with folder_written_whole(output) as folder:
        if plan.recipe.sharding != "none":
            for path in checkpoint.iterdir():
                if path.name.startswith(WEIGHTS):
                    copy_in_clear(path, folder / path.name)
        else:
            model = trainer.accelerator.unwrap_model(trainer.model)
            if training_method(plan.recipe.method).merges(plan.recipe):
                model = model.merge_and_unload()
            model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        tokenizer.save_pretrained(folder)
        watermark = None if mark is None else mark(folder)
        write_json_atomically(
            folder / "training.json",
            {"job_id": plan.job_id, "base_model": plan.base_model, "recipe": plan.recipe_name, "seed": plan.seed},
        )
    return watermark


def write_artifacts(plan: TrainingPlan, folder: JobFolder, report: TrainingReport) -> dict[Path, str | None]:
    """Files that go to the tracked run: loss curve, recipe, report."""
    made = folder.root / "artifacts"
    made.mkdir(exist_ok=True)
    recipe, curve, record = made / f"{plan.recipe_name}.yaml", made / "loss_curve.png", made / "report.json"
    recipe.write_text(yaml.safe_dump(plan.recipe.model_dump(mode="json"), allow_unicode=True), encoding="utf-8")
    record.write_text(report.model_dump_json(indent=1), encoding="utf-8")
    draw_loss_curve(folder.metrics, curve, title=plan.job_name)
    return {recipe: "recipe", record: "report", curve: "plots", folder.manifest: "report"}


def draw_loss_curve(metrics_path: Path, target: Path, title: str) -> None:
    """Training and validation loss over steps as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    lines = read_metrics(metrics_path)
    for name, label, style in (("loss", "training loss", "-"), ("eval_loss", "validation loss", "o-")):
        steps = [int(str(line["step"])) for line in lines if name in line]
        losses = [float(str(line[name])) for line in lines if name in line]
        if steps:
            axes.plot(steps, losses, style, label=label, markersize=3)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(target)
