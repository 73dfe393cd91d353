"""Where questions go under one routing table, each place with what is the same of all questions that go there."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from contracts.enums import Exposure
from contracts.models import ArmEndpoint
from serving_api.metrics import ArmMetrics, Metrics
from serving_api.routing import RoutingTable, RunningExperiment


@dataclass(frozen=True, slots=True, eq=False)
class Destination:
    """Who answers, in which arm or none, and why."""

    endpoint: ArmEndpoint
    """This model version and no other."""
    experiment_id: int | None
    exposure: Exposure
    assigned: str | None
    """Arm of the experiment whose model answers."""
    kept_arm: str | None
    """The arm that the answer counts for, once it is whole."""
    counts: ArmMetrics
    served_model_name: str
    """By which its servers know the model."""
    headers: bytes
    """Of each answer."""
    line: bytes
    """How the journal's line of an answer begins."""


@dataclass(frozen=True, slots=True, eq=False)
class ExperimentDestinations:
    """Of the users of one A/B test."""

    by_arm: Mapping[str, Destination]
    by_tester_arm: Mapping[str, Destination]
    outside: Mapping[Exposure, Destination | None]
    """Of those who take no part."""


class Destinations:
    """All that one table knows."""

    def __init__(self, table: RoutingTable, metrics: Metrics) -> None:
        self.table = table
        self._metrics = metrics
        self.by_name = {name: self._destination(endpoint, Exposure.BY_NAME) for name, endpoint in table.by_name.items()}
        self.default = self._default(None, Exposure.NO_EXPERIMENT)
        self.by_experiment = {
            running.experiment.experiment_id: ExperimentDestinations(
                by_arm=self._of_arms(running, Exposure.ASSIGNED),
                by_tester_arm=self._of_arms(running, Exposure.OVERRIDE),
                outside={
                    exposure: self._default(running, exposure) for exposure in (Exposure.HOLDOUT, Exposure.NOT_YET)
                },
            )
            for running in table.experiments
        }

    def _of_arms(self, running: RunningExperiment, exposure: Exposure) -> dict[str, Destination]:
        return {arm: self._destination(endpoint, exposure, running, arm) for arm, endpoint in running.arms.items()}

    def _default(self, running: RunningExperiment | None, exposure: Exposure) -> Destination | None:
        endpoint = self.table.default
        return None if endpoint is None else self._destination(endpoint, exposure, running)

    def _destination(
        self,
        endpoint: ArmEndpoint,
        exposure: Exposure,
        running: RunningExperiment | None = None,
        arm: str | None = None,
    ) -> Destination:
        name = endpoint.served_model_name
        experiment_id = None if running is None else running.experiment.experiment_id
        kept_arm = arm if exposure is Exposure.ASSIGNED else None
        headers = f"x-tuneway-model: {name}\r\n" + ("" if arm is None else f"x-tuneway-arm: {arm}\r\n")
        line = orjson.dumps(
            {
                "kind": "answer",
                "experiment_id": experiment_id,
                "assigned_variant": kept_arm,
                "model_id": endpoint.model_id,
                "exposure": exposure,
                "table_version": self.table.version,
            }
        )
        return Destination(
            endpoint=endpoint,
            experiment_id=experiment_id,
            exposure=exposure,
            assigned=arm,
            kept_arm=kept_arm,
            counts=self._metrics.arm(arm, name),
            served_model_name=name,
            headers=headers.encode(),
            line=line.removesuffix(b"}") + b",",
        )
