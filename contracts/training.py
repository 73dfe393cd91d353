"""Fine-tuning: recipe, request, progress and report."""

from datetime import datetime

from pydantic import Field

from contracts.enums import CompressionMethod, Method
from contracts.record import JsonObject, Record
from contracts.speed import SpeedComparison
from contracts.watermark import Watermark

NAME_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,126}$"
MAX_NODES = 64
BASE_MODEL_PATTERN = r"^[A-Za-z0-9._/-]{1,255}$"


class Hyperparameters(Record):
    """What a request may override of its recipe; None keeps the recipe's value."""

    lora_rank: int | None = Field(default=None, ge=1, le=1024)
    lora_alpha: int | None = Field(default=None, ge=1, le=4096)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    batch_size: int | None = Field(default=None, ge=1, le=4096)
    """Samples a device takes in one forward pass."""
    gradient_accumulation_steps: int | None = Field(default=None, ge=1, le=4096)
    num_epochs: float | None = Field(default=None, gt=0, le=1000)
    warmup_steps: int | None = Field(default=None, ge=0)
    max_seq_length: int | None = Field(default=None, ge=16, le=262144)


class TrainRequest(Record):
    """Fine-tune a base model on a dataset version."""

    job_name: str = Field(pattern=NAME_PATTERN)
    """Unique; the same name again is the same job."""
    dataset_id: int = Field(ge=1)
    base_model: str = Field(pattern=BASE_MODEL_PATTERN)
    """Folder of a local model: absolute, or a name below the models folder (settings: model_roots)."""
    method: Method = Method.LORA
    recipe: str = Field(default="demo-lora", pattern=NAME_PATTERN)
    hyperparameters: Hyperparameters = Hyperparameters()
    num_gpus: int = Field(default=1, ge=1, le=8)
    """On each host."""
    num_nodes: int = Field(default=1, ge=1, le=MAX_NODES)
    """Hosts that train together; more than one need a runner each over the same data folder."""
    seed: int = Field(default=0, ge=0)


class JobProgress(Record):
    """Where a runner job is, as its process last wrote it."""

    stage: str
    """A short word: starting, training, evaluating, asking, saving."""
    step: int = 0
    total_steps: int = 0
    epoch: float | None = None
    loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    memory_mb: float | None = None
    eta_seconds: float | None = None
    beats: int = 0
    """Pieces of work finished since the process began: micro-batches, validation batches. It stands still in a hang."""
    message: str = ""
    updated_at: datetime


class CheckpointRecord(Record):
    """One saved checkpoint."""

    name: str
    step: int
    epoch: float
    path: str
    size_bytes: int
    metrics: dict[str, float]


class CompressionFacts(Record):
    """What a compression did, beside the answers it costs, which its evaluation tells."""

    method: CompressionMethod
    parent_job_id: int
    parent_bytes: int
    """Weights of the parent, its adapter merged."""
    compressed_bytes: int
    relative_error: float | None = None
    """Frobenius norm of what changed in the compressed layers, over that of their weights; None of a student, whose
    weights are others."""
    zero_share: float | None = None
    """Weights of the compressed layers that are zero; None of a student."""
    parent_loss: float | None
    """Loss on the validation rows (else the calibration rows) before."""
    compressed_loss: float | None
    """The same after."""
    calibration_rows: int
    student: str | None = None
    """With distill: the base model that learnt, or how many of the parent's layers."""
    divergence_before: float | None = None
    """With distill: KL(parent, student) a token of the validation rows' answers, in nats, before the training."""
    divergence_after: float | None = None
    speed: SpeedComparison | None = None
    """Tokens a second before and after; None where it was not measured."""
    speed_missing: str = ""
    """Why it was not."""


class RunManifest(Record):
    """What a fine-tuning run was made of."""

    job_id: int
    job_name: str
    dataset_version: str
    dataset_hash: str
    """The version's content hash."""
    dataset_files: dict[str, str]
    """Digest of each side that was read."""
    tokenized_sha256: str
    """Over the rows as the trainer took them: tokenised, labelled, packed."""
    base_model: str
    base_model_sha256: str
    """Over weights, configuration and tokenizer."""
    teacher_sha256: str | None = None
    """The same of the model that a distillation learns from; None of other runs."""
    recipe_name: str
    recipe: JsonObject
    """Every number, as planned."""
    seed: int
    """Set before the adapter is made; rows, dropout and adapter come from it."""
    num_gpus: int
    """On each host."""
    num_nodes: int = 1
    code_revision: str
    code_changed: bool
    """The checkout had changes that were not committed."""
    code_sha256: str
    """Over the training package's files, also where there is no checkout."""
    libraries: dict[str, str]
    python: str
    hardware: JsonObject
    started_at: datetime


class Difference(Record):
    """Where two runs differ."""

    name: str
    before: str
    after: str


class StepDifference(Record):
    """The first step at which two runs differ, and in what; None: that run has no such value."""

    step: int
    metric: str
    before: float | None
    after: float | None


class ReplayReport(Record):
    """A finished job run again as a new one, and how the two compare."""

    job_key: str
    job_name: str
    replay_key: str
    replay_name: str
    identical: bool
    """Weights and every logged number are the same to the last bit."""
    same_weights: bool
    compared_values: int
    first_difference: StepDifference | None
    environment: list[Difference]
    """What was not the same around the two: code, libraries, hardware."""


class TrainingReport(Record):
    """What a fine-tuning job achieved."""

    job_id: int
    job_name: str
    dataset_id: int
    base_model: str
    base_model_path: str
    method: Method
    recipe: str
    mlflow_run_id: str | None
    output_path: str
    """Folder of the adapter (lora, qlora) or of the whole model (full)."""
    weights_sha256: str
    steps: int
    epochs: float
    train_loss: float
    eval_loss: float | None
    perplexity: float | None
    """exp(eval_loss)."""
    tokens_per_second: float
    peak_memory_mb: float
    duration_seconds: float
    resumed_from_step: int | None
    loss_curve: list[tuple[int, float]]
    """(step, loss), at most 200 points, evenly thinned."""
    checkpoints: list[CheckpointRecord]
    hyperparameters: JsonObject
    """The resolved recipe."""
    compression: CompressionFacts | None = None
    """Of a model that was not trained but made smaller: its "base model" is the model it was made of."""

    manifest: RunManifest | None = None
    """None in reports of jobs before there were manifests."""
    watermark: Watermark | None = None
    """The mark in the output's weights; None where marking is switched off, and in reports from before there were marks."""
    adjustments: list[str] = []
    """What the job changed of its plan, and why: a smaller micro-batch after memory ran out."""
