"""The request of each stage, built from what the run was asked and what its earlier tasks have left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from contracts.arms import arm_label
from contracts.compression import CompressModelRequest, CompressRequest
from contracts.datasets import DatasetVersion, ImportedDataset, ImportRequest, PrepareRequest, QualityRequest
from contracts.enums import Arm, Priority
from contracts.errors import ConflictError, InvalidRequestError
from contracts.evaluation import EvaluateRequest, EvaluationReport, GateRequest
from contracts.experiment_decisions import AskABTestRequest, ConcludeABTestRequest
from contracts.experiment_replays import AskReplayRequest, ReplayABTestRequest
from contracts.experiments import StartABTestRequest, TrafficSplit
from contracts.generation import GenerateRequest
from contracts.models import Deployment, DeployRequest, ModelVersion, RegisterRequest
from contracts.pipeline import (
    DeployModelRequest,
    EvaluateModelRequest,
    FinetuneJobRun,
    FinetuneRequest,
    GenerateSamplesRequest,
)
from contracts.training import Hyperparameters, TrainingReport, TrainRequest
from operators.run_records import APPROVE_DEPLOYMENT, VALIDATE_REQUEST

if TYPE_CHECKING:
    from contracts.experiments import ABExperiment
    from operators.run_records import RunRecords

PROMOTE_NEW_MODEL, KEEP_PRESENT_MODEL = "새 모델(B)로 교체", "현재 모델(A) 유지"
"""The answers that a person can give to an A/B test of two in Airflow."""
_ANSWER = re.compile(r"(?:새 모델|현재 모델)\((.+)\)(?:로 교체| 유지)")


def answers_to(experiment: ABExperiment) -> list[str]:
    """The answers that a person can give to this A/B test: one for each arm that still gets users."""
    control, *challengers = (arm_label(arm.name) for arm in experiment.open_arms)
    return [*(f"새 모델({name})로 교체" for name in challengers), f"현재 모델({control}) 유지"]


def chosen_arm(answer: str) -> str:
    """The arm that an answer gives the traffic to. Raises InvalidRequestError for no such answer."""
    found = _ANSWER.fullmatch(answer)
    if found is None:
        raise InvalidRequestError(
            "This is no answer to an A/B test",
            value=answer,
            allowed=f"answers like {PROMOTE_NEW_MODEL} or {KEEP_PRESENT_MODEL}",
            next_step="clear choose_winner and have it answered on Airflow's page",
        )
    return found.group(1).lower()


def import_dataset(run: RunRecords) -> ImportRequest:
    """The files that the run was given."""
    request = run.request(FinetuneRequest)
    return ImportRequest(
        dataset_name=request.dataset_name,
        input_files=request.input_files,
        columns=request.columns,
        max_rows=request.max_rows,
    )


def generate_qa(run: RunRecords) -> GenerateRequest:
    """The documents that the run was given."""
    return GenerateRequest(**run.request(GenerateSamplesRequest).model_dump())


def prepare(run: RunRecords) -> PrepareRequest:
    """The imported rows, and every suite whose questions must not be among them."""
    request = run.request(FinetuneRequest)
    return PrepareRequest(
        import_id=run.record("import_dataset", ImportedDataset).import_id,
        dataset_name=request.dataset_name,
        train_ratio=request.train_ratio,
        val_ratio=request.val_ratio,
        test_ratio=request.test_ratio,
        split_unit=request.split_unit,
        policy=request.policy,
        near_duplicate_threshold=request.near_duplicate_threshold,
        min_quality_score=request.min_quality_score,
        min_answer_characters=request.min_answer_characters,
        branch=request.branch,
        tokenizer=request.base_model,
        test_suites=_suites(request),
        seed=request.seed,
    )


def check_quality(run: RunRecords) -> QualityRequest:
    """The dataset version that will be trained on."""
    return QualityRequest(dataset_id=_dataset_id(run), test_suites=_suites(run.request(FinetuneRequest)))


def check_quality_of_job(run: RunRecords) -> QualityRequest:
    """The dataset version of the job that the run was given."""
    from stages.finetuning import queued_training
    from stages.services import open_services

    training = queued_training(run.request(FinetuneJobRun).job_id, open_services())
    return QualityRequest(dataset_id=training.dataset_id)


def train(run: RunRecords) -> TrainRequest:
    """One fine-tuning job a run: the job's name holds the run's."""
    request = run.request(FinetuneRequest)
    return TrainRequest(
        job_name=f"{request.dataset_name}-{run.slug}",
        dataset_id=_dataset_id(run),
        base_model=request.base_model,
        method=request.method,
        recipe=request.recipe,
        hyperparameters=Hyperparameters(**{name: getattr(request, name) for name in Hyperparameters.model_fields}),
        num_gpus=request.num_gpus,
        seed=request.seed,
    )


def evaluate(run: RunRecords) -> EvaluateRequest:
    """The job that this run has trained."""
    request = run.request(FinetuneRequest)
    return EvaluateRequest(
        job_id=run.record("collect_train", TrainingReport).job_id,
        test_suite=request.test_suite,
        extra_suites=request.extra_suites,
        judge_url=request.judge_url,
        judge_model=request.judge_model,
    )


def evaluate_given_job(run: RunRecords) -> EvaluateRequest:
    """The finished job that the run was given."""
    request = run.request(EvaluateModelRequest)
    return EvaluateRequest(
        job_id=request.job_id,
        test_suite=request.test_suite,
        extra_suites=request.extra_suites,
        max_cases=request.max_cases,
        judge_url=request.judge_url,
        judge_model=request.judge_model,
    )


def compress(run: RunRecords) -> CompressRequest:
    """The finished job's model, made smaller."""
    request = run.request(CompressModelRequest)
    return CompressRequest(**{name: getattr(request, name) for name in CompressRequest.model_fields})


