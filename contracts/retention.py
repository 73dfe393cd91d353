"""What may leave the disk because nothing needs it any more."""

from datetime import datetime
from enum import StrEnum

from contracts.record import Record


class PrunableKind(StrEnum):
    """The rules of retention."""

    CHECKPOINTS = "checkpoints"
    """Of a completed job: its output stays."""
    TASK_LOGS = "task_logs"
    """Of Airflow's tasks and processes."""


class Prunable(Record):
    """One folder or file that a rule lets go."""

    kind: PrunableKind
    path: str
    size_bytes: int
    since: datetime
    """When it was last needed."""


class PruneReport(Record):
    """What was removed, or would be."""

    removed: list[Prunable]
    freed_bytes: int
    is_dry_run: bool
