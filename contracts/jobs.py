"""The runner's protocol: what is handed over, and what it tells."""

from datetime import datetime

from pydantic import Field

from contracts.enums import CompressionMethod, JobKind, JobState, JobStatus, Method, Priority, WaitReason
from contracts.record import JsonObject, Record
from contracts.training import MAX_NODES, CheckpointRecord, CompressionFacts, JobProgress, TrainingReport

JOB_KEY_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
CHECKPOINT_PATTERN = r"^checkpoint-\d{1,12}$"
PROJECT_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
DEFAULT_PROJECT = "default"


class JobSubmission(Record):
    """A job handed to the runner. The same key and attempt again is the same job."""

    job_key: str = Field(pattern=JOB_KEY_PATTERN)
    """Name of the job's folder, e.g. `train-17`."""
    kind: JobKind
    request: JsonObject
    """The stage's request record as JSON; the job's process validates it again."""
    num_gpus: int = Field(default=1, ge=0, le=8)
    """0: it needs none, and waits for nobody (it follows a run that another trainer does)."""
    num_nodes: int = Field(default=1, ge=1, le=MAX_NODES)
    """Hosts that train together, each with num_gpus cards; they start together or not at all."""
    attempt: int = Field(default=1, ge=1)
    """A higher attempt starts the job again (resuming from its last checkpoint) after the one before has ended."""
    resume_from: str | None = Field(default=None, pattern=CHECKPOINT_PATTERN)
    """The checkpoint to go on from instead of the last one; later ones are set aside."""
    owner: str = Field(default="", max_length=500)
    """Who handed it over, for the lease table and for people: dag/run/task/try."""
    finetuning_job_id: int | None = None
    """Row of finetuning_jobs that mirrors this job's progress, for train jobs."""
    max_runtime_seconds: float = Field(default=7 * 24 * 3600, gt=0)
    project: str = Field(default=DEFAULT_PROJECT, pattern=PROJECT_PATTERN)
    """Whose share of the cards it counts against."""
    priority: Priority = Priority.NORMAL
    expected_seconds: float | None = Field(default=None, gt=0)
    """The long end of the estimated duration; None where nobody knows. The queue plans with it."""


class QueuePlace(Record):
    """Where a waiting job stands."""

    position: int
    """1 is next."""
    waiting: int
    expected_start_at: datetime | None
    """None where nobody knows when the jobs before it end."""
    reason: WaitReason


class JobView(Record):
    """A job as the runner sees it now."""

    job_key: str
    kind: JobKind
    state: JobState
    attempt: int
    host: str | None = None
    """Where the attempt is done, or waits."""
    runner_url: str | None = None
    """Address of that host's runner."""
    exit_code: int | None = None
    gpu_ids: list[int] = []
    place: QueuePlace | None = None
    """While it is queued, as the runner last planned."""
    progress: JobProgress | None = None
    error: JsonObject | None = None
    """The four parts of the job's own error, if it left one."""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class LogChunk(Record):
    """Part of a job's output."""

    text: str
    next_offset: int
    """Byte offset to ask for next."""


class LogLines(Record):
    """Lines of a job's output."""

    lines: list[str]
    next_offset: int
    """Byte offset behind them."""


class JobLog(Record):
    """The end of a job's log, as it is now."""

    attempt: int | None
    """None before the first."""
    lines: list[str]
    last_id: str | None
    """For Last-Event-ID: the stream goes on behind these lines."""


class JobMetrics(Record):
    """What a training has measured so far."""

    series: dict[str, list[tuple[int, float]]]
    """(step, value) by name: loss, eval_loss, perplexity, learning_rate and so on; evenly thinned, first and last stay."""
    last_id: str | None
    """For Last-Event-ID: the stream goes on behind these values."""


class SavedCheckpoint(CheckpointRecord):
    """One row of training_checkpoints: a checkpoint that is on the disk."""

    checkpoint_id: int


class ResumedJob(Record):
    """A job's next attempt, and where it goes on."""

    job: JobView
    checkpoint_step: int | None
    """None: it begins anew, for want of a checkpoint."""
    set_aside: list[str]
    """Checkpoints after that step: kept beside the job's own until retention removes them, <attempt>/<checkpoint>."""


class FinetuningJob(Record):
    """One row of finetuning_jobs."""

    job_id: int
    job_name: str
    base_model: str
    base_model_path: str
    dataset_id: int
    method: Method
    hyperparameters: JsonObject
    mlflow_run_id: str | None
    status: JobStatus
    progress: JobProgress | None
    output_dir: str | None
    checkpoint_dir: str | None
    logs_path: str | None
    gpu_ids: str | None
    start_time: datetime | None
    end_time: datetime | None
    error: JsonObject | None
    report: TrainingReport | None
    dag_run_id: str | None = None
    """The run of `finetune_job` in Airflow that starts it; None where another DAG, a sweep or the CLI did."""

    @property
    def compression(self) -> CompressionMethod | None:
        """How it makes a finished model smaller; None of a job that trains one."""
        method = self.hyperparameters.get("compression")
        return None if method is None else CompressionMethod(str(method))


class JobListing(Record):
    """One line of the list of jobs."""

    name: str
    """The name its request gave it; empty for kinds of jobs without names."""
    compression: CompressionMethod | None = None
    """How the job makes a model smaller; None of other kinds."""
    view: JobView


class JobDetail(Record):
    """Everything the folder of a job tells."""

    name: str
    view: JobView
    folder: str
    log_path: str
    checkpoints: list[CheckpointRecord]
    set_aside: list[str]
    """Checkpoints that the job has gone back behind: <attempt>/<checkpoint>."""
    restarts: list[JsonObject]
    """When and why the launcher started the newest attempt's process again: `at` and the parts of an error."""
    has_result: bool
    compression: CompressionFacts | None = None
    """What a finished compression did."""
