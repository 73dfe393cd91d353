"""A stage whose work belongs to the runner: hand it over, wait without a worker, collect its result."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from contracts.enums import JobState, StageName
from contracts.errors import ConflictError, NotFoundError, UnavailableError
from contracts.jobs import JobSubmission
from contracts.pipeline import ResumeTrainingRequest
from contracts.training import TrainingReport
from operators.defaults import GPU_POOL, Queue
from operators.failures import airflow_failures
from operators.links import JobLink, MlflowLink, job_page, mlflow_page
from operators.requests import queueing
from operators.run_ids import finetuning_job_id
from operators.run_records import RunRecords, services_for
from operators.runner_job_trigger import RunnerJobTrigger, job_error, retry_can_help
from operators.stage_journal import StageJournal
from operators.stage_operator import tell_assets
from stages.catalog import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow.sdk import Context

    from contracts.jobs import JobView
    from contracts.record import JsonObject, Record
    from stages.runner_client import RunnerClient
    from stages.services import Services

REMEMBERED = "runner_job"
"""Key in the task's state store, which outlives a try and a Clear."""
STOP_LIMIT_SECONDS = 120.0
"""A trainer that was told to end may be writing a checkpoint."""


JOB_RETRIES = 4
"""A killed trainer, a restart of the platform and a task that Airflow could not start in time take one each; a job loses
the steps since its last checkpoint by it, no more."""


class RunnerJobOperator(BaseOperator):
    """Hands a job to the runner of the host it runs on and defers; the trigger ends the task.

    Which attempt at the job this try stands for:

    - nothing remembered: the job that is there and works or has its result; else the next attempt;
    - a retry (nobody pressed Clear since): the same, unless the job's own error says that a retry cannot help;
    - a Clear: a new attempt, after the one before was stopped. It continues from the last checkpoint.

    Slots of the pool = GPUs of the job, for as long as the task is deferred (pools.json: include_deferred).

    :param stage: a stage of the catalog that runs as a job
    :param request: builds the stage's request from what the run's earlier tasks have left
    :param num_gpus: GPUs of the job
    """

    ui_color = "#fce8e6"
    operator_extra_links = (MlflowLink(), JobLink())

    def __init__(
        self, *, stage: StageName, request: Callable[[RunRecords], Record], num_gpus: int, **kwargs: Any
    ) -> None:
        # what a DAG says for all its tasks is too little for one that outlives kills and restarts
        retries = max(JOB_RETRIES, kwargs.pop("retries", 0))
        super().__init__(**{"pool": GPU_POOL, "pool_slots": num_gpus, "queue": Queue.GPU, **kwargs}, retries=retries)
        self.stage = stage
        self.request = request
        self.num_gpus = num_gpus
        self._stop_on_kill: tuple[RunnerClient, str, int] | None = None

    def execute(self, context: Context) -> None:
        """Submit, remember, push the submission as the task's XCom, defer where there is something to wait for."""
        from stages.hosts import runner_for
        from stages.runner_client import RunnerClient

        services = services_for(context)
        run = RunRecords.of(context)
        task_instance = context["ti"]
        with airflow_failures(), self._recorded(StageJournal(services, run.pipeline_run_id, self.stage)):
            job = self._create_job(run, services)
            if job is None:
                return
            runner = RunnerClient(services.settings)
            attempt = self._attempt(context, runner, job.job_key)
            submission = job.model_copy(
                update={
                    "num_gpus": self.num_gpus,
                    **queueing(run),
                    "attempt": attempt,
                    "resume_from": job.resume_from if self._is_first(context, attempt) else None,
                    "owner": f"{run.dag_id}/{run.run_id}/{self.task_id}/{task_instance.try_number}"[:500],
                }
            )
            self._remember(context, submission)
            if submission.attempt > self._present_attempt(runner, job.job_key):
                self._stop_on_kill = (runner, submission.job_key, submission.attempt)
                runner = RunnerClient(services.settings, runner_for(self.num_gpus, services.settings))
            view = runner.submit(submission)
        self.log.info("%s attempt %d is %s on %s", view.job_key, view.attempt, view.state, view.host or "this host")
        if view.place is not None:
            place = view.place
            self.log.info("place %d of %d, start: %s", place.position, place.waiting, place.expected_start_at)
        # before deferring: the trigger that ends the task cannot push anything
        task_instance.xcom_push(key="return_value", value=submission.model_dump(mode="json"))
        task_instance.xcom_push(key="job_key", value=submission.job_key)
        task_instance.xcom_push(key=MlflowLink().xcom_key, value=mlflow_page())
        task_instance.xcom_push(key=JobLink().xcom_key, value=job_page(finetuning_job_id(submission.job_key)))
        self._stop_on_kill = None
        if view.state is JobState.SUCCEEDED:
            return
        trigger = self._trigger(run, submission, context)
        # the triggerer may be on another host, and so may the job, which an earlier try has handed over
        trigger.runner_url = view.runner_url
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: str | JsonObject | None = None) -> None:
        """Only `dag.test()` comes here, with the end event's state; elsewhere the trigger has ended the task."""
        if event != "success":
            raise AirflowException(f"The job has ended without its result: {event}")

    def on_kill(self) -> None:
        """Killed between handing over and deferring: end what this try has begun, never what it found running."""
        if self._stop_on_kill is not None:
            runner, job_key, attempt = self._stop_on_kill
            with suppress(ConflictError, NotFoundError):
                runner.stop(job_key, attempt)

    @contextmanager
    def _recorded(self, journal: StageJournal) -> Iterator[None]:
        """The stage's row says that it is running, and why it failed to be handed over."""
        with journal.failures_recorded():
            journal.started()
            yield

    def _create_job(self, run: RunRecords, services: Services) -> JobSubmission | None:
        """The job to hand over; None where there is nothing to do."""
        job: JobSubmission = STAGES[self.stage].module.create_job(self.request(run), services)
        return job

    def _trigger(self, run: RunRecords, submission: JobSubmission, _context: Context) -> RunnerJobTrigger:
        """What follows the job to its end."""
        return RunnerJobTrigger(
            job_key=submission.job_key,
            attempt=submission.attempt,
            run_id=run.pipeline_run_id,
            stage=self.stage.value,
        )

    def _attempt(self, context: Context, runner: RunnerClient, job_key: str) -> int:
        store = context.get("task_state_store")
        remembered = store.get(REMEMBERED) if store is not None else None
        clears = context["dag_run"].clear_number or 0
        try:
            view = runner.view(job_key)
        except NotFoundError:
            return 1
        if remembered is not None and remembered["clears"] != clears:
            self._stop(runner, view)
            return view.attempt + 1
        if not view.state.is_final or view.state is JobState.SUCCEEDED:
            return view.attempt
        error = job_error(view)
        # whoever stopped the job has ended this task too: it goes on by resume or by Clear, not by itself
        was_stopped = view.state is JobState.STOPPED
        if remembered is not None and error is not None and (was_stopped or not retry_can_help(error)):
            raise error
        return view.attempt + 1

    @staticmethod
    def _is_first(context: Context, attempt: int) -> bool:
        """It is the first attempt of this task; later ones go on from the last checkpoint, not from a chosen one."""
        store = context.get("task_state_store")
        remembered = store.get(REMEMBERED) if store is not None else None
        return remembered is None or bool(remembered["attempt"] == attempt)

    def _stop(self, runner: RunnerClient, view: JobView) -> None:
        """End the attempt that a person has cleared; its processes get their time to end."""
        deadline = time.monotonic() + STOP_LIMIT_SECONDS
        while not view.state.is_final:
            runner.stop(view.job_key, view.attempt)
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "The attempt before this one does not end",
                    value=f"{view.job_key} attempt {view.attempt}",
                    next_step="the task tries again by itself",
                )
            time.sleep(1.0)
            view = runner.view(view.job_key)

    @staticmethod
    def _present_attempt(runner: RunnerClient, job_key: str) -> int:
        try:
            return runner.view(job_key).attempt
        except NotFoundError:
            return 0

    @staticmethod
    def _remember(context: Context, submission: JobSubmission) -> None:
        """Before the submission: a worker that dies in between must not lose sight of the job."""
        store = context.get("task_state_store")
        if store is not None:
            store.set(
                REMEMBERED,
                {
                    "job_key": submission.job_key,
                    "attempt": submission.attempt,
                    "clears": context["dag_run"].clear_number or 0,
                },
            )


