"""A small installation's history: a complete run, a run that stopped at the gate, one that trains, one that failed, an A/B test.

Written through the repositories, with the gate and the suites computed by the platform's own functions, so that what a
page shows can be checked against numbers that a reader of this file can compute.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from contracts.datasets import DatasetVersion, ImportedDataset, QualityCheck, QualityReport, SourceFile
from contracts.enums import (
    PIPELINE_STAGES,
    Arm,
    JobStatus,
    Method,
    ModelFormat,
    ModelStatus,
    QualityCheckType,
    ServerBackend,
    StageName,
)
from contracts.errors import CapacityError, JobFailedError
from contracts.evaluation import CaseResult, EvaluationReport, GateRequest
from contracts.experiments import StartABTestRequest
from contracts.models import ArmEndpoint, Deployment
from contracts.training import CheckpointRecord, JobProgress, TrainingReport, TrainRequest
from database.models import FinetuningJob, GpuLease, PipelineRunRow, PipelineStageRow
from database.unit_of_work import UnitOfWork
from evaluation.comparison import compare_suite
from evaluation.gate import decide_gate
from stages.services import Services
from tests.dashboard.review_story import tell_review

COMPLETE_RUN = "manual__2026-11-22T05:03:00+00:00"
REFUSED_RUN = "manual__2026-11-21T01:00:00+00:00"
RUNNING_RUN = "manual__2026-11-22T06:20:00+00:00"
FINISHED_JOB = "regulations-manual-2026-11-22T05-03-00-00-00-1a2b3c4d"
REFUSED_JOB = "regulations-manual-2026-11-21T01-00-00-00-00-5e6f7a8b"
RUNNING_JOB = "regulations-manual-2026-11-22T06-20-00-00-00-9f8e7d6c"
FAILED_JOB = "regulations-too-large"
HOST = "gpu-server-1"
HASH = "3f9a1c0d5e7b2846" * 4

CATEGORIES = ("통행료", "건설 안전", "계약", "유지 관리", "고객 서비스")
REMOVED = {"broken_row": 7, "exact_duplicate": 41, "near_duplicate": 58, "too_short": 12, "foul_language": 5}
MASKED = {"이름": 37, "전화번호": 24, "주민등록번호": 9, "이메일": 11}
STATISTICS = {
    "splits": {
        split: {
            "rows": size,
            "question_characters": {"min": 9, "p25": 21, "median": 28, "p75": 36, "max": 88, "mean": 29.4},
            "answer_characters": {"min": 6, "p25": 24, "median": 41, "p75": 66, "max": 212, "mean": 48.5},
            "quality_score": {"min": 0.71, "p25": 0.88, "median": 0.92, "p75": 0.96, "max": 1.0, "mean": 0.912},
        }
        for split, size in (("train", 1110), ("validation", 62), ("test", 62))
    },
    "sources": 3,
    "largest_sources": {"통행료 수납 규정.md": 96, "도로 작업 안전 지침.md": 81, "물품 계약 지침.md": 64},
    "masking": {
        "rows": 1234,
        "masked_rows": 73,
        "dropped_rows": 2,
        "replaced": {"전화번호": 41, "이름": 40},
        "kept": {"이메일": 3},
        "examples": {"이름": ["담당자 [이름] 대리에게 문의"], "전화번호": ["영업소 [전화번호]로 <b>연락</b>"]},
    },
    "bias": {
        "rows": 1234,
        "rows_with_groups": 18,
        "mean_toxicity": 0.034,
        "attributes": [
            {
                "attribute": "disability",
                "rows": 18,
                "toxicity_gap": 0.0,
                "groups": [
                    {
                        "group": "any",
                        "rows": 18,
                        "share": 0.0146,
                        "mean_toxicity": 0.051,
                        "toxic_rows": 0,
                        "biased_rows": 1,
                        "generalising_rows": 0,
                        "flagged": ["regulations.jsonl:77"],
                    }
                ],
            }
        ],
    },
}
QUESTIONS = (
    ("영업소에서 통행료 영수증을 다시 받으려면 며칠 안에 신청해야 하나요?", "30일", "통행료"),
    ("야간 갓길 작업 때 안전 유도원은 몇 명을 두어야 합니까?", "2명", "건설 안전"),
    ("수의 계약으로 물품을 살 수 있는 한도 금액은 얼마인가요?", "2천만 원", "계약"),
    ("교량 정밀 점검은 몇 년마다 합니까?", "2년", "유지 관리"),
    ("민원 회신은 접수한 날부터 며칠 안에 해야 하나요?", "7일", "고객 서비스"),
)


@dataclass(frozen=True)
class Story:
    """Ids of what was written."""

    dataset: DatasetVersion
    finished_job: int
    running_job: int
    failed_job: int
    model_id: int
    base_model_id: int
    experiment_id: int


def cases(n: int, base_right: int, tuned_right: int) -> list[CaseResult]:
    """n cases; the base has `base_right` right from the sixth on, the tuned model the last `tuned_right`."""
    found = []
    for number in range(n):
        question, answer, category = QUESTIONS[number % len(QUESTIONS)]
        base_correct, tuned_correct = 5 <= number < 5 + base_right, number >= n - tuned_right
        found.append(
            CaseResult(
                case_id=f"case-{number + 1:03d}",
                question=question if number < len(QUESTIONS) else f"{question} ({number + 1}번 문항)",
                category=category,
                accepted_answers=[answer],
                base_answer=f"{answer}입니다." if base_correct else "규정에서 정한 바에 따릅니다.",
                tuned_answer=f"{answer}입니다." if tuned_correct else "10일 <b>이내</b>입니다.",
                base_correct=base_correct,
                tuned_correct=tuned_correct,
            )
        )
    return found


def tell(services: Services) -> Story:
    """Fill the database and the job folders."""
    with _changing(services) as uow:
        dataset = _dataset(services, uow)
        finished = _finished_job(services, uow, dataset, FINISHED_JOB)
        base = uow.models.ensure_base("demo-base", "/srv/models/base/demo-base", 0.011, "b" * 64)
        model_id, experiment_id = _complete_run(uow, dataset, finished, base.model_id)
        _refused_run(services, uow, dataset)
    with _changing(services) as uow:
        running = _running_job(services, uow, dataset)
        failed = _failed_job(services, uow, dataset)
    with _changing(services) as uow:
        _set_times(uow)
    tell_review(services)
    return Story(dataset, finished, running, failed, model_id, base.model_id, experiment_id)


@contextmanager
def _changing(services: Services) -> Iterator[UnitOfWork]:
    with services.unit_of_work() as uow:
        yield uow


STARTED = datetime(2026, 11, 22, 5, 3, tzinfo=UTC)
"""14:03 in Seoul."""
STAGE_SECONDS = (3, 21, 4, 198, 61, 1, 2, 38, 1)


def _set_times(uow: UnitOfWork) -> None:
    """The database's clock wrote one moment everywhere; give the stages the lengths they would have."""
    session = uow.session

    def set_stage(run_id: str, stage: StageName, begin: datetime, end: datetime | None) -> None:
        session.execute(
            update(PipelineStageRow)
            .where(PipelineStageRow.run_id == run_id, PipelineStageRow.stage == stage.value)
            .values(started_at=begin, finished_at=end)
        )

    for run_id, begin in ((COMPLETE_RUN, STARTED), (REFUSED_RUN, STARTED - timedelta(days=1, hours=4))):
        moment = begin
        for stage, seconds in zip(PIPELINE_STAGES, STAGE_SECONDS, strict=True):
            set_stage(run_id, stage, moment, moment + timedelta(seconds=seconds))
            moment += timedelta(seconds=seconds)
        session.execute(
            update(PipelineRunRow)
            .where(PipelineRunRow.run_id == run_id)
            .values(started_at=begin, finished_at=begin + timedelta(seconds=332))
        )
    running = STARTED + timedelta(hours=1, minutes=17)
    session.execute(update(PipelineRunRow).where(PipelineRunRow.run_id == RUNNING_RUN).values(started_at=running))
    set_stage(RUNNING_RUN, StageName.TRAIN, running + timedelta(seconds=5), None)
    for job_name, begin in (
        (FINISHED_JOB, STARTED + timedelta(seconds=28)),
        (REFUSED_JOB, STARTED - timedelta(days=1, hours=3, minutes=59)),
        (FAILED_JOB, STARTED + timedelta(minutes=40)),
    ):
        session.execute(
            update(FinetuningJob)
            .where(FinetuningJob.job_name == job_name)
            .values(start_time=begin, end_time=begin + timedelta(seconds=192))
        )
    session.execute(
        update(FinetuningJob)
        .where(FinetuningJob.status == JobStatus.RUNNING.value)
        .values(start_time=running + timedelta(seconds=6))
    )
    session.execute(update(GpuLease).values(acquired_at=running + timedelta(seconds=6)))


