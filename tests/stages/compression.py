"""The report of a compression job, as its stage leaves it."""

from contracts.enums import CompressionMethod, Method, ServerBackend
from contracts.speed import SpeedAtLoad, SpeedComparison
from contracts.training import CompressionFacts, TrainingReport

SPEED = SpeedComparison(
    backend=ServerBackend.VLLM,
    device="1 x H100",
    rounds=3,
    together=True,
    answer_tokens=64,
    loads=[
        SpeedAtLoad(
            concurrency=1,
            parent_tokens_per_second=100.0,
            compressed_tokens_per_second=150.0,
            ratio=1.5,
            lowest_ratio=1.4,
            highest_ratio=1.6,
        )
    ],
    parent_memory_mb=2000.0,
    compressed_memory_mb=1200.0,
)
FACTS = CompressionFacts(
    method=CompressionMethod.INT8,
    parent_job_id=4,
    parent_bytes=2_000_000,
    compressed_bytes=1_100_000,
    relative_error=0.006,
    zero_share=0.0,
    parent_loss=0.5,
    compressed_loss=0.52,
    calibration_rows=0,
    speed=SPEED,
)


def compression_report(**changes: object) -> TrainingReport:
    """Of job 5, made of job 4's model."""
    report = TrainingReport(
        job_id=5,
        job_name="small",
        dataset_id=1,
        base_model="regulations-1",
        base_model_path="/parent",
        method=Method.FULL,
        recipe="int8",
        mlflow_run_id=None,
        output_path="/small",
        weights_sha256="0" * 64,
        steps=0,
        epochs=0.0,
        train_loss=0.2,
        eval_loss=0.52,
        perplexity=1.7,
        tokens_per_second=0.0,
        peak_memory_mb=900.0,
        duration_seconds=3.0,
        resumed_from_step=None,
        loss_curve=[],
        checkpoints=[],
        hyperparameters={},
        compression=FACTS,
    )
    return report.model_copy(update=changes)
