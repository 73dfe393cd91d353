"""Who holds which card."""

from datetime import datetime

from contracts.enums import LeaseKind
from contracts.record import Record


class Lease(Record):
    """One card held by one attempt of one job, or by a model server."""

    host: str
    gpu_index: int
    owner: str
    kind: LeaseKind
    acquired_at: datetime
    heartbeat_at: datetime
    """When the holder's host last said that the holder lives."""
