"""Which model answers whom: a snapshot of PostgreSQL, renewed each second."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.enums import Arm, ModelStatus
from contracts.errors import UnavailableError
from contracts.experiments import ABExperiment
from contracts.models import ArmEndpoint
from contracts.record import utc_now
from stages.services import Services

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
VIRTUAL_MODEL = "auto"
"""The model name that stands for "whichever is right for this user"."""


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Everything a request needs to know, swapped as a whole."""

    by_name: Mapping[str, ArmEndpoint]
    """Deployed models by the name they are served under."""
    default: ArmEndpoint | None
    """Who answers while no experiment runs."""
    experiment: ABExperiment | None
    """The running experiment; None also out of its hours, and while one of its models is not deployed."""
    arms: Mapping[Arm, ArmEndpoint]
    """The running experiment's models."""
    exposed: float
    """Share of the users outside the holdout who take part in the experiment now."""
    version: str
    """Digest of all the above: the same on every host, and after a restart."""
    pins: dict[str, Arm] = field(default_factory=dict)
    """Arm of each user of the experiment seen so far; grows as users come."""


class Routing:
    """The newest table, kept up to date in the background."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.table: RoutingTable | None = None
        """None until PostgreSQL was first read."""
        self.database_answers = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read once, then each second."""
        await self.refresh()
        self._task = asyncio.create_task(self._refresh_forever())

    async def stop(self) -> None:
        """No more reads."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Read now. While PostgreSQL is away the last table stays."""
        try:
            self.table = await asyncio.to_thread(read_table, self._services, self.table)
        except UnavailableError as error:
            if self.database_answers or self.table is None:
                log.warning("the routing table could not be renewed: %s", error)
            self.database_answers = False
        else:
            self.database_answers = True

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except Exception:
                # the edge of a background task: the last table stays, and the next second tries again
                log.exception("the routing table could not be renewed")
                self.database_answers = False


def read_table(services: Services, previous: RoutingTable | None) -> RoutingTable:
    """The table as PostgreSQL has it now. Raises UnavailableError."""
    with services.unit_of_work() as uow:
        deployed = uow.models.deployed()
        experiment = uow.experiments.running()
        promoted = uow.promotions.newest_by_model()
        production = {
            model.model_id: promoted.get(model.model_id, 0) for model in uow.models.newest(ModelStatus.PRODUCTION)
        }
        known = previous.experiment if previous is not None else None
        if experiment is None:
            pins: dict[str, Arm] = {}
        elif previous is not None and known is not None and known.experiment_id == experiment.experiment_id:
            pins = previous.pins
        else:
            pins = uow.experiments.pinned(experiment.experiment_id)
    by_model = {endpoint.model_id: endpoint for endpoint in deployed}
    arms: dict[Arm, ArmEndpoint] = {}
    if experiment is not None:
        chosen = {Arm.A: experiment.model_a_id, Arm.B: experiment.model_b_id}
        arms = {arm: by_model[model_id] for arm, model_id in chosen.items() if model_id in by_model}
    now = utc_now()
    if len(arms) < len(Arm) or (experiment is not None and not experiment.traffic.is_open(now)):
        # one arm's users would get no answer, or one that is not their arm's: everyone gets the default model
        experiment, arms = None, {}
    default = _default(deployed, production)
    exposed = (
        0.0
        if experiment is None
        else experiment.traffic.exposed(experiment.traffic_split.b, experiment.start_date, now)
    )
    version = _version(deployed, default, experiment, exposed)
    if previous is not None and previous.version == version:
        return previous
    return RoutingTable(
        by_name={endpoint.served_model_name: endpoint for endpoint in deployed},
        default=default,
        experiment=experiment,
        arms=arms,
        exposed=exposed,
        version=version,
        pins=pins,
    )


def _version(
    deployed: list[ArmEndpoint], default: ArmEndpoint | None, experiment: ABExperiment | None, exposed: float
) -> str:
    parts = [*deployed, default, experiment]
    text = "\n".join("" if part is None else part.model_dump_json() for part in parts) + f"\n{exposed}"
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _default(deployed: list[ArmEndpoint], production: Mapping[int, int]) -> ArmEndpoint | None:
    """The version that answers and went into production last, else the newest arm A, else the newest of all.

    `production` has the number of each version's promotion: under another name there may be an older winner.
    """
    return max(
        deployed,
        key=lambda endpoint: (
            production.get(endpoint.model_id, -1),
            endpoint.arm is Arm.A,
            endpoint.model_id,
        ),
        default=None,
    )
