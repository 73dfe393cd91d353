"""Training over several hosts: what a host says of itself, and who does which part of an attempt."""

from datetime import datetime

from pydantic import Field

from contracts.enums import Priority
from contracts.record import Record


class WantedNodes(Record):
    """A job that waits for cards on several hosts at once."""

    job_key: str
    hosts: list[str]
    """Those on which it is to run, the one that accepted it first."""
    cards: int
    """On each."""
    priority: Priority
    project: str
    queued_at: datetime
    expected_seconds: float | None = None


class AnnouncedHost(Record):
    """A host as its runner announces it to the others, every few seconds."""

    host: str
    address: str
    """By which the other hosts reach it during a training."""
    cards: list[int]
    """Those that jobs may get."""
    in_use: list[int] = []
    """Of its living processes, whatever the leases say."""
    card: str
    """What its cards are; equal on every host of a training."""
    wanted: WantedNodes | None = None
    """The first job here that waits for several hosts."""
    updated_at: datetime


class NodePart(Record):
    """One host's part of an attempt."""

    host: str
    address: str
    cards: list[int]


class NodePlan(Record):
    """nodes.json: the parts of an attempt over several hosts. The first one leads; its host accepted the job."""

    parts: list[NodePart] = Field(min_length=2)
    port: int
    """Of the rendezvous, on the first part's address."""

    def rank_of(self, host: str) -> int | None:
        """Which part the host does; None where it does none."""
        return next((rank for rank, part in enumerate(self.parts) if part.host == host), None)
