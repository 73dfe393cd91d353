"""Stage start_ab_test: live traffic is split between two deployed models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from contracts.experiment_plans import ExperimentPlan
    from contracts.experiments import ABExperiment, StartABTestRequest
    from stages.services import Services


def start_ab_test(request: StartABTestRequest, services: Services) -> ABExperiment:
    """Start the experiment and end the one running before it. The same name again is the experiment that is there.

    Raises ConflictError when a model is not deployed, the name stands for an experiment on other models, or the target
    is too small for the effect and nobody has accepted that.
    """
    from ab_testing.experiment_plan import plan_experiment

    if request.model_a_id == request.model_b_id:
        raise InvalidRequestError(
            "Both arms of the A/B test are the same model",
            value=request.model_a_id,
            allowed="two different model versions",
            next_step="name the new version as model_b_id",
        )
    plan = plan_experiment(request)
    if not (plan.is_enough or request.accept_underpowered):
        raise underpowered(plan)
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
        is_known = uow.experiments.named(request.experiment_name) is not None
        experiment = uow.experiments.start(request, plan)
        if (experiment.model_a_id, experiment.model_b_id) != (request.model_a_id, request.model_b_id):
            raise ConflictError(
                "The name belongs to an A/B test of other models",
                value=f"{request.experiment_name}: models {experiment.model_a_id} and {experiment.model_b_id}",
                allowed="a name that was not used yet",
                next_step="choose another experiment_name",
            )
        if not is_known:
            uow.audit.append(
                "start_ab_test",
                "experiment.started",
                f"experiment/{experiment.experiment_id}",
                {**request.model_dump(mode="json"), "plan": plan.model_dump(mode="json")},
            )
        return experiment


def underpowered(plan: ExperimentPlan) -> ConflictError:
    """What a target that is too small can find, and what to do."""
    finds = "no effect" if plan.detectable_effect is None else f"{plan.detectable_effect:.2f}"
    return ConflictError(
        "The A/B test is too small for the effect that it is to find",
        value=f"{plan.samples:,} samples find {finds} with 80 % chance, not {plan.effect:g}",
        allowed=f"about {plan.samples_needed:,} samples for {plan.effect:g}, or a confirmation",
        next_step="plan more samples (null: as many as it takes), look for a larger effect, "
        "or start it anyway: --yes, in the API accept_underpowered",
    )
