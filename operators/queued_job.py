"""Jobs whose row was there before their run: handed over by number, and never left waiting by a run that has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from contracts.enums import JobStatus, StageName
from contracts.errors import JobFailedError, NotFoundError, error_from_record
from contracts.pipeline import FinetuneJobRun
from operators.finish_run import FinishRunOperator
from operators.run_records import RunRecords
from operators.runner_job_operator import RunnerJobOperator
from stages.services import open_services

if TYPE_CHECKING:
    from airflow.sdk import Context

    from contracts.errors import TunewayError
    from contracts.jobs import JobSubmission
    from stages.services import Services


class QueuedJobOperator(RunnerJobOperator):
    """Hands over the training whose number the run was given."""

    def __init__(self, *, num_gpus: int, **kwargs: Any) -> None:
        super().__init__(stage=StageName.TRAIN, request=_run_of, num_gpus=num_gpus, **kwargs)

    def _create_job(self, run: RunRecords, services: Services) -> JobSubmission | None:
        from stages.finetuning import submission_of

        return submission_of(_run_of(run).job_id, services)


class FinishJobOperator(FinishRunOperator):
    """Closes the run; where it has failed before the runner took its job, the job ends as well."""

    def execute(self, context: Context) -> None:
        """Close the rows; raises where the run has failed."""
        try:
            super().execute(context)
        except AirflowFailException:
            from stages.finetuning import end_unbegun_job

            services, run = open_services(), RunRecords.of(context)
            job_id = int(context["params"]["job_id"])
            if end_unbegun_job(job_id, JobStatus.FAILED, _reason(run, services), services):
                self.log.info("Job %d has ended before it began", job_id)
            raise


def _run_of(run: RunRecords) -> FinetuneJobRun:
    return run.request(FinetuneJobRun)


def _reason(run: RunRecords, services: Services) -> TunewayError:
    try:
        with services.unit_of_work() as uow:
            stages = uow.pipeline_runs.get(run.pipeline_run_id).stages
    except NotFoundError:
        stages = []
    for stage in stages:
        if stage.error is not None:
            return error_from_record(stage.error)
    return JobFailedError(
        "The job's run in Airflow failed before the runner took the job",
        value=f"{run.dag_id}/{run.run_id}",
        next_step="read the log of the run's failed task, mend the cause, then clear that task",
    )
