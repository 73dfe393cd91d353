"""Keep the lease table true: the living beat, the dead give their cards back.

A host's own files and processes say who lives on it, so the age of a heartbeat decides only about other hosts, and
about holders that have left no trace yet. A model server keeps its card as long as it is deployed here.
"""

import logging
from collections.abc import Collection
from datetime import timedelta

from contracts.enums import JobState, LeaseKind
from contracts.errors import InvalidDataError, NotFoundError
from contracts.leases import Lease
from contracts.record import utc_now
from database.unit_of_work import UnitOfWork
from deployment.permanent import all_servers, program_name
from settings import Settings
from stages.launching import forget_holder, holder_file, lease_kind, lease_owner
from storage.files import read_json
from storage.job_folder import JobFolder
from storage.job_state import job_folders, job_view, read_submission
from storage.processes import is_alive, is_here

SWEEP_SECONDS = 5.0
SILENCE = timedelta(seconds=45)
"""With the sweep's own pace, a dead host's cards are free within 60 s. Its living jobs beat with each sweep."""
START_GRACE = timedelta(seconds=45)
"""Between the lease and the first file of its holder: a job done in the foreground takes its cards first."""
SERVER_GRACE = timedelta(minutes=30)
"""The same for a model server: it takes its card, then waits for other deployments, each of which may take 15 minutes."""

log = logging.getLogger("runner")


def sweep_leases(uow: UnitOfWork, settings: Settings, host: str, starting: Collection[str] = ()) -> None:
    """Free what nobody living holds; note who lives.

    `starting` are holders whose launcher runs and may not have said so yet.
    """
    servers = {program_name(state.key) for state in all_servers(settings)}
    living: set[str] = set()
    by_owner: dict[str, list[Lease]] = {}
    for lease in uow.leases.of_host(host):
        by_owner.setdefault(lease.owner, []).append(lease)
    for owner, leases in by_owner.items():
        silent = utc_now() - max(lease.heartbeat_at for lease in leases)
        if leases[0].kind is LeaseKind.SERVING:
            lives, over = owner in servers, owner not in servers and silent > SERVER_GRACE
        elif (holder := read_json(holder_file(settings, owner))) is not None:
            lives = is_alive(holder)
            over = not lives
        else:
            lives, over = _state_of(JobFolder(settings.jobs_dir / owner.rpartition("#")[0]), owner, silent)
            lives, over = lives or owner in starting, over and owner not in starting
        if over:
            log.warning("freed the cards of %s, which has ended", owner)
            uow.leases.release(owner)
            forget_holder(settings, owner)
        elif lives:
            living.add(owner)
    if living:
        uow.leases.beat(living, host)
    for owner in uow.leases.release_silent(SILENCE, but_not_of=host):
        log.warning("freed the cards of %s: its host has been silent for %s", owner, SILENCE)


def _state_of(folder: JobFolder, owner: str, silent: timedelta) -> tuple[bool, bool]:
    """Whether the attempt lives, and whether it is over."""
    try:
        view = job_view(folder)
    except NotFoundError:
        return False, silent > START_GRACE
    except InvalidDataError:  # a broken file is no proof of death
        return False, False
    attempt = int(owner.rpartition("#")[2] or 0)
    if attempt == view.attempt:
        identity = read_json(folder.attempt(attempt).launcher)
        lives = not view.state.is_final and identity is not None and is_alive(identity)
        never_began = view.state is JobState.QUEUED and silent > START_GRACE
        return lives, view.state.is_final or never_began
    if attempt > view.attempt:  # about to be written
        return False, silent > START_GRACE
    return False, True


def restore_lease(uow: UnitOfWork, folder: JobFolder, host: str) -> None:
    """A running attempt whose lease was freed while its host was away has its cards again."""
    submission = read_submission(folder)
    cards = job_view(folder).gpu_ids
    uow.leases.restore(lease_owner(submission), cards, host, lease_kind(submission))


def orphans(settings: Settings, followed: Collection[str], host: str) -> list[JobFolder]:
    """Jobs of this host that nobody follows and whose launcher has died without a word: their foreground process died too."""
    found = []
    for folder in job_folders(settings.jobs_dir):
        if folder.root.name in followed:
            continue
        try:
            view = job_view(folder)
        except InvalidDataError:
            continue
        if view.state is JobState.RUNNING and view.host in {None, host}:
            identity = read_json(folder.attempt(view.attempt).launcher)
            if identity is not None and is_here(identity) and not is_alive(identity):
                found.append(folder)
    return found
