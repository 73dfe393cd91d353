"""A/B tests as people name them, and what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.errors import ConflictError, NotFoundError
from settings import SecretName, read_secret
from stages.conclude_ab_test import results_of

if TYPE_CHECKING:
    from contracts.experiment_results import ExperimentResults
    from contracts.experiments import ABExperiment
    from stages.services import Services


def find_ab_test(given: str, services: Services) -> ABExperiment:
    """By name, by id, or `running`. Raises NotFoundError, and ConflictError where several are running."""
    with services.unit_of_work() as uow:
        if given == "running":
            running = uow.experiments.running()
            if len(running) > 1:
                raise ConflictError(
                    "Several A/B tests are running",
                    value=given,
                    allowed=", ".join(experiment.experiment_name for experiment in running),
                    next_step="name one of these",
                )
            found = running[0] if running else None
        else:
            found = uow.experiments.named(given)
            if found is None and given.isdecimal() and len(given) < 10:
                return uow.experiments.get(int(given))
    if found is None:
        raise NotFoundError(
            "There is no such A/B test",
            value=given,
            allowed="a name, an id, or `running`",
            next_step="see `tuneway ab list`",
        )
    return found


def control_of(services: Services, experiment_id: int) -> str:
    """Name of the control's arm. Raises NotFoundError."""
    with services.unit_of_work() as uow:
        return uow.experiments.get(experiment_id).control.name


def tester_key(user: str, services: Services) -> str:
    """The user as the router knows them: what a traffic plan names its testers by."""
    from ab_testing.assignment import user_key

    return user_key(read_secret(services.settings.secrets_dir, SecretName.ASSIGNMENT_KEY), user)


def list_ab_tests(services: Services, limit: int = 50) -> list[ABExperiment]:
    """Newest first."""
    with services.unit_of_work() as uow:
        return uow.experiments.newest(limit=limit)


def read_results(given: str, services: Services) -> ExperimentResults:
    """What the test shows as of now. Raises NotFoundError."""
    experiment = find_ab_test(given, services)
    with services.unit_of_work() as uow:
        return results_of(experiment, uow)
