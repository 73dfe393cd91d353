"""A fine-tuning job that is done, as rows and folders, for the stages after it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from contracts.enums import Method
from contracts.training import TrainingReport, TrainRequest
from data_prep.versions.names import PART_SCHEMA
from stages.services import Services
from storage.files import sha256_of_folder


@dataclass(frozen=True)
class FinishedJob:
    """Its id and what it left."""

    job_id: int
    dataset_id: int
    report: TrainingReport


def write_split(path: Path, talks: list[tuple[str, str]], system_prompt: str | None = None, source: str = "") -> None:
    """A split of question and answer pairs."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    messages = [
        [*system, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        for question, answer in talks
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "messages": [json.dumps(turns, ensure_ascii=False) for turns in messages],
        "category": ["tolls"] * len(talks),
        "source": [source] * len(talks),
        "quality_score": [0.9] * len(talks),
        "toxicity": [0.0] * len(talks),
        "key": [f"{number:016x}" for number in range(len(talks))],
        "metadata": [json.dumps({"category": "tolls", "source": source})] * len(talks),
        "parts": ["{}"] * len(talks),
    }
    parquet.write_table(pa.table(columns, schema=PART_SCHEMA), path)


def finished_job(
    services: Services,
    *,
    base_model: Path,
    output: Path,
    method: Method = Method.LORA,
    job_name: str = "regulations-1",
    test_talks: list[tuple[str, str]] | None = None,
    train_talks: list[tuple[str, str]] | None = None,
    complete: bool = True,
) -> FinishedJob:
    """Add dataset version and job; its output folder is the one given."""
    folder = services.settings.datasets_dir / "versions" / job_name
    talks = test_talks or [("보존 기간은 얼마인가요?", "5년입니다.")]
    trained = train_talks or [("휴무일은 언제인가요?", "일요일입니다.")]
    for split, rows in (("train", trained), ("validation", trained[:1]), ("test", talks)):
        write_split(folder / f"{split}.parquet", rows)
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="regulations",
            content_hash=sha256_of_folder(folder),
            file_path=str(folder),
            total_samples=1200,
            train_samples=1000,
            val_samples=100,
            test_samples=100,
            removed={"exact_duplicate": 12},
            masked={"전화번호": 7},
            quality_score=0.93,
            categories={"tolls": 1200},
        )
        request = TrainRequest(
            job_name=job_name, dataset_id=dataset.dataset_id, base_model=base_model.name, method=method
        )
        job_id = uow.jobs.create(request, hyperparameters={"lora_rank": 8}, base_model_path=str(base_model))
        report = training_report(job_id, dataset.dataset_id, request, base_model, output)
        if complete:
            uow.jobs.complete(job_id, report)
    return FinishedJob(job_id, dataset.dataset_id, report)


def training_report(
    job_id: int,
    dataset_id: int,
    request: TrainRequest,
    base_model: Path,
    output: Path,
    weights_sha256: str | None = None,
) -> TrainingReport:
    """What a job of 100 steps tells at its end; the digest of its weights is that of its output's unless given."""
    told: dict[str, Any] = {
        "job_id": job_id,
        "job_name": request.job_name,
        "dataset_id": dataset_id,
        "base_model": request.base_model,
        "base_model_path": str(base_model),
        "method": request.method,
        "recipe": request.recipe,
        "mlflow_run_id": None,
        "output_path": str(output),
        "weights_sha256": weights_sha256 or sha256_of_folder(output, "*.safetensors"),
        "steps": 100,
        "epochs": 5.0,
        "train_loss": 0.21,
        "eval_loss": 0.3,
        "perplexity": 1.35,
        "tokens_per_second": 4000.0,
        "peak_memory_mb": 900.0,
        "duration_seconds": 40.0,
        "resumed_from_step": None,
        "loss_curve": [(1, 4.0), (100, 0.21)],
        "checkpoints": [],
        "hyperparameters": {"lora_rank": 8},
    }
    return TrainingReport.model_validate(told)


def write_suite(services: Services, name: str, cases: list[dict[str, Any]]) -> str:
    """A test case file in the inbox; its path."""
    path = services.settings.data_dir / "inbox" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases), encoding="utf-8")
    return str(path)