def evaluate_compressed(run: RunRecords) -> EvaluateRequest:
    """The compressed model and, as its base, the model it was made of."""
    request = run.request(CompressModelRequest)
    return EvaluateRequest(
        job_id=run.record("collect_compression", TrainingReport).job_id,
        test_suite=request.test_suite,
        extra_suites=request.extra_suites,
    )


def gate_compressed(run: RunRecords) -> GateRequest:
    """The compressed model's evaluation against the bar."""
    return _gate(run, run.request(CompressModelRequest))


def register_compressed(run: RunRecords) -> RegisterRequest:
    """The compressed model with what it costs."""
    return _register(run, run.request(CompressModelRequest))


def gate(run: RunRecords) -> GateRequest:
    """The run's own evaluation against the bar it was given."""
    return _gate(run, run.request(FinetuneRequest))


def gate_given_job(run: RunRecords) -> GateRequest:
    """The evaluation of the given job against the bar."""
    return _gate(run, run.request(EvaluateModelRequest))


def register(run: RunRecords) -> RegisterRequest:
    """The trained and judged model."""
    return _register(run, run.request(FinetuneRequest))


def registered_model_id(run: RunRecords) -> int:
    """Of the model version that this run has registered."""
    return run.record("register", ModelVersion).model_id


def given_model_id(run: RunRecords) -> int:
    """Of the model version that the run was given."""
    return run.request(DeployModelRequest).model_id


def deploy(run: RunRecords) -> DeployRequest:
    """The model version that this run has registered. Raises ConflictError where its approval is missing."""
    _require_approval(run, is_needed=run.request(FinetuneRequest).approval_needed)
    return DeployRequest(model_id=registered_model_id(run))


def deploy_given_model(run: RunRecords) -> DeployRequest:
    """The model version that the run was given. Raises ConflictError where its approval is missing."""
    request = run.request(DeployModelRequest)
    _require_approval(run, is_needed=request.approval_needed)
    return DeployRequest(model_id=request.model_id, config=request.config)


def start_ab_test(run: RunRecords) -> StartABTestRequest:
    """Users are shared between the two arms that `deploy` has brought up."""
    return _ab_test(run, run.request(FinetuneRequest).traffic_to_new)


