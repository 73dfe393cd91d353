"""Closed sets. Database, API and dashboard use the same ones."""

from enum import StrEnum


class Method(StrEnum):
    """How a model is fine-tuned."""

    LORA = "lora"
    QLORA = "qlora"
    FULL = "full"


class Metric(StrEnum):
    """What the gate compares with the bar."""

    ACCURACY = "accuracy"
    ACCURACY_LOWER_BOUND = "accuracy_lower_bound"


class DatasetStatus(StrEnum):
    """Life of a dataset version."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    ARCHIVED = "archived"


class Split(StrEnum):
    """The part of a dataset version that a row belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class RemovalReason(StrEnum):
    """Why a row is not in the dataset version."""

    BROKEN_ROW = "broken_row"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    REPETITION = "repetition"
    LOW_QUALITY = "low_quality"
    FOUL_LANGUAGE = "foul_language"
    LEAKS_TEST_CASE = "leaks_test_case"


class QualityCheckType(StrEnum):
    """A check of a dataset version; one row of dataset_quality_logs."""

    PII_DETECTION = "pii_detection"
    DUPLICATE_CHECK = "duplicate_check"
    QUALITY_SCORE = "quality_score"
    SPLIT_BALANCE = "split_balance"
    TEST_LEAKAGE = "test_leakage"
    SIZE = "size"


class JobKind(StrEnum):
    """What a runner job does."""

    TRAIN = "train"
    EVALUATE = "evaluate"


class JobState(StrEnum):
    """State of a runner job, as its folder tells it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Nothing more will happen to this attempt."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class JobStatus(StrEnum):
    """Status column of finetuning_jobs."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


class GateDecision(StrEnum):
    """The gate's answer."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNDECIDED = "undecided"


class ModelStatus(StrEnum):
    """Stage of a registered model version."""

    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


class ModelFormat(StrEnum):
    """What lies in a model version's folder."""

    HUGGINGFACE = "huggingface"
    LORA_ADAPTER = "lora_adapter"
    GGUF = "gguf"
    AWQ = "awq"


class ServerBackend(StrEnum):
    """Which program answers."""

    VLLM = "vllm"
    EMBEDDED = "embedded"


class Arm(StrEnum):
    """Side of an A/B test: a is the present model, b the new one."""

    A = "a"
    B = "b"


class ExperimentStatus(StrEnum):
    """Life of an A/B test."""

    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"


class StageName(StrEnum):
    """The stages of the pipeline, in order."""

    IMPORT_DATASET = "import_dataset"
    PREPARE = "prepare"
    CHECK_QUALITY = "check_quality"
    TRAIN = "train"
    EVALUATE = "evaluate"
    GATE = "gate"
    REGISTER = "register"
    DEPLOY = "deploy"
    START_AB_TEST = "start_ab_test"


class StageStatus(StrEnum):
    """State of one stage of one pipeline run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
