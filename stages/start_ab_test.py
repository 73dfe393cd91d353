"""Stage start_ab_test: live traffic is split between two deployed models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from contracts.experiments import ABExperiment, StartABTestRequest
    from stages.services import Services


def start_ab_test(request: StartABTestRequest, services: Services) -> ABExperiment:
    """Start the experiment and end the one running before it. The same name again is the experiment that is there.

    Raises ConflictError when a model is not deployed, or the name stands for an experiment on other models.
    """
    if request.model_a_id == request.model_b_id:
        raise InvalidRequestError(
            "Both arms of the A/B test are the same model",
            value=request.model_a_id,
            allowed="two different model versions",
            next_step="name the new version as model_b_id",
        )
    with services.unit_of_work() as uow:
        for model_id in (request.model_a_id, request.model_b_id):
            version = uow.models.get(model_id)
            if uow.models.deployment(model_id) is None:
                raise ConflictError(
                    "Only deployed models can take part in an A/B test",
                    value=f"model {model_id} ({version.model_name} {version.version}) is not deployed",
                    allowed="two model versions that answer",
                    next_step=f"deploy model {model_id} first",
                )
        known = {experiment.experiment_name for experiment in uow.experiments.newest(limit=1000)}
        experiment = uow.experiments.start(request)
        if (experiment.model_a_id, experiment.model_b_id) != (request.model_a_id, request.model_b_id):
            raise ConflictError(
                "The name belongs to an A/B test of other models",
                value=f"{request.experiment_name}: models {experiment.model_a_id} and {experiment.model_b_id}",
                allowed="a name that was not used yet",
                next_step="choose another experiment_name",
            )
        if request.experiment_name not in known:
            uow.audit.append(
                "start_ab_test",
                "experiment.started",
                f"experiment/{experiment.experiment_id}",
                request.model_dump(mode="json"),
            )
        return experiment
