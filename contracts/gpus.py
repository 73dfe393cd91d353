"""The cards and the queue before them, as one answer."""

from contracts.enums import JobKind, JobState, Priority
from contracts.jobs import QueuePlace
from contracts.leases import Lease
from contracts.record import Record


class CardReading(Record):
    """What a card does at this moment, as its driver tells."""

    index: int
    memory_used_bytes: int
    memory_bytes: int
    busy_ratio: float | None
    """Share of the last moments in which it computed."""
    temperature_celsius: float | None
    power_watts: float | None


class QueuedWork(Record):
    """A job of the runner that waits or works; its name and request are for those who may read the job."""

    job_key: str
    kind: JobKind
    state: JobState
    num_gpus: int
    gpu_ids: list[int]
    """Empty while it waits."""
    project: str
    priority: Priority
    place: QueuePlace | None
    """While it waits, as the runner last planned."""


class GpuState(Record):
    """Who holds which card, and who waits."""

    cards: int
    """That jobs and model servers may take on the platform's own host; without GPUs, CPU workers."""
    serving_cards: list[int]
    """Kept for model servers."""
    leases: list[Lease]
    """Of every host. A card without a lease is free."""
    runner_answers: bool
    """False: the places in the queue are not known."""
    running: list[QueuedWork]
    waiting: list[QueuedWork]
    """Next first, where the runner answers."""
