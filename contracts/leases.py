"""Who holds which card."""

from datetime import datetime

from contracts.record import Record


class Lease(Record):
    """One card held by one attempt of one job."""

    host: str
    gpu_index: int
    owner: str
    acquired_at: datetime
