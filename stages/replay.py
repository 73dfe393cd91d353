"""Run a finished fine-tuning job again as a new one, and say whether it came out the same."""

from __future__ import annotations

import logging
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import JobKind
from contracts.errors import ConflictError, InvalidDataError
from contracts.jobs import JobSubmission
from contracts.training import ReplayReport, StepDifference, TrainingReport, TrainRequest
from stages.owners import claim_for_starter
from stages.run_job import run_job
from stages.train import collect, job_key
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import read_submission
from training.metrics import read_metrics
from training.plan import TrainingPlan
from training.run_manifest import (
    ENVIRONMENT,
    base_model_sha256,
    dataset_files,
    differences,
    read_manifest,
    rows_sha256,
)

if TYPE_CHECKING:
    from contracts.record import JsonObject
    from contracts.training import RunManifest
    from stages.services import Services

COMPARED = ("loss", "grad_norm", "learning_rate", "eval_loss")
"""Of each logged step; what depends on the clock (speed, memory) is left out."""

log = logging.getLogger("replay")


def replay(original: JobFolder, services: Services) -> ReplayReport:
    """The job once more, from its own plan; then the two compared, number by number and weight by weight.

    Raises InvalidDataError where an input is gone or has changed: that would be another run, not this one again.
    ConflictError where the job has not finished.
    """
    report, manifest = _finished(original)
    plan = TrainingPlan.model_validate(read_json(original.plan))
    check_inputs(plan, manifest)
    submission = _new_job(original, plan, services)
    log.info("replaying %s as %s", original.root.name, submission.job_key)
    run_job(submission, services)
    again = collect(submission.job_key, services)
    folder = JobFolder(services.settings.jobs_dir / submission.job_key)
    new_manifest = read_manifest(folder)
    first, compared = compare_metrics(read_metrics(original.metrics), read_metrics(folder.metrics))
    same_weights = again.weights_sha256 == report.weights_sha256
    return ReplayReport(
        job_key=original.root.name,
        job_name=report.job_name,
        replay_key=submission.job_key,
        replay_name=again.job_name,
        identical=same_weights and first is None,
        same_weights=same_weights,
        compared_values=compared,
        first_difference=first,
        environment=[] if new_manifest is None else differences(manifest, new_manifest, ENVIRONMENT),
    )


def check_inputs(plan: TrainingPlan, manifest: RunManifest) -> None:
    """Dataset, base model and rows are those of the manifest. Raises InvalidDataError naming the first that is not."""
    from transformers import AutoTokenizer

    from training.rows import training_rows

    present = dataset_files(Path(plan.dataset_path))
    for side, digest in manifest.dataset_files.items():
        _same(f"the {side} side of {manifest.dataset_version or plan.dataset_path}", digest, present.get(side))
    base = Path(plan.base_model_path)
    cache = None if plan.cache_dir is None else Path(plan.cache_dir)
    _same(
        f"the base model {plan.base_model}",
        manifest.base_model_sha256,
        base_model_sha256(base, cache) if base.is_dir() else None,
    )
    rows = training_rows(plan, AutoTokenizer.from_pretrained(base, local_files_only=True))
    _same("the tokenised rows (tokenizer, template or library)", manifest.tokenized_sha256, rows_sha256(*rows))


def compare_metrics(before: list[JsonObject], after: list[JsonObject]) -> tuple[StepDifference | None, int]:
    """The first step at which a number differs or is missing, and how many numbers were compared."""
    old, new = _by_step(before), _by_step(after)
    compared = 0
    for step, metric in sorted(old.keys() | new.keys(), key=lambda key: (key[0], COMPARED.index(key[1]))):
        compared += 1
        left, right = old.get((step, metric)), new.get((step, metric))
        if left != right:
            return StepDifference(step=step, metric=metric, before=left, after=right), compared
    return None, compared


def _by_step(lines: list[JsonObject]) -> dict[tuple[int, str], float]:
    return {
        (int(str(line["step"])), name): float(str(line[name])) for line in lines for name in COMPARED if name in line
    }


def _finished(folder: JobFolder) -> tuple[TrainingReport, RunManifest]:
    submission = read_submission(folder)
    if submission.kind is not JobKind.TRAIN:
        raise ConflictError(
            "Only a fine-tuning job can be replayed",
            value=folder.root.name,
            next_step="choose one whose key begins with train-: `tuneway job list`",
        )
    record, manifest = read_json(folder.result), read_manifest(folder)
    if record is None:
        raise ConflictError(
            "The job has no result to compare with",
            value=folder.root.name,
            next_step=f"finish it first: `tuneway job resume {folder.root.name}`",
        )
    if manifest is None:
        raise InvalidDataError(
            "The job has no manifest: it ran before there were any",
            value=folder.manifest,
            next_step="train it again under another name",
        )
    return TrainingReport.model_validate(record), manifest


def _same(what: str, before: str, now: str | None) -> None:
    if now != before:
        raise InvalidDataError(
            f"This would be no replay: {what} is gone"
            if now is None
            else f"This would be no replay: {what} is another one",
            value=f"{now or 'nothing'} now",
            allowed=before,
            next_step="bring it back as it was, or train anew under another name",
        )


def _new_job(original: JobFolder, plan: TrainingPlan, services: Services) -> JobSubmission:
    """Row, folder and plan of the replay; the plan is the old one but for its name."""
    from registry.tracking import JOB_TAG

    request = TrainRequest.model_validate(read_submission(original).request)
    with services.unit_of_work() as uow:
        numbers = uow.jobs.get(plan.job_id).hyperparameters
        name = next(name for n in count(1) if uow.jobs.find(name := f"{plan.job_name[:100]}-replay-{n}") is None)
        request = request.model_copy(update={"job_name": name})
        job_id = uow.jobs.create(request, hyperparameters=numbers, base_model_path=plan.base_model_path)
        claim_for_starter(ResourceKind.JOB, job_id, services, uow, job_id=plan.job_id)
        key = job_key(job_id)
        folder = JobFolder(services.settings.jobs_dir / key)
        uow.jobs.set_folders(
            job_id, output_dir=str(folder.output), checkpoint_dir=str(folder.checkpoints), logs_path=str(folder.root)
        )
    tags = {**plan.tags, JOB_TAG: name, "tuneway.job_id": str(job_id), "tuneway.replay_of": plan.job_name}
    again = plan.model_copy(update={"job_id": job_id, "job_name": name, "tags": tags})
    write_json_atomically(folder.plan, again.model_dump(mode="json"))
    adjustment = read_json(original.adjustments)
    if adjustment is not None:  # the original's memory ran out before its first step: these are its true numbers
        write_json_atomically(folder.adjustments, adjustment)
    return JobSubmission(
        job_key=key,
        kind=JobKind.TRAIN,
        request=request.model_dump(mode="json"),
        num_gpus=plan.num_gpus,
        num_nodes=plan.num_nodes,
        finetuning_job_id=job_id,
    )
