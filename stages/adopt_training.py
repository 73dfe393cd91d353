"""A run that another trainer has done, from a folder that we exported, becomes a job like ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.enums import JobState
from contracts.errors import NotFoundError
from contracts.record import utc_now
from contracts.training import TrainRequest
from stages.train import collect, create_job
from stages.watermarks import mark_of
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.training import TrainingReport
    from stages.services import Services


def adopt_training(exported: Path, services: Services) -> TrainingReport:
    """The report, with rows, metrics and output as a job of ours has them; again, it is the same job."""
    from training.export.outcome import read_outcome
    from training.export.taking_over import take_over
    from training.plan import TrainingPlan

    request = exported_request(exported)
    output = exported / "output"
    read_outcome(output)  # before a row is made
    submission = create_job(request, services, elsewhere=True)
    folder = JobFolder(services.settings.jobs_dir / submission.job_key)
    if not folder.result.exists():
        plan = TrainingPlan.model_validate(read_json(folder.plan))
        report = take_over(plan, folder, output, mark_of(plan.watermark, services.settings))
        attempt = folder.attempt(submission.attempt)
        attempt.root.mkdir(parents=True, exist_ok=True)
        now = utc_now().isoformat()
        write_json_atomically(attempt.queued, {"at": now})
        write_json_atomically(
            attempt.exit, {"state": JobState.SUCCEEDED.value, "exit_code": 0, "finished_at": now, "error": None}
        )
        write_json_atomically(folder.submission, submission.model_dump(mode="json"))
        write_json_atomically(folder.result, report.model_dump(mode="json"))
    return collect(submission.job_key, services)


def exported_request(exported: Path) -> TrainRequest:
    """The request that the folder was exported for. Raises NotFoundError for any other folder."""
    record = read_json(exported / "tuneway.json")
    if record is None:
        raise NotFoundError(
            "The folder was not exported by `tuneway train export`",
            value=exported,
            next_step="give the folder that the export wrote",
        )
    return TrainRequest.model_validate(record)
