"""A/B tests as they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.experiment_verdicts import ExperimentVerdict
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
    models: dict[str, ModelVersion]
    """The model version of each arm, the control's first."""
    counts: dict[str, ArmCounts]
    results: ExperimentResults
    replays: list[ABTestReplay]
    """Newest first."""

    @property
    def ratings(self) -> int:
        """Rated answers of all arms."""
        return sum(counts.ratings for counts in self.counts.values())

    @property
    def raters(self) -> int:
        """Users of the control and a challenger who rated; these count towards the planned size.

        Of several challengers that with the fewest who is still open.
        """
        open_ = [each for each in self.results.challengers if each.verdict is ExperimentVerdict.KEEP_GOING]
        looks = [each.look for each in open_ if not each.is_taken_out] or [self.results.look]
        return min(look.users_a + look.users_b for look in looks)

    @property
    def planned_users(self) -> int:
        """Users at which the final test is made."""
        return self.results.plan.planned_users


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
        models={arm.name: uow.models.get(arm.model_id) for arm in experiment.arms},
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
