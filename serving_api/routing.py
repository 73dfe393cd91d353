"""Which model answers whom: a snapshot of what PostgreSQL says, renewed each second."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ab_testing.assignment import assign_among, assignment_point, bucket_of
from contracts.enums import Arm
from contracts.errors import UnavailableError
from contracts.experiments import ABExperiment
from contracts.layers import CHAT_LAYER, LAYER_BUCKETS
from contracts.models import ArmEndpoint
from contracts.record import utc_now
from serving_api.chat_access import ChatAccess
from serving_api.remembered_state import RememberedState
from serving_api.serving_state import ServingState

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
START_SECONDS = 0.1
"""Between the first attempts."""
VIRTUAL_MODEL = "auto"
"""The model name that stands for "whichever is right for this user"."""


@dataclass(frozen=True, slots=True)
class RunningExperiment:
    """An A/B test that takes users now, with the models of all arms that get users."""

    experiment: ABExperiment
    arms: Mapping[str, ArmEndpoint]
    """The control first; without the dropped ones."""
    exposed: float
    """Share of its users outside the holdout who take part now."""
    pins: dict[str, str]
    """Arm of each user seen so far; grows as users come. A user of an arm that was dropped since gets another one."""
    shares: Mapping[str, float]
    """Of the arms that get users."""
    testers: Mapping[str, str]
    """Arm of each tester: the control's where theirs was dropped."""

    def assign(self, secret: str, unit: str) -> str:
        """The arm of a user who has none, by the hash; of an arm that is dropped only its own users move."""
        experiment = self.experiment
        if experiment.has_several_challengers:
            return assign_among(secret, experiment.experiment_id, unit, self.shares)
        control, challenger = experiment.arms
        is_control = assignment_point(secret, experiment.experiment_id, unit) < control.share
        return control.name if is_control else challenger.name


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Everything a request needs to know, swapped as a whole."""

    by_name: Mapping[str, ArmEndpoint]
    """Deployed models by the name they are served under."""
    default: ArmEndpoint | None
    """Who answers users who belong to no experiment."""
    experiments: tuple[RunningExperiment, ...]
    """Without those out of their hours, and those of which a model is not deployed."""
    version: str
    """Digest of all the above: the same on every host, and after a restart."""
    buckets: tuple[RunningExperiment | None, ...] = ()
    """Whose users each bucket of the layer holds; empty where one experiment has them all, or none runs."""
    testers: Mapping[str, RunningExperiment] = field(default_factory=dict)
    """By a tester's key: the experiment that gives an arm, the oldest where several do."""

    def experiment_of(self, secret: str, unit: str, key: str) -> RunningExperiment | None:
        """The experiment that the user, or the question of nobody in particular, belongs to."""
        if not self.experiments:
            return None
        if self.testers and key in self.testers:
            return self.testers[key]
        return self.buckets[bucket_of(secret, CHAT_LAYER, unit)] if self.buckets else self.experiments[0]


