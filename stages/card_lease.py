"""Cards for a process that is no job, such as the generation of samples with a model server of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from contracts.errors import CapacityError, UnavailableError
from stages.cards import real_gpus
from stages.launching import cards_in_use, holder_file, job_cards, slots
from storage.files import write_json_atomically
from storage.processes import host_name, identity_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contracts.enums import LeaseKind
    from stages.services import Services

WAIT_SECONDS = 900.0
POLL_SECONDS = 2.0
BEAT_SECONDS = 10.0
"""A lease is taken from a host that has been silent for 45 s."""

log = logging.getLogger(__name__)


@contextmanager
def leased_cards(
    purpose: str, count: int, kind: LeaseKind, services: Services, *, wait_seconds: float = WAIT_SECONDS
) -> Iterator[list[int]]:
    """Cards of this process for the length of the block; it waits for them, then raises CapacityError.

    Killed within the block, the runner's sweep frees them: the holder's file says which process it was.
    """
    identity = identity_of(os.getpid())
    owner = f"{purpose}-{identity['pid']}-{identity['start_ticks']}"
    path = holder_file(services.settings, owner)
    # before the lease: whoever finds the lease finds its holder
    write_json_atomically(path, {**identity, "gpu_ids": []})
    ended = threading.Event()
    try:
        cards = _acquired(owner, count, kind, services, wait_seconds)
        write_json_atomically(path, {**identity, "gpu_ids": list(cards)})
        beating = threading.Thread(target=_beat, args=(owner, cards, kind, services, ended), daemon=True)
        beating.start()
        try:
            yield cards
        finally:
            ended.set()
            beating.join()
    finally:
        with services.unit_of_work() as uow:
            uow.leases.release(owner)
        path.unlink(missing_ok=True)


def _acquired(owner: str, count: int, kind: LeaseKind, services: Services, wait_seconds: float) -> list[int]:
    settings, gpus = services.settings, real_gpus()
    total = len(job_cards(settings, gpus))
    deadline, told = time.monotonic() + wait_seconds, False
    while True:
        with services.unit_of_work() as uow:
            cards = uow.leases.acquire(
                owner,
                count,
                host_name(),
                slots(settings, gpus),
                kind=kind,
                never={*settings.serving_gpus, *cards_in_use(settings)},
            )
            holders = sorted(set(uow.leases.owners(host_name()).values()))
        if cards is not None:
            return cards
        if total < count or time.monotonic() > deadline:
            raise CapacityError(
                "No GPU is free for the model server",
                value=f"held by {', '.join(holders) or 'nobody'}",
                allowed=f"{count} of the {total} that are for jobs (settings TUNEWAY_GPU_SLOTS, TUNEWAY_SERVING_GPUS)",
                next_step="wait for the running jobs (`tuneway job list --running`), or give the endpoint of a model "
                "that is served already",
            )
        if not told:
            told = True
            log.info("waiting for a GPU, at most %.0f s; held by %s", wait_seconds, ", ".join(holders))
        time.sleep(POLL_SECONDS)


def _beat(owner: str, cards: list[int], kind: LeaseKind, services: Services, ended: threading.Event) -> None:
    """The holder lives. What was freed while the database could not be reached is leased again where it is free."""
    while not ended.wait(BEAT_SECONDS):
        try:
            with services.unit_of_work() as uow:
                uow.leases.restore(owner, cards, host_name(), kind)
                uow.leases.beat([owner], host_name())
        except (UnavailableError, DBAPIError) as error:
            log.warning("the cards' lease was not renewed: %s", error)
