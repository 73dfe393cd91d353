"""The finished run of another trainer as a job of ours: its output, its metrics, its checkpoints, its report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.training import TrainingReport
from storage.files import folder_written_whole, write_text_atomically
from training.checkpoints import MANIFEST, PREFIX, CheckpointManifest, checkpoint_records, step_of
from training.export.outcome import STATE_FILE, read_outcome
from training.metrics import loss_curve, perplexity
from training.safetensors_files import sha256_of_weights

if TYPE_CHECKING:
    from contracts.watermark import Watermark
    from storage.job_folder import JobFolder
    from training.output import Mark
    from training.plan import TrainingPlan

TOKENIZER_FILES = (
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def take_over(plan: TrainingPlan, folder: JobFolder, theirs: Path, mark: Mark | None = None) -> TrainingReport:
    """The report; output, metrics and checkpoints lie in the job's folder. Killed, it begins anew.

    Tokenizer and chat template are those of the base model: what is judged is what was meant to be trained.
    Raises InvalidDataError where the run is not finished or not whole.
    """
    outcome = read_outcome(theirs)
    link_checkpoints(theirs, folder.checkpoints)
    watermark = _take_output(theirs, Path(plan.base_model_path), folder.output, mark)
    write_text_atomically(
        folder.metrics, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in outcome.lines)
    )
    curve = loss_curve(folder.metrics)
    return TrainingReport(
        job_id=plan.job_id,
        job_name=plan.job_name,
        dataset_id=plan.dataset_id,
        base_model=plan.base_model,
        base_model_path=plan.base_model_path,
        method=plan.recipe.method,
        recipe=plan.recipe_name,
        mlflow_run_id=None,
        output_path=str(folder.output),
        weights_sha256=sha256_of_weights(folder.output),
        steps=outcome.steps,
        epochs=outcome.epochs,
        train_loss=curve[-1][1] if curve else 0.0,
        eval_loss=outcome.eval_loss,
        perplexity=perplexity(outcome.eval_loss),
        tokens_per_second=outcome.tokens / outcome.seconds if outcome.seconds else 0.0,
        peak_memory_mb=0.0,  # the other trainers do not tell
        duration_seconds=outcome.seconds,
        resumed_from_step=None,
        loss_curve=curve,
        checkpoints=checkpoint_records(folder.checkpoints),
        hyperparameters=plan.recipe.model_dump(mode="json"),
        watermark=watermark,
    )


def link_checkpoints(theirs: Path, ours: Path) -> None:
    """The other trainer's checkpoints among the job's own, as links; those that it has removed go."""
    there = {path.name: path for path in theirs.glob(f"{PREFIX}*") if (path / STATE_FILE).is_file()}
    for path in ours.glob(f"{PREFIX}*"):
        if path.name not in there:
            shutil.rmtree(path)
    for name, source in there.items():
        target = ours / name
        if (target / MANIFEST).exists():
            continue
        try:
            state = json.loads((source / STATE_FILE).read_text(encoding="utf-8"))
            manifest = CheckpointManifest(
                step=step_of(name),
                epoch=float(state.get("epoch") or 0.0),
                metrics=_newest_losses(state["log_history"]),
                train_seconds=0.0,
                files={},
            )
        except (OSError, ValueError, KeyError):
            continue  # being written, or just removed
        with folder_written_whole(target) as made:
            for path in source.iterdir():
                if path.is_file():
                    (made / path.name).symlink_to(path.resolve())
            write_text_atomically(made / MANIFEST, manifest.model_dump_json(indent=1) + "\n")


def _newest_losses(history: list[dict[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in history:
        found.update({name: float(entry[name]) for name in ("loss", "eval_loss") if name in entry})
    return found


def _take_output(theirs: Path, base_model: Path, output: Path, mark: Mark | None) -> Watermark | None:
    """Their weights, marked, with the base model's tokenizer, whole or absent."""
    if output.exists():  # an attempt that was killed after this point
        shutil.rmtree(output)
    with folder_written_whole(output) as made:
        for path in theirs.iterdir():
            if path.is_file() and (path.suffix == ".safetensors" or path.name.endswith("config.json")):
                shutil.copy2(path, made)
        for index in theirs.glob("*.safetensors.index.json"):
            shutil.copy2(index, made)
        for pattern in TOKENIZER_FILES:
            for path in base_model.glob(pattern):
                shutil.copy2(path, made)
        return None if mark is None else mark(made)