def start_ab_test_of_given_model(run: RunRecords) -> StartABTestRequest:
    """The same for a model version that the run was given."""
    return _ab_test(run, run.request(DeployModelRequest).traffic_to_new)


def conclude_ab_test(run: RunRecords) -> ConcludeABTestRequest:
    """What a person has chosen in Airflow."""
    said = run.pull("choose_winner")
    person = (said.get("responded_by_user") or {}).get("name") or "airflow"
    return ConcludeABTestRequest(
        experiment_id=run.request(AskABTestRequest).experiment_id,
        winner=chosen_arm(said["chosen_options"][0]),
        actor=person,
        reason=f"answered in Airflow, run {run.run_id}: {', '.join(said['chosen_options'])}",
    )


def replay_ab_test(run: RunRecords) -> ReplayABTestRequest:
    """What the run was asked; a task that is tried again goes on with its own replay."""
    asked = run.request(AskReplayRequest).model_dump()
    return ReplayABTestRequest(**asked, mark=f"{run.dag_id}/{run.run_id}"[:250])


def _require_approval(run: RunRecords, *, is_needed: bool) -> None:
    """A task that somebody has marked as successful approves nothing: the answer itself must be there."""
    said = run.pull(APPROVE_DEPLOYMENT) if is_needed else None
    if is_needed and (not isinstance(said, dict) or said.get("chosen_options") != ["Approve"]):
        raise ConflictError(
            "Nobody has approved this deployment",
            value=run.run_id,
            allowed=f"an answer to {APPROVE_DEPLOYMENT} on Airflow's page, by somebody who may deploy the model",
            next_step=f"clear {APPROVE_DEPLOYMENT} and what follows, and have it answered",
        )


def _ab_test(run: RunRecords, traffic_to_new: float) -> StartABTestRequest:
    arms = {endpoint.arm: endpoint for endpoint in run.record("deploy", Deployment).arms}
    return StartABTestRequest(
        experiment_name=f"{arms[Arm.B].model_name[:60]}-{run.slug}",
        model_a_id=arms[Arm.A].model_id,
        model_b_id=arms[Arm.B].model_id,
        traffic_split=TrafficSplit(a=1 - traffic_to_new, b=traffic_to_new),
        target_samples=None,
        # hours of training end here: the newest model is the one to compare
        make_room=True,
    )


def _dataset_id(run: RunRecords) -> int:
    prepared = run.find("prepare", DatasetVersion)
    if prepared is not None:
        return prepared.dataset_id
    given = run.request(FinetuneRequest).dataset_id
    assert given is not None, "the branch skips `prepare` only when a dataset_id is given"
    return given


def queueing(run: RunRecords) -> dict[str, str | Priority]:
    """Project and priority of the run's jobs; those of a run that was asked nothing of the kind stay as they are."""
    asked = run.pull(VALIDATE_REQUEST) or {}
    found: dict[str, str | Priority] = {}
    if "project" in asked:
        found["project"] = str(asked["project"])
    if "priority" in asked:
        found["priority"] = Priority(asked["priority"])
    return found


def _suites(request: FinetuneRequest) -> list[str]:
    return [*([request.test_suite] if request.test_suite else []), *request.extra_suites]


def _gate(run: RunRecords, request: CompressModelRequest | EvaluateModelRequest | FinetuneRequest) -> GateRequest:
    return GateRequest(
        evaluation_id=run.record("collect_evaluation", EvaluationReport).evaluation_id,
        accuracy_bar=request.accuracy_bar,
        metric=request.metric,
        model_name=request.model_name,
        contamination_override=request.contamination_override,
        actor=f"{run.dag_id}/{run.run_id}"[:255],
    )


def _register(run: RunRecords, request: CompressModelRequest | FinetuneRequest) -> RegisterRequest:
    evaluation = run.record("collect_evaluation", EvaluationReport)
    return RegisterRequest(
        job_id=evaluation.job_id,
        evaluation_id=evaluation.evaluation_id,
        model_name=request.model_name,
        accuracy_bar=request.accuracy_bar,
    )