class Routing:
    """The newest table, kept up to date in the background."""

    def __init__(
        self,
        ask: Callable[[Collection[int]], Awaitable[ServingState]],
        access: ChatAccess,
        remembered: RememberedState | None = None,
    ) -> None:
        """`ask` gives the newest state, without the pins of the experiments named; it raises UnavailableError."""
        self._ask = ask
        self._access = access
        self._remembered = remembered
        self.table: RoutingTable | None = None
        """None until PostgreSQL was first read, now or a short while before this process."""
        self.database_answers = False
        self.is_behind = False
        """PostgreSQL did not take the events that wait for it, when it was read last."""
        self._state: ServingState | None = None
        self._pins: dict[int, dict[str, str]] = {}
        self._pinned_before: dict[int, frozenset[str]] | None = None
        """Users whose pins were remembered; None once PostgreSQL was read."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read now, then each second; what was known before holds until then."""
        self._recall()
        self._task = asyncio.create_task(self._refresh_forever())

    async def stop(self) -> None:
        """No more reads."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Read now. While PostgreSQL is away what it said last stays, and tests still begin, ramp and end on time."""
        previous = self.table
        try:
            # remembered pins are not all: other hosts have given some since
            state = await self._ask(self._pins if self._pinned_before is None else ())
        except UnavailableError as error:
            if self.database_answers:
                log.warning("the routing table could not be renewed: %s", error)
            self.database_answers = False
        else:
            self.database_answers = True
            if self._pinned_before is not None:
                previous = None
            self._take(state)
        if self._state is not None:
            self.table = table_at(self._state, self._pins, utc_now(), previous)
            if self.database_answers and self._remembered is not None and not self._remembered.confirm(self._state):
                # users come while the thread writes
                pins = {number: dict(pins) for number, pins in self._pins.items()}
                await asyncio.to_thread(self._remembered.keep, self._state, pins)

    @property
    def is_remembered(self) -> bool:
        """The table is of before this process, and PostgreSQL has not been read since."""
        return self._pinned_before is not None

    def _recall(self) -> None:
        state = None if self._remembered is None else self._remembered.recall()
        if state is None:
            return
        self._pins = state.pins
        self._pinned_before = {number: frozenset(pins) for number, pins in state.pins.items()}
        self._state = state
        self._access.keys = state.chat_keys
        self.table = table_at(state, self._pins, utc_now(), None)
        log.info("until PostgreSQL answers, questions go where they went before: table %s", self.table.version)

    def _take(self, state: ServingState) -> None:
        numbers = [experiment.experiment_id for experiment in state.experiments]
        known, before = self._pins, self._pinned_before
        if before is None:
            # who came since has a pin here and perhaps not there: what is known stays
            self._pins = {number: known[number] if number in known else state.pins[number] for number in numbers}
        else:
            self._pins = {
                number: _came_since(known.get(number, {}), before.get(number, frozenset())) | state.pins[number]
                for number in numbers
            }
            self._pinned_before = None
        self._state = state
        self._access.keys = state.chat_keys
        self.is_behind = state.is_behind

    async def _refresh_forever(self) -> None:
        while True:
            try:
                await self.refresh()
            except Exception:
                # the edge of a background task: the last table stays, and the next second tries again
                log.exception("the routing table could not be renewed")
                self.database_answers = False
            await asyncio.sleep(START_SECONDS if self.table is None else REFRESH_SECONDS)


def _came_since(pins: dict[str, str], before: frozenset[str]) -> dict[str, str]:
    return {user: arm for user, arm in pins.items() if user not in before}


def table_at(
    state: ServingState, pins: Mapping[int, dict[str, str]], now: datetime, previous: RoutingTable | None
) -> RoutingTable:
    """The table at a time; the previous one itself where nothing differs."""
    by_model = {endpoint.model_id: endpoint for endpoint in state.deployed}
    running = []
    for experiment in state.experiments:
        open_arms = experiment.open_arms
        arms = {arm.name: by_model[arm.model_id] for arm in open_arms if arm.model_id in by_model}
        if len(arms) < len(open_arms) or not experiment.traffic.is_open(now):
            # one arm's users would get no answer, or one that is not their arm's: they get the default model
            continue
        traffic, control = experiment.traffic, experiment.control.name
        running.append(
            RunningExperiment(
                experiment=experiment,
                arms=arms,
                exposed=traffic.exposed(experiment.share_of_challengers, experiment.start_date, now),
                pins=pins[experiment.experiment_id],
                shares={arm.name: arm.share for arm in open_arms},
                testers={key: arm if arm in arms else control for key, arm in traffic.testers.items()},
            )
        )
    default = _default(state.deployed, state.production)
    version = _version(state.deployed, default, running)
    if previous is not None and previous.version == version:
        return previous
    testers: dict[str, RunningExperiment] = {}
    for one in running:
        for key in one.testers:
            testers.setdefault(key, one)
    return RoutingTable(
        by_name={endpoint.served_model_name: endpoint for endpoint in state.deployed},
        default=default,
        experiments=tuple(running),
        version=version,
        buckets=_buckets(running),
        testers=testers,
    )


def _buckets(running: Sequence[RunningExperiment]) -> tuple[RunningExperiment | None, ...]:
    if not running or running[0].experiment.layer_share == 1:
        return ()
    buckets: list[RunningExperiment | None] = [None] * LAYER_BUCKETS
    for one in running:
        for part in one.experiment.buckets:
            buckets[part.first : part.end] = [one] * part.size
    return tuple(buckets)


def _version(deployed: list[ArmEndpoint], default: ArmEndpoint | None, running: Sequence[RunningExperiment]) -> str:
    parts = [*deployed, default, *(one.experiment for one in running)]
    text = "\n".join("" if part is None else part.model_dump_json() for part in parts)
    text += "".join(f"\n{one.exposed}" for one in running)
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
