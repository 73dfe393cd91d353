"""Rows of a whole story: two documents, two dataset versions, a job, its model, what was said of it, an A/B test."""

from dataclasses import dataclass
from pathlib import Path

from contracts.datasets import SourceFile
from contracts.enums import Arm, EvaluatedKind, ModelFormat, ModelStatus, ServerBackend, SuiteKind
from contracts.evaluation import GateRequest, Interval
from contracts.experiments import StartABTestRequest
from contracts.models import ArmEndpoint
from contracts.record import utc_now
from contracts.suites import CaseScore, EvaluatedModel, EvaluationConditions, ScoreEstimate, SuiteResult
from contracts.training import CheckpointRecord, TrainRequest
from database.models import ABTestResult
from evaluation.gate import decide_gate
from stages.services import Services
from tests.evaluation.builders import report
from tests.stages.finished_job import training_report


@dataclass(frozen=True)
class Story:
    """The ids of its rows."""

    first_dataset: int
    second_dataset: int
    job: int
    checkpoint: int
    evaluation: int
    result: int
    base: int
    model: int
    experiment: int


def conditions(suite: str = "road-rules", engine: str = "vllm 0.11.2") -> EvaluationConditions:
    """Conditions that differ in suite and engine alone."""
    return EvaluationConditions(
        suite_name=suite,
        suite_version=1,
        suite_sha256="5" * 64,
        system_prompt_sha256="6" * 64,
        template_sha256="7" * 64,
        engine=engine,
        sampling={"temperature": 0, "max_tokens": 128},
        scoring="1",
    )


def add_result(
    services: Services,
    model_id: int,
    right: set[int],
    n: int = 10,
    under: EvaluationConditions | None = None,
    answer: str = "5년",
) -> SuiteResult:
    """A result of `n` cases of which the model has those in `right` right."""
    cases = [
        CaseScore(
            case_id=f"case-{number:03}",
            category="tolls",
            answer=answer if number in right else "모릅니다",
            score=float(number in right),
            correct=number in right,
        )
        for number in range(n)
    ]
    share = len(right) / n
    estimate = ScoreEstimate(
        name="accuracy", value=share, interval=Interval(lower=share / 2, upper=(1 + share) / 2), n=n
    )
    result = SuiteResult(
        result_id=0,
        model=EvaluatedModel(
            kind=EvaluatedKind.MODEL_VERSION,
            name=f"model {model_id}",
            content_hash=f"{model_id:08x}".ljust(64, "f"),
            model_id=model_id,
        ),
        conditions=under or conditions(),
        kind=SuiteKind.CASES,
        scores=[estimate],
        by_category={"tolls": estimate},
        n=n,
        excluded={},
        unstable_answers=0,
        repeated_answers=2,
        seconds=1.0,
        created_at=utc_now(),
    )
    with services.unit_of_work() as uow:
        return uow.suite_results.add(result, cases)


def add_version(services: Services, job_id: int, content: str, name: str = "assistant") -> int:
    """A version of the job's model in staging."""
    with services.unit_of_work() as uow:
        return uow.models.add(
            model_name=name,
            version=None,
            base_model="demo-base",
            base_model_path="/models/demo-base",
            finetuning_job_id=job_id,
            model_path=f"/models/registered/{name}/{content}",
            model_format=ModelFormat.LORA_ADAPTER,
            model_size_gb=0.1,
            status=ModelStatus.STAGING,
            mlflow_model_uri=None,
            content_hash=content * 64,
        ).model_id


def add_dataset(services: Services, content: str, sources: list[str], parents: list[int]) -> int:
    """A dataset version made of these documents."""
    files = [
        SourceFile(
            path=f"/inbox/{name}",
            sha256=(name[0] * 64).replace(name[0], f"{ord(name[0]) % 16:x}"),
            format="jsonl",
            encoding=None,
            rows=5,
            broken_rows=0,
        )
        for name in sources
    ]
    with services.unit_of_work() as uow:
        return uow.datasets.add(
            name="regulations",
            content_hash=content * 64,
            file_path=f"/data/datasets/regulations/{content}",
            total_samples=10,
            train_samples=8,
            val_samples=1,
            test_samples=1,
            removed={},
            masked={},
            quality_score=0.9,
            categories={"tolls": 10},
            sources=files,
            parents=parents,
        ).dataset_id


def add_job(services: Services, dataset_id: int, job_name: str, **hyperparameters: float) -> int:
    """A finished job on the dataset."""
    request = TrainRequest(job_name=job_name, dataset_id=dataset_id, base_model="demo-base")
    base, output = Path("/models/demo-base"), Path("/jobs") / job_name
    with services.unit_of_work() as uow:
        job_id = uow.jobs.create(request, hyperparameters=dict(hyperparameters), base_model_path=str(base))
        done = training_report(job_id, dataset_id, request, base, output, weights_sha256="8" * 64)
        uow.jobs.complete(job_id, done.model_copy(update={"hyperparameters": dict(hyperparameters)}))
    return job_id


def tell(services: Services) -> Story:
    """The whole story."""
    first = add_dataset(services, "a", ["tolls.jsonl", "leave.jsonl"], [])
    second = add_dataset(services, "b", ["safety.jsonl"], [first])
    job = add_job(services, second, "tolls-1", rank=8)
    other_job = add_job(services, first, "tolls-0", rank=4)
    model = add_version(services, job, "c")
    add_version(services, other_job, "d")
    with services.unit_of_work() as uow:
        uow.jobs.record_checkpoint(
            job, CheckpointRecord(name="checkpoint-100", step=100, epoch=5.0, path="/c", size_bytes=10, metrics={})
        )
        (checkpoint,) = uow.session.connection().exec_driver_sql("SELECT id FROM training_checkpoints").scalars()
        example = report().model_copy(update={"job_id": job})
        evaluation = uow.evaluations.add(example, content_key="evaluate-1")
        uow.evaluations.record_verdict(
            decide_gate(evaluation, GateRequest(evaluation_id=evaluation.evaluation_id, accuracy_bar=0.9))
        )
        base = uow.models.ensure_base("demo-base", "/models/demo-base", 0.1, "e" * 64).model_id
        for arm, model_id in ((Arm.A, base), (Arm.B, model)):
            uow.models.set_deployment(
                model_id,
                ArmEndpoint(
                    arm=arm,
                    model_id=model_id,
                    model_name="assistant",
                    version="1",
                    served_model_name=f"served-{model_id}",
                    base_url="http://127.0.0.1:1",
                    backend=ServerBackend.EMBEDDED,
                ),
            )
        experiment = uow.experiments.start(
            StartABTestRequest(experiment_name="test-1", model_a_id=base, model_b_id=model)
        ).experiment_id
        uow.session.add_all(
            ABTestResult(experiment_id=experiment, variant=arm, total_samples=100, winner=arm == "b") for arm in "ab"
        )
    result = add_result(services, model, {0, 1, 2}).result_id
    return Story(first, second, job, checkpoint, evaluation.evaluation_id, result, base, model, experiment)
