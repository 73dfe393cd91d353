"""Which card belongs to whom."""

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from contracts.leases import Lease
from database.models import GpuLease


class LeaseRepository:
    """Rows of gpu_leases."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def acquire(self, owner: str, count: int, host: str, total: int) -> list[int] | None:
        """Lease `count` of the host's cards 0 .. total-1; None when not enough are free.

        The same owner again gets the cards it has. All or nothing; one acquirer a host at a time.
        """
        self._session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"gpu_leases:{host}"})
        owners = self.owners(host)
        mine = sorted(index for index, holder in owners.items() if holder == owner)
        if mine:
            return mine
        free = [index for index in range(total) if index not in owners]
        if len(free) < count:
            return None
        taken = free[:count]
        self._session.add_all(GpuLease(host=host, gpu_index=index, owner=owner) for index in taken)
        self._session.flush()
        return taken

    def release(self, owner: str) -> int:
        """Give the owner's cards back; how many there were."""
        released = self._session.execute(
            delete(GpuLease).where(GpuLease.owner == owner).returning(GpuLease.gpu_index)
        ).all()
        return len(released)

    def owners(self, host: str) -> dict[int, str]:
        """Holder of each leased card of the host."""
        rows = self._session.execute(select(GpuLease.gpu_index, GpuLease.owner).where(GpuLease.host == host))
        return {row.gpu_index: row.owner for row in rows}

    def all(self) -> list[Lease]:
        """Every lease."""
        rows = self._session.execute(select(GpuLease).order_by(GpuLease.host, GpuLease.gpu_index)).scalars()
        return [
            Lease(host=row.host, gpu_index=row.gpu_index, owner=row.owner, acquired_at=row.acquired_at) for row in rows
        ]
