"""What was counted of each A/B test's answers: kept, and counted again beside the pages where there are many."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from contracts.enums import ExperimentStatus
from contracts.errors import TunewayError
from contracts.record import utc_now
from dashboard.reading.keeping import LISTED, ask
from dashboard.sessions import installation_of
from stages.services import Services, open_services

if TYPE_CHECKING:
    from datetime import datetime

    from contracts.experiments import ABExperiment, ExperimentTally

MANY_ANSWERS = 20_000
"""So many of a test that runs are counted as a page asks, in some hundredths of a second."""
ENDED_SECONDS = 60.0
"""A test that has ended gets a rating at most now and then."""
PAUSE_OF_COUNT = 9.0
"""What takes long is not repeated at once: it gets at most a tenth of the time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptTally:
    """A tally, and when it was made."""

    tally: ExperimentTally
    counted_at: datetime
    took_seconds: float
    _at: float

    @property
    def age_seconds(self) -> float:
        """How old it is."""
        return time.monotonic() - self._at

    @property
    def answers(self) -> int:
        """Of all arms."""
        return sum(counts.samples for counts in self.tally.counts.values())


_kept: dict[tuple[str, int, ExperimentStatus], KeptTally] = {}
_being_counted: set[tuple[str, int, ExperimentStatus]] = set()
_lock = Lock()
_pool = ThreadPoolExecutor(1, thread_name_prefix="tallies")


def kept_tally(services: Services, experiment: ABExperiment) -> KeptTally:
    """The newest tally. Only the first one of a large test, or of one that has ended, is waited for."""
    key = (installation_of(services), experiment.experiment_id, experiment.status)
    present = _kept.get(key)
    if present is None:
        return _count(services, key)
    if experiment.status is ExperimentStatus.RUNNING:
        if present.answers <= MANY_ANSWERS:
            return _count(services, key)
        good_for = PAUSE_OF_COUNT * present.took_seconds
    else:
        good_for = ENDED_SECONDS
    if present.age_seconds > good_for:
        _count_beside(services, key)
    return present


def count_ahead() -> None:
    """Count every test that pages list, so that not even the first reader after the start waits."""
    try:
        services = open_services()
        for experiment in ask(services, lambda uow: uow.experiments.newest(limit=LISTED)):
            kept_tally(services, experiment)
    except TunewayError as error:
        # the pages say so too, to somebody who can do something
        _log.warning("A/B tests are counted when a page asks: %s", error.sentence())


def _count(services: Services, key: tuple[str, int, ExperimentStatus]) -> KeptTally:
    began = time.monotonic()
    tally = ask(services, lambda uow: uow.experiments.tally(key[1]))
    now = time.monotonic()
    _kept[key] = KeptTally(tally, utc_now(), now - began, now)
    return _kept[key]


def _count_beside(services: Services, key: tuple[str, int, ExperimentStatus]) -> None:
    with _lock:
        if key in _being_counted:
            return
        _being_counted.add(key)
    # the visit may end before
    _pool.submit(_count_again, Services(services.settings), key)


def _count_again(services: Services, key: tuple[str, int, ExperimentStatus]) -> None:
    try:
        _count(services, key)
    except TunewayError as error:
        _log.warning("A/B test %s could not be counted: %s", key[1], error.sentence())
    finally:
        with _lock:
            _being_counted.discard(key)
