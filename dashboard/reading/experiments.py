"""A/B tests as they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.experiment_verdicts import ExperimentVerdict
from contracts.experiments import ABExperiment, ArmCounts
from contracts.models import ModelVersion
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.reading.tallies import kept_tally
from dashboard.visits import Visit
from stages.services import Services

if TYPE_CHECKING:
    from datetime import datetime

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
    counted_at: datetime
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


@dataclass(frozen=True, slots=True)
class ListedExperiment:
    """A line of the list of A/B tests."""

    experiment: ABExperiment
    models: dict[str, ModelVersion]
    """The model version of each arm, the control's first."""
    ratings: int


@kept(FRESH_SECONDS)
def list_experiments(visit: Visit) -> list[ListedExperiment]:
    """A/B tests, newest first."""
    visit.require(ResourceKind.AB_TEST, "read")
    found = ask(visit, lambda uow: uow.experiments.newest(limit=LISTED))
    ids = {model_id for experiment in found for model_id in experiment.model_ids}
    models = ask(visit, lambda uow: {model_id: uow.models.get(model_id) for model_id in ids})
    return [
        ListedExperiment(
            experiment=experiment,
            models={arm.name: models[arm.model_id] for arm in experiment.arms},
            ratings=sum(counts.ratings for counts in kept_tally(visit, experiment).tally.counts.values()),
        )
        for experiment in found
    ]


@kept(FRESH_SECONDS)
def experiment_story(visit: Visit, experiment_id: int) -> ExperimentState:
    """One A/B test as it stands. Raises ForbiddenError, NotFoundError."""
    visit.require(ResourceKind.AB_TEST, "read", experiment_id)
    return experiment_state(visit, ask(visit, lambda uow: uow.experiments.get(experiment_id)))


def experiment_state(services: Services, experiment: ABExperiment) -> ExperimentState:
    """The test as it stands now, its answers as they were counted last."""
    # scipy takes a second to import, which only this page needs
    from ab_testing.results import summarise_experiment

    counted = kept_tally(services, experiment)

    def question(uow: UnitOfWork) -> ExperimentState:
        return ExperimentState(
            experiment=experiment,
            models={arm.name: uow.models.get(arm.model_id) for arm in experiment.arms},
            counts=counted.tally.counts,
            counted_at=counted.counted_at,
            results=summarise_experiment(
                experiment,
                counted.tally.counts,
                counted.tally.users,
                uow.experiment_decisions.state(experiment.experiment_id),
                uow.experiment_decisions.get(experiment.experiment_id),
            ),
            replays=uow.experiment_replays.of_experiment(experiment.experiment_id),
        )

    return ask(services, question)
