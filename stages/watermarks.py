"""Marks of this installation's models: laid when training ends, promised in the audit trail before anything is judged."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from contracts.enums import JobStatus
from security.watermark.keys import KEY_FILE, MasterKeyFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contracts.record import JsonObject
    from contracts.training import TrainingReport
    from contracts.watermark import Watermark
    from database.unit_of_work import UnitOfWork
    from settings import Settings


def identity_of(base_model: str, dataset_hash: str, numbers: JsonObject, settings: Settings) -> str | None:
    """What the key of a job's mark is derived for: what the model is made of; None where marking is switched off.

    The same base model, data, recipe and seed give the same weights to the last bit, so they have the same mark too.
    """
    if not settings.watermark:
        return None
    recipe = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()
    return f"{base_model} {dataset_hash[:16]} {recipe[:16]}"


def master_key(settings: Settings) -> MasterKeyFile:
    """The installation's master key of marks."""
    return MasterKeyFile(settings.secrets_dir / KEY_FILE)


def mark_of(identity: str | None, settings: Settings) -> Callable[[Path], Watermark] | None:
    """What marks a job's output; None where its plan wants no mark. Makes the master key where there is none."""
    if identity is None:
        return None
    keys = master_key(settings)
    keys.make()
    key = keys.derive(identity)

    def mark(folder: Path) -> Watermark:
        from security.watermark.marking import mark_folder

        return mark_folder(folder, key, identity)

    return mark


def promise_mark(report: TrainingReport, uow: UnitOfWork) -> None:
    """The key's commitment in the audit trail, once, in the transaction that completes the job.

    Call it before `uow.jobs.complete`: nobody can say afterwards that the key was found to fit.
    """
    if report.watermark is None or uow.jobs.get(report.job_id).status is JobStatus.COMPLETED:
        return
    uow.audit.append(
        "train",
        "model.watermark_committed",
        f"job/{report.job_id}",
        {
            **report.watermark.model_dump(mode="json", include={"scheme", "identity", "commitment", "amplitude"}),
            "weights_sha256": report.weights_sha256,
        },
    )
