"""A run that another trainer did, from a folder that we exported, becomes a job like ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import JobState
from contracts.errors import NotFoundError
from contracts.record import utc_now
from contracts.training import TrainingReport, TrainRequest
from stages.train import collect, create_job
from storage.files import folder_written_whole, read_json, write_json_atomically, write_text_atomically
from storage.job_folder import JobFolder

if TYPE_CHECKING:
    from stages.services import Services
    from training.export.outcome import OtherRun
    from training.plan import TrainingPlan

TOKENIZER_FILES = (
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def adopt_training(exported: Path, services: Services) -> TrainingReport:
    """The report, with rows, metrics and output as a job of ours has them; again, it is the same job.

    Tokenizer and chat template are those of the base model: what is judged is what was meant to be trained.
    """
    from training.export.outcome import read_outcome
    from training.plan import TrainingPlan

    record = read_json(exported / "tuneway.json")
    if record is None:
        raise NotFoundError(
            "The folder was not exported by `tuneway train export`",
            value=exported,
            next_step="give the folder that the export wrote",
        )
    outcome = read_outcome(exported / "output")
    submission = create_job(TrainRequest.model_validate(record), services)
    folder = JobFolder(services.settings.jobs_dir / submission.job_key)
    if not folder.result.exists():
        plan = TrainingPlan.model_validate(read_json(folder.plan))
        _take_output(exported / "output", Path(plan.base_model_path), folder.output)
        write_text_atomically(
            folder.metrics, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in outcome.lines)
        )
        attempt = folder.attempt(submission.attempt)
        attempt.root.mkdir(parents=True, exist_ok=True)
        now = utc_now().isoformat()
        write_json_atomically(attempt.queued, {"at": now})
        write_json_atomically(
            attempt.exit, {"state": JobState.SUCCEEDED.value, "exit_code": 0, "finished_at": now, "error": None}
        )
        write_json_atomically(folder.submission, submission.model_dump(mode="json"))
        write_json_atomically(folder.result, _report(plan, folder, outcome).model_dump(mode="json"))
    return collect(submission.job_key, services)


def _take_output(theirs: Path, base_model: Path, output: Path) -> None:
    """Their weights with the base model's tokenizer, whole or absent."""
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


def _report(plan: TrainingPlan, folder: JobFolder, outcome: OtherRun) -> TrainingReport:
    from training.metrics import loss_curve, perplexity
    from training.safetensors_files import sha256_of_weights

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
        checkpoints=[],
        hyperparameters=plan.recipe.model_dump(mode="json"),
    )
