"""A registered version is judged again, as a run of Airflow."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

from contracts.errors import ConflictError, InvalidRequestError
from contracts.evaluation import AskedEvaluation
from stages.airflow_runs import start_run
from stages.suites import DATASET_PREFIX, require_suite

if TYPE_CHECKING:
    from contracts.evaluation import AskEvaluationRequest
    from contracts.record import JsonObject
    from stages.services import Services

DAG_ID = "evaluate_model"


def ask_evaluation(
    model_id: int, request: AskEvaluationRequest, services: Services, *, mark: str | None = None
) -> AskedEvaluation:
    """Start the evaluation of the job that made the version. The same `mark` again is the same run.

    Raises ConflictError for a version that no job made, NotFoundError for what is to be asked and is not there, and
    UnavailableError while Airflow is away.
    """
    with services.unit_of_work() as uow:
        version = uow.models.get(model_id)
    if version.finetuning_job_id is None:
        raise ConflictError(
            "The version was not made by a fine-tuning job",
            value=f"{version.model_name} {version.version}",
            allowed="versions that a job has made",
            next_step="compare its suites instead: `tuneway evaluate suites`",
        )
    suite = request.test_suite
    if request.test_dataset_id is not None:
        if suite is not None:
            raise InvalidRequestError(
                "The questions come from a dataset version or from a suite",
                value=f"test_dataset_id {request.test_dataset_id} and test_suite {suite}",
                next_step="leave one of the two out",
            )
        suite = f"{DATASET_PREFIX}{request.test_dataset_id}"
    if suite is not None:
        require_suite(suite, services)
    conf: JsonObject = {
        "job_id": version.finetuning_job_id,
        "test_suite": suite,
        "extra_suites": [],
        "accuracy_bar": request.accuracy_bar,
        "model_name": version.model_name,
    }
    run_id = start_run(DAG_ID, f"model-{model_id}-{mark or token_hex(16)}", conf, services)
    return AskedEvaluation(model_id=model_id, job_id=version.finetuning_job_id, dag_id=DAG_ID, dag_run_id=run_id)
