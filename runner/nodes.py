"""What a runner does for jobs over several hosts: cards on all of them at once, and this host's part of other hosts' jobs.

The leading host's runner takes all cards in one transaction, or none; nodes.json then says who does which part. Another
host's runner finds its part by its leases, in PostgreSQL. A job that waits for several hosts is announced to them: each
keeps cards for the first such job as if it waited in its own queue, so that the hosts come free for it together.
"""

import logging
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager

from contracts.jobs import JobSubmission
from contracts.leases import Lease
from contracts.nodes import AnnouncedHost, NodePart, NodePlan, WantedNodes
from contracts.record import utc_now
from database.unit_of_work import UnitOfWork
from runner.queue import WaitingJob
from settings import Settings
from stages.launching import cards_in_use, lease_kind, lease_owner, start_launcher
from stages.nodes import announce, announced_hosts, choose_hosts
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import read_submission
from storage.private_folders import remove_private_folders
from storage.processes import attempt_mark, is_alive, kill_attempt

log = logging.getLogger("runner")


class _TooFewCardsError(Exception):
    """Ends the transaction that has taken some of a job's cards and cannot have all."""


class Nodes:
    """The other hosts, as this runner knows them. All of it can be lost."""

    def __init__(self, settings: Settings, host: str, gpus: int) -> None:
        self._settings = settings
        self._host = host
        self._gpus = gpus
        self._hosts: list[AnnouncedHost] = []
        self._parts: dict[str, subprocess.Popen[bytes]] = {}

    def exchange(self, waiting: list[WantedNodes]) -> None:
        """Announce this host with its first waiting job, and read what the others announce."""
        # looking through all job folders is for those who ask for cards here
        in_use = cards_in_use(self._settings) if self.has_others else set()
        announce(self._settings, min(waiting, key=_arrival, default=None), in_use)
        self._hosts = announced_hosts(self._settings)

    @property
    def has_others(self) -> bool:
        """Other hosts are there."""
        return any(host.host != self._host for host in self._hosts)

    def first_wanted(self) -> WantedNodes | None:
        """Of all hosts' jobs that wait for several hosts, the one that came first: one after the other gets its cards."""
        return min((host.wanted for host in self._hosts if host.wanted is not None), key=_arrival, default=None)

    def wanted_here(self) -> list[WaitingJob]:
        """Another host's job that this host keeps cards for."""
        first = self.first_wanted()
        if first is None or self._host not in first.hosts[1:]:
            return []
        return [
            WaitingJob(
                key=first.job_key,
                cards=first.cards,
                priority=first.priority,
                project=first.project,
                queued_at=first.queued_at,
                expected_seconds=first.expected_seconds,
            )
        ]

    # The leading host

    def hosts_for(self, submission: JobSubmission, leases: list[Lease]) -> list[AnnouncedHost]:
        """Where the job would run as things are."""
        owner = lease_owner(submission)
        taken = {(lease.host, lease.gpu_index) for lease in leases if lease.owner != owner}
        free = {
            host.host: sum((host.host, card) not in taken and card not in host.in_use for card in host.cards)
            for host in self._hosts
        }
        begun = {lease.host for lease in leases if lease.owner == owner}
        return choose_hosts(submission.num_nodes, submission.num_gpus, self._hosts, free, begun, self._host)

    def acquire(
        self, submission: JobSubmission, open_unit: Callable[[], AbstractContextManager[UnitOfWork]]
    ) -> NodePlan | None:
        """Cards on every host of the job, in one transaction; None where they are not all free."""
        owner = lease_owner(submission)
        try:
            with open_unit() as uow:
                chosen = self.hosts_for(submission, uow.leases.all())
                if len(chosen) < submission.num_nodes:
                    return None
                cards: dict[str, list[int]] = {}
                for host in sorted(chosen, key=lambda one: one.host):  # one order for all: nobody waits in a circle
                    total = max(host.cards) + 1
                    in_use = cards_in_use(self._settings) if host.host == self._host else host.in_use
                    never = {*range(total)} - {*host.cards} | {*in_use}
                    got = uow.leases.acquire(
                        owner, submission.num_gpus, host.host, total, kind=lease_kind(submission), never=never
                    )
                    if got is None or len(got) != submission.num_gpus:
                        raise _TooFewCardsError
                    cards[host.host] = got
        except _TooFewCardsError:
            return None
        return NodePlan(
            parts=[NodePart(host=one.host, address=one.address, cards=cards[one.host]) for one in chosen],
            port=self._settings.rendezvous_port + cards[self._host][0],
        )

    # Another host's jobs

    def look_for_parts(self, uow: UnitOfWork, followed: set[str]) -> None:
        """Start, end and settle this host's part of each attempt that holds cards here."""
        owners = {lease.owner: lease for lease in uow.leases.of_host(self._host) if lease.owner not in followed}
        for owner in owners:
            folder, number, rank = self._part_of(owner)
            if rank:
                self._advance(folder, number, rank, owner, uow)

    def living_parts(self, owners: set[str]) -> dict[str, list[int]]:
        """Of these owners and of those that this runner has started, the parts that live here, with their cards."""
        found = {}
        for owner in owners | set(self._parts):
            folder, number, rank = self._part_of(owner)
            part = folder.attempt(number).part(rank) if rank else None
            identity = None if part is None or part.exit.exists() else read_json(part.launcher)
            if identity is not None and is_alive(identity):
                cards = identity["gpu_ids"]
                assert isinstance(cards, list)
                found[owner] = [int(str(card)) for card in cards]
        return found

    def _part_of(self, owner: str) -> tuple[JobFolder, int, int | None]:
        """The attempt of a lease, and which part of it is this host's."""
        key, _, number = owner.rpartition("#")
        folder = JobFolder(self._settings.jobs_dir / key)
        if not number.isdigit():
            return folder, 0, None
        plan = read_json(folder.attempt(int(number)).nodes)
        return folder, int(number), None if plan is None else NodePlan.model_validate(plan).rank_of(self._host)

    def _advance(self, folder: JobFolder, number: int, rank: int, owner: str, uow: UnitOfWork) -> None:
        attempt = folder.attempt(number)
        part = attempt.part(rank)
        launcher = self._parts.get(owner)
        if launcher is not None:
            launcher.poll()
        if part.exit.exists():
            self._parts.pop(owner, None)
            uow.leases.release(owner, host=self._host)
            return
        identity = read_json(part.launcher)
        if identity is not None and not is_alive(identity):
            self._end_vanished(folder, number, rank)
        elif identity is None and attempt.exit.exists():
            uow.leases.release(owner, host=self._host)
        elif identity is None and (launcher is None or launcher.returncode is not None):
            plan = NodePlan.model_validate(read_json(attempt.nodes))
            cards = plan.parts[rank].cards
            if not attempt.over.exists() and not cards_in_use(self._settings).intersection(cards):
                submission = read_submission(folder)
                self._parts[owner] = start_launcher(self._settings, folder, submission, cards, self._gpus, rank=rank)
                log.info("started part %d of %s on %s", rank, owner, cards)

    def _end_vanished(self, folder: JobFolder, number: int, rank: int) -> None:
        survivors = kill_attempt(attempt_mark(folder.root, number, rank))
        if survivors:
            log.warning("%s: ended the remaining processes %s of part %d", folder.root.name, survivors, rank)
            return  # the next look sees them gone
        remove_private_folders(folder.root)
        log.warning("%s attempt %d: the launcher of part %d vanished", folder.root.name, number, rank)
        write_json_atomically(
            folder.attempt(number).part(rank).exit, {"exit_code": None, "finished_at": utc_now().isoformat()}
        )


def _arrival(wanted: WantedNodes) -> tuple[object, str]:
    return wanted.queued_at, wanted.job_key
