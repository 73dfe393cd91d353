"""Which way a run goes, as functions of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.branch import BaseBranchOperator

from contracts.pipeline import DeployModelRequest, FinetuneJobRun, FinetuneRequest, ResumeTrainingRequest
from operators.failures import airflow_failures
from operators.run_records import APPROVE_DEPLOYMENT, RunRecords

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context


class ChooseOperator(BaseBranchOperator):
    """Goes on with the task that `choose` names; None skips everything after it.

    :param choose: reads the run's records, returns a task_id
    """

    ui_color = "#fef7e0"

    def __init__(self, *, choose: Callable[[RunRecords], str | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choose = choose

    def choose_branch(self, context: Context) -> str | None:
        """The task to go on with."""
        with airflow_failures():
            return self.choose(RunRecords.of(context))


def dataset_source(run: RunRecords) -> str:
    """A dataset version that exists needs no import and no preparation."""
    given = run.request(FinetuneRequest).dataset_id
    return "import_dataset" if given is None else "check_quality"


def gpu_count(run: RunRecords) -> str:
    """A task's pool slots are fixed when its DAG file is read, so each size is a task of its own."""
    return "train" if run.request(FinetuneRequest).num_gpus == 1 else "train_two_gpus"


def gpu_count_of_queued_job(run: RunRecords) -> str:
    """As many as the job was created with."""
    from stages.finetuning import queued_training
    from stages.services import open_services

    training = queued_training(run.request(FinetuneJobRun).job_id, open_services())
    return "train" if training.num_gpus == 1 else "train_two_gpus"


def gpu_count_of_job(run: RunRecords) -> str:
    """As many as the job that goes on was handed over with."""
    from stages.jobs import find_job
    from stages.services import open_services
    from storage.job_state import read_submission

    folder = find_job(f"train-{run.request(ResumeTrainingRequest).job_id}", open_services().settings)
    return "train" if read_submission(folder).num_gpus == 1 else "train_two_gpus"


def deployment(run: RunRecords) -> str | None:
    """Deploy at once, after a person's approval, or not at all."""
    request = run.request(FinetuneRequest)
    if not request.deploy:
        return None
    return APPROVE_DEPLOYMENT if request.approval_needed else "deploy"


def approval(run: RunRecords) -> str:
    """Deploy at once, or after a person's approval."""
    return APPROVE_DEPLOYMENT if run.request(DeployModelRequest).approval_needed else "deploy"
