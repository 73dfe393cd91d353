"""Runs of other trainers as jobs of ours: one that goes on somewhere is followed, or one is started and followed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from contracts.enums import Priority
from contracts.errors import InvalidRequestError, NotFoundError
from contracts.jobs import DEFAULT_PROJECT, JobSubmission
from stages.export_training import TRAINERS, export_training
from stages.run_job import run_job
from stages.train import collect, create_job

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.training import TrainingReport, TrainRequest
    from stages.services import Services
    from storage.job_folder import JobFolder

FOLDER = "other"
"""In the job's folder: what was exported for the trainer that the job starts."""


def watch_training(
    request: TrainRequest, output: Path, services: Services, *, log: Path | None = None
) -> TrainingReport:
    """Follow the run whose output folder this is, to its end; then it is a job like any other.

    Killed and asked for again, it goes on with the same job. It takes no GPU: the other trainer has them.
    Raises NotFoundError for a folder that is not there.
    """
    from training.plan import FollowedRun

    for path in (output, log):
        if path is not None and not path.exists():
            raise NotFoundError(
                "There is nothing to watch",
                value=path,
                next_step="give the folder into which the other trainer writes, once it has begun",
            )
    run = FollowedRun(output=str(output.resolve()), log=None if log is None else str(log.resolve()))
    job = create_job(request, services, followed=lambda _: run, elsewhere=True)
    submission = job.model_copy(update={"num_gpus": 0, "expected_seconds": None})
    run_job(submission, services)
    return collect(submission.job_key, services)


def train_through(
    request: TrainRequest,
    trainer: str,
    services: Services,
    *,
    project: str = DEFAULT_PROJECT,
    priority: Priority = Priority.NORMAL,
) -> TrainingReport:
    """Have Axolotl or LLaMA-Factory do the run, as a job that waits for its GPUs, is stopped and resumed like ours."""
    from training.plan import FollowedRun

    command = command_of(trainer)

    def followed(folder: JobFolder) -> FollowedRun:
        other = folder.root / FOLDER
        return FollowedRun(
            output=str(other / "output"),
            log=str(folder.root / "other.log"),
            command=[*command, str(other / f"{trainer}.yaml")],
        )

    job = create_job(request, services, followed=followed)
    exported = services.settings.jobs_dir / job.job_key / FOLDER
    if not exported.exists():
        export_training(request, trainer, exported, services)
    submission = JobSubmission.model_validate({**dict(job), "project": project, "priority": priority})
    run_job(submission, services)
    return collect(submission.job_key, services)


def command_of(trainer: str) -> list[str]:
    """What to type before the configuration's path. Raises InvalidRequestError where the trainer is not installed."""
    from training.export import axolotl, llamafactory

    if trainer not in TRAINERS:
        raise InvalidRequestError(
            "There is no such trainer", value=trainer, allowed=", ".join(TRAINERS), next_step="choose one of these"
        )
    program, *arguments = (axolotl if trainer == "axolotl" else llamafactory).COMMAND.split()[:-1]
    found = shutil.which(program)
    if found is None:
        raise InvalidRequestError(
            "The other trainer is not installed here",
            value=f"no command {program} on the PATH",
            allowed="an environment of its own with the trainer in it: it wants other versions than ours",
            next_step=f"put its bin folder on the PATH, or write its files with `tuneway train export --to {trainer}`, "
            "run them elsewhere and follow them with `tuneway train watch`",
        )
    return [found, *arguments]
