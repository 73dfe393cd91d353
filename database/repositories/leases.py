"""Which card belongs to whom."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.enums import LeaseKind
from contracts.leases import Lease
from database.models import GpuLease


class LeaseRepository:
    """Rows of gpu_leases."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def acquire(
        self,
        owner: str,
        count: int,
        host: str,
        total: int,
        *,
        kind: LeaseKind = LeaseKind.TRAINING,
        never: Collection[int] = (),
        first: Sequence[int] = (),
    ) -> list[int] | None:
        """Lease `count` of the host's cards 0 .. total-1; None when not enough are free.

        The same owner again gets the cards it has. All or nothing; one acquirer a host at a time. Cards of `never` are
        not given, those of `first` before others.
        """
        self._lock(host)
        owners = self.owners(host)
        mine = sorted(index for index, holder in owners.items() if holder == owner)
        if mine:
            return mine
        free = [index for index in range(total) if index not in owners and index not in never]
        if len(free) < count:
            return None
        free.sort(key=lambda index: (index not in first, index))
        taken = sorted(free[:count])
        self._session.add_all(GpuLease(host=host, gpu_index=index, owner=owner, kind=kind.value) for index in taken)
        self._session.flush()
        return taken

    def restore(self, owner: str, cards: Sequence[int], host: str, kind: LeaseKind) -> None:
        """Lease the cards to a holder that has them and lives; those of another holder stay with it."""
        self._lock(host)
        for index in cards:
            self._session.execute(
                insert(GpuLease)
                .values(host=host, gpu_index=index, owner=owner, kind=kind.value)
                .on_conflict_do_nothing(index_elements=["host", "gpu_index"])
            )

    def release(self, owner: str, *, host: str | None = None) -> int:
        """Give the owner's cards back, on every host or on that one; how many there were."""
        doomed = delete(GpuLease).where(GpuLease.owner == owner)
        if host is not None:
            doomed = doomed.where(GpuLease.host == host)
        return len(self._session.execute(doomed.returning(GpuLease.gpu_index)).all())

    def beat(self, owners: Collection[str], host: str) -> None:
        """These holders on the host live."""
        self._session.execute(
            update(GpuLease)
            .where(GpuLease.host == host, GpuLease.owner.in_(list(owners)))
            .values(heartbeat_at=func.now())
        )

    def release_silent(self, silence: timedelta, *, but_not_of: str) -> list[str]:
        """Give back the cards of jobs on other hosts that have been silent for so long; their owners.

        A host knows its own holders, alive or dead: it is left out. Model servers keep their cards.
        """
        released = self._session.execute(
            delete(GpuLease)
            .where(
                GpuLease.host != but_not_of,
                GpuLease.kind != LeaseKind.SERVING.value,
                GpuLease.heartbeat_at < func.now() - silence,
            )
            .returning(GpuLease.owner)
        ).scalars()
        return sorted(set(released))

    def owners(self, host: str) -> dict[int, str]:
        """Holder of each leased card of the host."""
        rows = self._session.execute(select(GpuLease.gpu_index, GpuLease.owner).where(GpuLease.host == host))
        return {row.gpu_index: row.owner for row in rows}

    def all(self) -> list[Lease]:
        """Every lease."""
        return self._leases()

    def of_host(self, host: str) -> list[Lease]:
        """The leases of one host."""
        return self._leases(host)

    def _leases(self, host: str | None = None) -> list[Lease]:
        query = select(GpuLease).order_by(GpuLease.host, GpuLease.gpu_index)
        if host is not None:
            query = query.where(GpuLease.host == host)
        return [
            Lease(
                host=row.host,
                gpu_index=row.gpu_index,
                owner=row.owner,
                kind=LeaseKind(row.kind),
                acquired_at=row.acquired_at,
                heartbeat_at=row.heartbeat_at,
            )
            for row in self._session.execute(query).scalars()
        ]

    def _lock(self, host: str) -> None:
        self._session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"gpu_leases:{host}"})