class ResumeJobOperator(RunnerJobOperator):
    """Goes on with a training job that has ended without its result, from the checkpoint that the run was given."""

    def __init__(self, *, num_gpus: int, **kwargs: Any) -> None:
        super().__init__(stage=StageName.TRAIN, request=_resume_request, num_gpus=num_gpus, **kwargs)

    def _create_job(self, run: RunRecords, services: Services) -> JobSubmission | None:
        from stages.jobs import find_job
        from storage.job_state import read_submission

        request = run.request(ResumeTrainingRequest)
        submission = read_submission(find_job(f"train-{request.job_id}", services.settings))
        return submission.model_copy(update={"resume_from": request.checkpoint})


def _resume_request(run: RunRecords) -> ResumeTrainingRequest:
    return run.request(ResumeTrainingRequest)


class CollectOperator(BaseOperator):
    """Takes over a job's result: rows, asset events, the record as JSON. Runs on the default pool.

    :param stage: the job's stage
    :param job_tasks: the tasks of which one has handed the job over
    """

    ui_color = "#e8f0fe"
    operator_extra_links = (MlflowLink(), JobLink())

    def __init__(self, *, stage: StageName, job_tasks: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage = stage
        self.job_tasks = tuple(job_tasks)
        self.mlflow_run_id: str | None = None
        self.job_id: int | None = None

    def execute(self, context: Context) -> JsonObject:
        """The stage's record."""
        with airflow_failures():
            services = services_for(context)
            run = RunRecords.of(context)
            journal = StageJournal(services, run.pipeline_run_id, self.stage)
            with journal.failures_recorded():
                job_key = self._job(run).job_key
                self.job_id = finetuning_job_id(job_key)
                record: Record = STAGES[self.stage].module.collect(job_key, services)
                journal.succeeded(record)
        tell_assets(context, self.outlets, record)
        if isinstance(record, TrainingReport):
            self.mlflow_run_id = record.mlflow_run_id
        return record.model_dump(mode="json")

    def _job(self, run: RunRecords) -> JobSubmission:
        for task_id in self.job_tasks:
            if (found := run.find(task_id, JobSubmission)) is not None:
                return found
        raise NotFoundError(
            "No task of this run has handed a job over",
            value=", ".join(self.job_tasks),
            next_step="clear the task of the job and those after it",
        )
