"""A/B tests as they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import Arm
from contracts.experiments import ABExperiment, ArmCounts
from contracts.models import ModelVersion
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.visits import Visit

if TYPE_CHECKING:
    from contracts.experiment_replays import ABTestReplay
    from contracts.experiment_results import ExperimentResults
    from database.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ExperimentState:
    """An A/B test with what was counted so far."""

    experiment: ABExperiment
    model_a: ModelVersion
    model_b: ModelVersion
    counts: dict[Arm, ArmCounts]
    results: ExperimentResults
    replays: list[ABTestReplay]
    """Newest first."""

    @property
    def ratings(self) -> int:
        """Rated answers of both arms."""
        return sum(counts.ratings for counts in self.counts.values())

    @property
    def raters(self) -> int:
        """Users of both arms who rated; these count towards the planned size."""
        return self.results.look.users_a + self.results.look.users_b

    @property
    def planned_users(self) -> int:
        """Users at which the final test is made."""
        return self.results.plan.planned_users

    def model(self, arm: Arm) -> ModelVersion:
        """The arm's model version."""
        return self.model_a if arm is Arm.A else self.model_b


@kept(FRESH_SECONDS)
def list_experiments(visit: Visit) -> list[ExperimentState]:
    """A/B tests, newest first."""
    visit.require(ResourceKind.AB_TEST, "read")
    return ask(visit, lambda uow: [experiment_state(uow, found) for found in uow.experiments.newest(limit=LISTED)])


def experiment_state(uow: UnitOfWork, experiment: ABExperiment) -> ExperimentState:
    """The test as it stands now."""
    # scipy takes a second to import, which only this page needs
    from ab_testing.results import summarise_experiment

    counts = uow.experiments.counts(experiment.experiment_id)
    return ExperimentState(
        experiment=experiment,
        model_a=uow.models.get(experiment.model_a_id),
        model_b=uow.models.get(experiment.model_b_id),
        counts=counts,
        results=summarise_experiment(
            experiment,
            counts,
            uow.experiments.users(experiment.experiment_id),
            uow.experiment_decisions.state(experiment.experiment_id),
            uow.experiment_decisions.get(experiment.experiment_id),
        ),
        replays=uow.experiment_replays.of_experiment(experiment.experiment_id),
    )
