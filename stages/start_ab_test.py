"""Stage start_ab_test: live traffic is split between deployed models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.enums import ExperimentPolicy
from contracts.errors import ConflictError, InvalidRequestError
from stages.conclude_ab_test import stop_in
from stages.experiment_notices import stopped_for

if TYPE_CHECKING:
    from contracts.experiment_plans import ExperimentPlan
    from contracts.experiments import ABExperiment, StartABTestRequest
    from contracts.layers import BucketRange
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

ACTOR = "start_ab_test"


def start_ab_test(request: StartABTestRequest, services: Services) -> ABExperiment:
    """Start the experiment on a share of the layer. The same name again is the experiment that is there.

    Raises ConflictError when a model is not deployed, a base model could win, the name stands for an experiment on other
    models, the running experiments leave too small a share and the request makes no room, or the target is too small for
    the effect and nobody has accepted that.
    """
    from ab_testing.experiment_plan import plan_experiment

    _check_arms(request)
    leaves = services.settings.undeploy_loser if request.undeploy_loser is None else request.undeploy_loser
    plan = plan_experiment(request).model_copy(update={"undeploy_loser": leaves})
    if not (plan.is_enough or request.accept_underpowered):
        raise underpowered(plan)
    with services.unit_of_work() as uow:
        for model_id in (arm.model_id for arm in request.planned_arms):
            version = uow.models.get(model_id)
            if uow.models.deployment(model_id) is None:
                raise ConflictError(
                    "Only deployed models can take part in an A/B test",
                    value=f"model {model_id} ({version.model_name} {version.version}) is not deployed",
                    allowed="model versions that answer",
                    next_step=f"deploy model {model_id} first",
                )
        uow.experiments.lock_starts()
        present = uow.experiments.named(request.experiment_name)
        if present is not None:
            return _the_same(present, request)
        _require_promotable(request, uow)
        experiment = uow.experiments.start(request, plan, _buckets(request, uow))
        uow.audit.append(
            ACTOR,
            "experiment.started",
            f"experiment/{experiment.experiment_id}",
            {**request.model_dump(mode="json"), "plan": plan.model_dump(mode="json")},
        )
        return experiment


def _check_arms(request: StartABTestRequest) -> None:
    models = [arm.model_id for arm in request.planned_arms]
    if len(set(models)) < len(models):
        twice = sorted({model for model in models if models.count(model) > 1})
        raise InvalidRequestError(
            "Two arms of the A/B test are the same model",
            value=", ".join(map(str, twice)),
            allowed="different model versions",
            next_step="name another version for one of them, for a test of two as model_b_id",
        )
    names = [arm.name for arm in request.planned_arms]
    unknown = sorted(set(request.traffic.testers.values()) - set(names))
    if unknown:
        raise InvalidRequestError(
            "A tester is to get an arm that the A/B test does not have",
            value=", ".join(unknown),
            allowed=", ".join(names),
            next_step="name one of these arms",
        )


def _require_promotable(request: StartABTestRequest, uow: UnitOfWork) -> None:
    """A winner that the registry would refuse is refused before users have answered for weeks."""
    if request.policy is ExperimentPolicy.NOTIFY:
        return
    for arm in request.planned_arms[1:]:
        if uow.models.is_base(arm.model_id):
            version = uow.models.get(arm.model_id)
            raise ConflictError(
                "A base model cannot win an A/B test: it is not promoted by itself",
                value=f"arm {arm.name}, model {arm.model_id}: {version.model_name} {version.version}",
                allowed=f"a fine-tuned version, or the policy {ExperimentPolicy.NOTIFY.value}, which promotes nothing",
                next_step="make the base model the control (arm a), or start with --policy notify, in the API policy",
            )


def _the_same(present: ABExperiment, request: StartABTestRequest) -> ABExperiment:
    there, asked = ([(arm.name, arm.model_id) for arm in arms] for arms in (present.arms, request.planned_arms))
    if there != asked:
        raise ConflictError(
            "The name belongs to an A/B test of other models",
            value=f"{request.experiment_name}: models {', '.join(str(model_id) for _, model_id in there)}",
            allowed="a name that was not used yet",
            next_step="choose another experiment_name",
        )
    return present


def _buckets(request: StartABTestRequest, uow: UnitOfWork) -> tuple[BucketRange, ...]:
    """Those of the new test. Where it makes room, the oldest tests are stopped until there is enough."""
    from ab_testing.layer import allot_buckets

    running = uow.experiments.running()
    while True:
        taken = [part for experiment in running for part in experiment.buckets]
        buckets = allot_buckets(taken, request.layer_share)
        if buckets is not None:
            return buckets
        if not request.make_room:
            raise _no_room(request, running)
        oldest = running.pop(0)
        stop_in(uow, oldest, ACTOR, stopped_for(request.experiment_name))


def _no_room(request: StartABTestRequest, running: list[ABExperiment]) -> ConflictError:
    shares = ", ".join(f"{experiment.experiment_name} {experiment.layer_share:.1%}" for experiment in running)
    left = 1 - sum(experiment.layer_share for experiment in running)
    # rounded: a share may be the sum of several thousandths
    smaller = f"ask for at most {left:.1%} (--layer-share {left:.3g}, in the API layer_share), " if left > 1e-9 else ""
    return ConflictError(
        "The running A/B tests leave too few users for this one",
        value=f"{request.layer_share:.1%} of the users wanted; running: {shares}",
        allowed=f"{max(left, 0):.1%} of the users are free",
        next_step=f"{smaller}end a test with `tuneway ab conclude`, or let this one stop the oldest: --make-room",
    )


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
