"""What a training job will need, told before it starts."""

from enum import StrEnum

from pydantic import Field

from contracts.enums import Method
from contracts.record import Record
from contracts.training import BASE_MODEL_PATTERN, MAX_NODES, NAME_PATTERN, Hyperparameters


class FitVerdict(StrEnum):
    """Whether a job has room."""

    FITS = "fits"
    TIGHT = "tight"
    """It fits, but by less than the estimate's error."""
    TOO_LARGE = "too_large"
    UNKNOWN = "unknown"
    """The model's architecture is not one that can be estimated, or nobody knows how much room there is."""


class MemoryPart(StrEnum):
    """What memory is for."""

    WEIGHTS = "weights"
    GRADIENTS = "gradients"
    OPTIMIZER = "optimizer"
    ACTIVATIONS = "activations"
    LOGITS = "logits"
    WORKSPACE = "workspace"
    """Values that live for the length of one operation: gathered or dequantised weights, the optimizer's own."""
    OVERHEAD = "overhead"
    """What is no tensor: CUDA's context, libraries, fragments; on a CPU the interpreter."""


class MemoryEstimate(Record):
    """Memory of one device at the moment when it is fullest."""

    parts: dict[MemoryPart, int]
    """Bytes; they sum to `total_bytes`."""
    peak: str
    """When that moment is: loss, backward or step."""
    error: float
    """Relative error of the tensor memory against measured runs, see docs/training/planning.md."""
    trainable_parameters: int
    total_parameters: int

    @property
    def total_bytes(self) -> int:
        """All parts."""
        return sum(self.parts.values())

    @property
    def tensor_bytes(self) -> int:
        """All parts but the overhead: what an allocator counts."""
        return self.total_bytes - self.parts.get(MemoryPart.OVERHEAD, 0)


class SettingChange(Record):
    """One number of a recipe or request that would be another."""

    field: str
    present: str
    proposed: str


class FittingSetting(Record):
    """The nearest setting with which the job has room."""

    changes: list[SettingChange] = Field(min_length=1)
    total_bytes: int

    def sentence(self) -> str:
        """The changes in one line."""
        return ", ".join(f"{change.field} {change.proposed} instead of {change.present}" for change in self.changes)


class DiskEstimate(Record):
    """Bytes that a job writes and keeps."""

    checkpoint_bytes: int
    """Of one."""
    checkpoints: int
    """Kept at the same time, the best and one that is being written among them."""
    output_bytes: int
    """Adapter or model."""
    merged_bytes: int
    """The whole model that an adapter is merged into where a server cannot load adapters; 0 for a full fine-tuning."""
    free_bytes: int
    reserve_bytes: int
    """To remain free (setting min_free_disk_gb)."""

    @property
    def needed_bytes(self) -> int:
        """While training: checkpoints and output. A merge comes later and is asked for by itself."""
        return self.checkpoint_bytes * self.checkpoints + self.output_bytes

    @property
    def fits(self) -> bool:
        """There is room, and the reserve remains."""
        return self.free_bytes - self.needed_bytes >= self.reserve_bytes


class TimeEstimate(Record):
    """How long a job will run."""

    tokens: int
    """In all epochs, without padding."""
    steps: int
    tokens_per_second: float
    seconds: float
    low_seconds: float
    high_seconds: float
    source: str
    """measured: from `based_on` earlier jobs; model: from floating-point operations and an assumed utilisation."""
    based_on: int = 0


class RowLengths(Record):
    """How long a dataset version's training rows are for a base model's tokenizer, before anything is cut off."""

    conversations: int = Field(ge=1)
    """Of a pair of answers, both with their question."""
    sampled_tokens: list[int] = Field(min_length=1)
    """Of some of them, evenly spaced."""
    longest_tokens: list[int]
    """Of those with the most characters."""


class PlanRequest(Record):
    """A training that somebody thinks of: nothing is started."""

    recipe: str = Field(pattern=NAME_PATTERN)
    base_model: str = Field(pattern=BASE_MODEL_PATTERN)
    method: Method | None = None
    """None: the recipe's."""
    hyperparameters: Hyperparameters = Hyperparameters()
    num_gpus: int = Field(default=1, ge=1, le=8)
    num_nodes: int = Field(default=1, ge=1, le=MAX_NODES)


class FitPlan(Record):
    """Memory, disk and time of a job that has not started."""

    recipe: str
    base_model: str
    method: Method
    device: str
    """gpu or cpu."""
    num_gpus: int
    """On each host."""
    num_nodes: int = 1
    batch_size: int
    gradient_accumulation_steps: int
    sequence_tokens: int
    """Of the longest sample: max_seq_length, or less where the dataset version has no longer one."""
    memory: MemoryEstimate | None
    capacity_bytes: int | None
    """Of one device; None where nobody knows."""
    capacity_source: str
    verdict: FitVerdict
    nearest: FittingSetting | None = None
    """Where the job is too large: what would fit, if anything does."""
    disk: DiskEstimate | None = None
    time: TimeEstimate | None = None