def _dataset(services: Services, uow: UnitOfWork) -> DatasetVersion:
    folder = services.settings.datasets_dir / "versions" / "regulations" / HASH[:12]
    folder.mkdir(parents=True)
    (folder / "statistics.json").write_text(json.dumps(STATISTICS, ensure_ascii=False), encoding="utf-8")
    return uow.datasets.add(
        name="regulations",
        content_hash=HASH,
        file_path=str(folder),
        total_samples=1234,
        train_samples=1110,
        val_samples=62,
        test_samples=62,
        removed=REMOVED,
        masked=MASKED,
        quality_score=0.912,
        categories=dict(zip(CATEGORIES, (310, 274, 250, 220, 180), strict=True)),
        metadata={"import_id": "regulations-1a2b", "request": {"near_duplicate_threshold": 0.9}},
    )


def _metrics(folder: Path, steps: int, every: int, total: int) -> None:
    """metrics.jsonl as a trainer leaves it: the loss falls from 3.2 towards 0.08."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as stream:
        for step in range(every, steps + 1, every):
            value = 0.08 + 3.12 * (1 - step / total) ** 3
            line = {"step": step, "timestamp": 1_795_300_000 + step, "loss": round(value, 4)}
            if step % (every * 10) == 0:
                line["eval_loss"] = round(value * 1.1 + 0.03, 4)
            stream.write(json.dumps(line) + "\n")


def _log(folder: Path, lines: list[str]) -> Path:
    path = folder / "attempt-1" / "output.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _job(services: Services, uow: UnitOfWork, job_name: str, dataset: DatasetVersion, lines: list[str]) -> int:
    job_id = uow.jobs.create(
        TrainRequest(job_name=job_name, dataset_id=dataset.dataset_id, base_model="demo-base"),
        hyperparameters={"lora_rank": 8, "lora_alpha": 32, "learning_rate": 0.005, "batch_size": 32, "num_epochs": 8},
        base_model_path="/srv/models/base/demo-base",
    )
    folder = services.settings.jobs_dir / f"train-{job_id}"
    uow.jobs.set_folders(
        job_id,
        output_dir=str(folder / "output"),
        checkpoint_dir=str(folder / "checkpoints"),
        logs_path=str(_log(folder, lines)),
    )
    return job_id


def _finished_job(services: Services, uow: UnitOfWork, dataset: DatasetVersion, job_name: str) -> int:
    job_id = _job(
        services,
        uow,
        job_name,
        dataset,
        ["학습을 시작합니다", "step 280/280 loss 0.0812", "saved output"],
    )
    uow.jobs.mark_running(job_id, [0], mlflow_run_id="5d0c9b7e8f1a4c2b9d3e6f7a8b9c0d1e")
    _metrics(services.settings.jobs_dir / f"train-{job_id}", 280, 5, 280)
    uow.jobs.complete(job_id, _training_report(job_id, job_name, dataset))
    return job_id


def _training_report(job_id: int, job_name: str, dataset: DatasetVersion) -> TrainingReport:
    return TrainingReport(
        job_id=job_id,
        job_name=job_name,
        dataset_id=dataset.dataset_id,
        base_model="demo-base",
        base_model_path="/srv/models/base/demo-base",
        method=Method.LORA,
        recipe="demo-lora",
        mlflow_run_id="5d0c9b7e8f1a4c2b9d3e6f7a8b9c0d1e",
        output_path=f"/srv/tuneway/jobs/train-{job_id}/output",
        weights_sha256="c" * 64,
        steps=280,
        epochs=8.0,
        train_loss=0.0812,
        eval_loss=0.1193,
        perplexity=1.1267,
        tokens_per_second=5120.0,
        peak_memory_mb=1388.0,
        duration_seconds=192.0,
        resumed_from_step=None,
        loss_curve=[(5, 3.04), (140, 0.47), (280, 0.08)],
        checkpoints=[
            CheckpointRecord(
                name="checkpoint-280", step=280, epoch=8.0, path="/srv/c", size_bytes=2_600_000, metrics={}
            )
        ],
        hyperparameters={"lora_rank": 8},
    )


def _evaluation(uow: UnitOfWork, job_id: int, base: int, tuned: int, key: str) -> EvaluationReport:
    main = cases(200, base, tuned)
    report = EvaluationReport(
        evaluation_id=0,
        job_id=job_id,
        backend=ServerBackend.VLLM,
        served_model_name="regulations-assistant-b",
        main=compare_suite("test_cases", "/srv/demo/test_cases.jsonl", "d" * 64, main),
        extras=[
            compare_suite("unseen_forms", "/srv/demo/unseen_forms.jsonl", "e" * 64, cases(100, 5, 71)),
            compare_suite("known_facts", "/srv/demo/known_facts.jsonl", "f" * 64, cases(80, 79, 78)),
        ],
        unstable_answers=0,
        repeated_answers=40,
        seconds=61.0,
    )
    return uow.evaluations.add(report, content_key=key, cases=main)


def _complete_run(uow: UnitOfWork, dataset: DatasetVersion, job_id: int, base_id: int) -> tuple[int, int]:
    run = uow.pipeline_runs
    run.start(
        COMPLETE_RUN,
        "finetune_pipeline",
        {"dataset_name": "regulations", "base_model": "demo-base", "accuracy_bar": 0.9},
    )

    def stage(name: StageName, record) -> None:
        run.stage_started(COMPLETE_RUN, name)
        run.stage_succeeded(COMPLETE_RUN, name, record)

    source = SourceFile(path="demo/data/regulations.jsonl", sha256="a" * 64, format="jsonl", encoding="utf-8",
                        rows=1357, broken_rows=7)  # fmt: skip
    stage(
        StageName.IMPORT_DATASET,
        ImportedDataset(
            import_id="regulations-1a2b", dataset_name="regulations", rows_path="/srv/rows.parquet",
            quarantine_path="/srv/quarantine.jsonl", total_rows=1350, broken_rows=7, files=[source],
        ),
    )  # fmt: skip
    stage(StageName.PREPARE, dataset)
    checks = [QualityCheck(check_type=kind, passed=True, issues=[]) for kind in QualityCheckType]
    uow.datasets.record_checks(dataset.dataset_id, checks)
    stage(
        StageName.CHECK_QUALITY,
        QualityReport(dataset_id=dataset.dataset_id, passed=True, quality_score=0.912, checks=checks),
    )
    stage(StageName.TRAIN, _training_report(job_id, FINISHED_JOB, dataset))
    evaluation = _evaluation(uow, job_id, base=22, tuned=189, key="complete")
    stage(StageName.EVALUATE, evaluation)
    verdict = decide_gate(evaluation, GateRequest(evaluation_id=evaluation.evaluation_id))
    uow.evaluations.record_verdict(verdict)
    stage(StageName.GATE, verdict)
    model = uow.models.add(
        model_name="regulations-assistant",
        version=None,
        base_model="demo-base",
        base_model_path="/srv/models/base/demo-base",
        finetuning_job_id=job_id,
        model_path="/srv/models/registered/regulations-assistant/1-9c8b7a6d",
        model_format=ModelFormat.LORA_ADAPTER,
        model_size_gb=0.0026,
        status=ModelStatus.STAGING,
        mlflow_model_uri="models:/regulations-assistant/1",
        content_hash="9c8b7a6d" * 8,
    )
    stage(StageName.REGISTER, model)
    arms = [
        ArmEndpoint(arm=Arm.A, model_id=base_id, model_name="demo-base", version="base", served_model_name="arm-a",
                    base_url="http://127.0.0.1:18100", backend=ServerBackend.VLLM),
        ArmEndpoint(arm=Arm.B, model_id=model.model_id, model_name=model.model_name, version=model.version,
                    served_model_name="arm-b", base_url="http://127.0.0.1:18100", backend=ServerBackend.VLLM),
    ]  # fmt: skip
    for arm in arms:
        uow.models.set_deployment(arm.model_id, arm)
    stage(StageName.DEPLOY, Deployment(arms=arms, endpoint="http://127.0.0.1:18001/v1/chat/completions"))
    experiment = uow.experiments.start(
        StartABTestRequest(
            experiment_name="regulations-assistant-2026-11-22", model_a_id=base_id, model_b_id=model.model_id
        )
    )
    stage(StageName.START_AB_TEST, experiment)
    run.finish(COMPLETE_RUN)
    _answers(uow, experiment.experiment_id, base_id, model.model_id)
    return model.model_id, experiment.experiment_id


def _answers(uow: UnitOfWork, experiment_id: int, model_a: int, model_b: int) -> None:
    """Arm A: 30 answers of 400 ms, 20 rated, mean 2.50. Arm B: 32 answers of 450 ms, 24 rated, mean 4.25."""
    plan = ((Arm.A, model_a, 30, 400, [2, 3] * 10), (Arm.B, model_b, 32, 450, [4, 4, 4, 5] * 6))
    for arm, model_id, answers, milliseconds, ratings in plan:
        for number in range(answers):
            request_id = f"{arm.value}-{number}"
            uow.experiments.log_answer(
                experiment_id=experiment_id,
                user_key=f"user-{arm.value}-{number % 12}",
                session_id=None,
                variant=arm,
                model_id=model_id,
                query="통행료 영수증은 어디서 받나요?",
                response="영업소에서 받으실 수 있습니다.",
                response_time_ms=milliseconds,
                request_id=request_id,
            )
            if number < len(ratings):
                uow.experiments.rate(request_id, ratings[number], None)


def _refused_run(services: Services, uow: UnitOfWork, dataset: DatasetVersion) -> None:
    """171 of 200 is 85.5 %: nine answers short of the bar."""
    job_id = _finished_job(services, uow, dataset, REFUSED_JOB)
    run = uow.pipeline_runs
    run.start(REFUSED_RUN, "finetune_pipeline", {"dataset_id": dataset.dataset_id, "accuracy_bar": 0.9})
    for name in (StageName.IMPORT_DATASET, StageName.PREPARE):
        run.stage_skipped(REFUSED_RUN, name)
    evaluation = _evaluation(uow, job_id, base=22, tuned=171, key="refused")
    verdict = decide_gate(evaluation, GateRequest(evaluation_id=evaluation.evaluation_id))
    for name, record in (
        (StageName.TRAIN, _training_report(job_id, REFUSED_JOB, dataset)),
        (StageName.EVALUATE, evaluation),
        (StageName.GATE, verdict),
    ):
        run.stage_started(REFUSED_RUN, name)
        run.stage_succeeded(REFUSED_RUN, name, record)
    for name in (StageName.REGISTER, StageName.DEPLOY, StageName.START_AB_TEST):
        run.stage_skipped(REFUSED_RUN, name)
    run.finish(REFUSED_RUN)


def _running_job(services: Services, uow: UnitOfWork, dataset: DatasetVersion) -> int:
    run = uow.pipeline_runs
    run.start(RUNNING_RUN, "finetune_pipeline", {"dataset_id": dataset.dataset_id})
    for name in (StageName.IMPORT_DATASET, StageName.PREPARE):
        run.stage_skipped(RUNNING_RUN, name)
    run.stage_started(RUNNING_RUN, StageName.TRAIN)
    job_id = _job(services, uow, RUNNING_JOB, dataset, ["step 120/280"])
    uow.jobs.mark_running(job_id, [0])
    _metrics(services.settings.jobs_dir / f"train-{job_id}", 120, 5, 280)
    uow.jobs.record_progress(
        job_id,
        JobProgress(
            stage="training", step=120, total_steps=280, epoch=3.43, loss=0.6614, eval_loss=0.7575,
            learning_rate=0.003, tokens_per_second=5087.0, memory_mb=1342.0, eta_seconds=109.0,
            updated_at=datetime(2026, 11, 22, 6, 23, 41, tzinfo=UTC),
        ),
    )  # fmt: skip
    uow.leases.acquire(f"train-{job_id}#1", 1, HOST, 2)
    return job_id


def _failed_job(services: Services, uow: UnitOfWork, dataset: DatasetVersion) -> int:
    job_id = _job(services, uow, FAILED_JOB, dataset, ["학습을 시작합니다", "CapacityError"])
    uow.jobs.mark_running(job_id, [1])
    cause = CapacityError(
        "The batch does not fit into the memory",
        value="batch_size=4096",
        allowed="at most 64 with this model on this machine",
        next_step="start the job again with batch_size 64 and gradient_accumulation_steps 64",
    )
    uow.jobs.fail(job_id, JobStatus.FAILED, JobFailedError(cause.what, value=cause.value, allowed=cause.allowed,
                                                          next_step=cause.next_step).as_record())  # fmt: skip
    return job_id
