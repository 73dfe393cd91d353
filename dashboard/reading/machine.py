"""What the machine has left, and whether the services on it answer."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import httpx

from contracts.gpus import CardReading
from dashboard.reading.keeping import HEALTH_SECONDS, kept
from stages.alarms import Alarm, alarms_now
from stages.nodes import CPU, announced_hosts
from stages.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from contracts.leases import Lease
    from contracts.record import JsonObject

ALARM_SECONDS = 15.0
"""As often as Prometheus asks."""
ALARM_TIMEOUT_SECONDS = 2.0
HEALTH_TIMEOUT_SECONDS = 0.8
"""A service on this host answers within milliseconds; a page must not wait for one that is gone."""


class ServiceName(StrEnum):
    """The services whose pages and health the overview shows."""

    AIRFLOW = "airflow"
    MLFLOW = "mlflow"
    SERVING = "serving"
    RUNNER = "runner"


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """One service, asked a moment ago."""

    name: ServiceName
    page: str | None
    """Where people open it; None for a service without pages."""
    answers: bool
    said: JsonObject = field(default_factory=dict)
    """What its health page said."""


@kept(HEALTH_SECONDS)
def service_health(services: Services) -> list[ServiceHealth]:
    """Every service, asked at the same time."""
    settings = services.settings
    asked: list[tuple[ServiceName, str | None, str]] = [
        (ServiceName.AIRFLOW, settings.resolved_airflow_url, f"{settings.resolved_airflow_url}/api/v2/monitor/health"),
        (ServiceName.MLFLOW, settings.resolved_mlflow_tracking_url, f"{settings.resolved_mlflow_tracking_url}/health"),
        (ServiceName.SERVING, f"{settings.resolved_serving_url}/docs", f"{settings.resolved_serving_url}/health"),
        (ServiceName.RUNNER, None, f"{settings.resolved_runner_url}/health"),
    ]
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        answers = list(pool.map(_health, [url for _, _, url in asked]))
    return [
        ServiceHealth(name, page, answers=said is not None, said=said or {})
        for (name, page, _), said in zip(asked, answers, strict=True)
    ]


def _health(url: str) -> JsonObject | None:
    """What the page says; None where nobody answers well."""
    try:
        response = httpx.get(url, timeout=HEALTH_TIMEOUT_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return None
    if response.is_error:
        return None
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


@dataclass(frozen=True, slots=True)
class Slot:
    """One card, or one CPU worker standing for it."""

    index: int
    owner: str | None
    """The job; empty for one that the reader may not read."""
    since: datetime | None
    card: CardReading | None = None
    """What the card does now; None for a CPU worker."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Every slot of a host."""

    slots: list[Slot]
    are_gpus: bool
    runner_answers: bool
    host: str | None = None
    """None where its runner does not tell."""

    @property
    def used(self) -> int:
        """Slots that somebody holds."""
        return sum(slot.owner is not None for slot in self.slots)


def slots_of(services: Services, leases: list[Lease], health: list[ServiceHealth]) -> list[Slots]:
    """Places for work: cards where a host has some, else processors. First those of the host whose runner is asked.

    The others are those that announce themselves in the jobs folder, and those of whose cards somebody holds one still.
    """
    runner = next(service for service in health if service.name is ServiceName.RUNNER)
    here = runner.said.get("host")
    host = here if isinstance(here, str) else None
    cards = {card.index: card for card in _cards(runner.said.get("cards"))}
    total = int(str(runner.said.get("slots", services.settings.gpu_slots)))
    own = Slots(
        _slots(range(total), [lease for lease in leases if host is None or lease.host == host], cards),
        are_gpus=bool(runner.said.get("gpus")),
        runner_answers=runner.answers,
        host=host,
    )
    # a runner that does not tell its name may be any of them
    return [own] if host is None else [own, *_of_others(services, leases, host)]


def _of_others(services: Services, leases: list[Lease], here: str) -> list[Slots]:
    announced = {said.host: said for said in announced_hosts(services.settings)}
    found = []
    for host in sorted({*announced, *(lease.host for lease in leases)} - {here}):
        said = announced.get(host)
        own = [lease for lease in leases if lease.host == host]
        found.append(
            Slots(
                _slots([] if said is None else said.cards, own, {}),
                are_gpus=said is None or said.card != CPU,
                runner_answers=said is not None,
                host=host,
            )
        )
    return found


def _slots(indices: Iterable[int], leases: list[Lease], cards: Mapping[int, CardReading]) -> list[Slot]:
    held = {lease.gpu_index: lease for lease in leases}
    return [
        Slot(index, held[index].owner, held[index].acquired_at, cards.get(index))
        if index in held
        else Slot(index, None, None, cards.get(index))
        for index in sorted({*indices, *held})
    ]


def _cards(said: object) -> list[CardReading]:
    return [CardReading.model_validate(card) for card in said] if isinstance(said, list) else []


@kept(ALARM_SECONDS)
def alarms_of(services: Services, language: str) -> list[Alarm]:
    """What somebody must look at now, by the rules that Prometheus alarms by."""
    return alarms_now(services.settings, language, ALARM_TIMEOUT_SECONDS) or []


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds the data folder, in bytes."""

    total: int
    free: int
    reserve: int

    @property
    def is_short(self) -> bool:
        """New jobs are refused."""
        return self.free < self.reserve


def disk_of(services: Services) -> Disk:
    """Of the disk that holds the data folder."""
    folder = services.settings.data_dir
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return Disk(usage.total, usage.free, round(services.settings.min_free_disk_gb * 1_000_000_000))
