"""What the data path knows of PostgreSQL: read by the control process, and asked for by the public one each second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.enums import ModelStatus
from contracts.experiments import ABExperiment
from contracts.models import ArmEndpoint
from contracts.record import Record
from security.identity.scopes import covers

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from database.unit_of_work import UnitOfWork
    from stages.services import Services

CHAT_SCOPE = ("chat", "ask")


class ChatKey(Record):
    """A key with which questions may be asked."""

    prefix: str
    expires_at: float
    """Seconds since 1970."""


class ServingState(Record):
    """Models, experiments and keys; the routing table follows from them and the clock."""

    deployed: list[ArmEndpoint]
    production: dict[int, int]
    """Versions in production, each with the number of its promotion."""
    experiments: list[ABExperiment]
    """Those that run, out of their hours too."""
    pins: dict[int, dict[str, str]]
    """Arms of the users of each experiment, but of those that were known already."""
    chat_keys: dict[str, ChatKey]
    """The good keys of active accounts that may ask, by their hash."""
    is_behind: bool = False
    """PostgreSQL was away when events were to be stored, and they wait."""


def read_state(services: Services, now: datetime, known: Collection[int] = ()) -> ServingState:
    """As PostgreSQL has it now; `known`: experiments whose pins need not be read. Raises UnavailableError."""
    with services.unit_of_work() as uow:
        experiments = uow.experiments.running()
        promoted = uow.promotions.newest_by_model()
        in_production = uow.models.newest(ModelStatus.PRODUCTION)
        numbers = [experiment.experiment_id for experiment in experiments]
        return ServingState(
            deployed=uow.models.deployed(),
            production={model.model_id: promoted.get(model.model_id, 0) for model in in_production},
            experiments=experiments,
            pins={number: uow.experiments.pinned(number) for number in numbers if number not in known},
            chat_keys=_chat_keys(uow, now),
        )


def _chat_keys(uow: UnitOfWork, now: datetime) -> dict[str, ChatKey]:
    return {
        key.key_hash: ChatKey(prefix=key.details.prefix, expires_at=key.details.expires_at.timestamp())
        for key in uow.api_keys.good(now)
        if covers(key.details.scopes, *CHAT_SCOPE)
    }
