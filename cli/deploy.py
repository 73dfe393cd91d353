"""`tuneway deploy`, `tuneway rollback`, `tuneway undeploy`: model versions into service and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.model_lines import title_of, warn_of_mlflow
from cli.texts import translate
from contracts.enums import ServerBackend
from contracts.words import DEPLOYMENT_STATES
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.deployments import DeploymentPlan
    from contracts.enums import DeploymentState
    from contracts.models import ModelVersion
    from contracts.promotions import RollbackOutcome
    from stages.deployment_steps import OnState
    from stages.services import Services

DEFAULT_REASON = "tuneway rollback"


def _help(key: str) -> str:
    return translate(f"deploy.{key}", language())


AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
GivenModel = Annotated[list[str], typer.Argument(metavar="MODEL_VERSION", help=_help("arg_model"))]


def deploy(
    model: GivenModel,
    backend: Annotated[ServerBackend | None, typer.Option(help=_help("opt_backend"))] = None,
    url: Annotated[str | None, typer.Option(help=_help("opt_url"))] = None,
    served_name: Annotated[str | None, typer.Option(help=_help("opt_served_name"))] = None,
    max_model_length: Annotated[int | None, typer.Option(help=_help("opt_max_model_length"))] = None,
    gpus: Annotated[int, typer.Option(help=_help("opt_gpus"))] = 1,
    gpu_share: Annotated[float | None, typer.Option(help=_help("opt_gpu_share"))] = None,
    max_num_seqs: Annotated[int | None, typer.Option(help=_help("opt_max_num_seqs"))] = None,
    dtype: Annotated[str | None, typer.Option(help=_help("opt_dtype"))] = None,
    argument: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help=_help("opt_argument"))] = None,
    allow_inexact_int8: Annotated[
        bool, typer.Option("--allow-inexact-int8", help=_help("opt_allow_inexact_int8"))
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_help("opt_dry_run"))] = False,
    as_json: AsJson = False,
) -> None:
    """Put a model version into service beside the present one."""
    from cli.run_stage import validated
    from contracts.models import DeployRequest
    from stages.deploy import deploy as deploy_version
    from stages.plan_deployment import plan_deployment

    with told(as_json) as (screen, services):
        given = {
            "backend": ServerBackend.URL if url is not None and backend is None else backend,
            "base_url": url,
            "served_model_name": served_name,
            "max_model_length": max_model_length,
            "gpus": gpus,
            "gpu_share": gpu_share,
            "max_num_seqs": max_num_seqs,
            "dtype": dtype,
            "extra_arguments": dict(map(_named_value, argument or [])),
            "allow_inexact_int8": allow_inexact_int8,
        }
        version = _find(model, services)
        request = validated(DeployRequest, {"model_id": version.model_id, "config": given})
        if dry_run:
            plan = plan_deployment(request, services)
            if as_json:
                print_json(plan.model_dump(mode="json"))
            else:
                _show_plan(plan, screen)
            return
        deployed = deploy_version(request, services, on_state=_teller(screen))
        if as_json:
            print_json(deployed.model_dump(mode="json"))
            return
        for arm in deployed.arms:
            title = f"{arm.model_name}@{arm.version}"
            screen.done("deploy.deployed", model=title, name=arm.served_model_name, url=arm.base_url)
        screen.say("deploy.asked_at", url=deployed.endpoint)


def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_help("arg_name"))],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help=_help("opt_reason"))] = DEFAULT_REASON,
    leaves: Annotated[str | None, typer.Option(help=_help("opt_leaves"))] = None,
    as_json: AsJson = False,
) -> None:
    """Production, and with it the service, back to the version before."""
    with told(as_json) as (screen, services):
        roll_back_and_tell(name, by, reason, leaves, screen, services, as_json=as_json)


def roll_back_and_tell(
    name: str, by: str, reason: str, leaves: str | None, screen: Screen, services: Services, *, as_json: bool
) -> None:
    """The rollback of `tuneway rollback` and of `tuneway model rollback`."""
    from contracts.promotions import RollbackRequest
    from stages.models import find_model
    from stages.roll_back import roll_back_service

    left = None if leaves is None else find_model(leaves, services).model_id
    request = RollbackRequest(model_name=name.partition("@")[0], actor=by, reason=reason, leaves=left)
    outcome = roll_back_service(request, services, on_state=_teller(screen))
    if as_json:
        print_json(outcome.model_dump(mode="json"))
    else:
        _show_rollback(outcome, screen, services)


def undeploy(
    model: GivenModel,
    by: By,
    drain_seconds: Annotated[float, typer.Option(min=0, help=_help("opt_drain"))] = 120.0,
    as_json: AsJson = False,
) -> None:
    """A model version out of service."""
    from contracts.models import UndeployRequest
    from stages.undeploy import undeploy as undeploy_version

    with told(as_json) as (screen, services):
        version = _find(model, services)
        request = UndeployRequest(model_id=version.model_id, actor=by, drain_seconds=drain_seconds)
        history = undeploy_version(request, services, on_state=_teller(screen))
        if as_json:
            print_json(history.model_dump(mode="json"))
        else:
            screen.done("deploy.undeployed", model=title_of(version))


def _find(words: list[str], services: Services) -> ModelVersion:
    """The version that the words name. Raises InvalidRequestError or NotFoundError."""
    from contracts.errors import InvalidRequestError
    from stages.models import FORMS, ID_PREFIX, find_model

    if len(words) > 2:
        raise InvalidRequestError(
            "One model version is deployed at a time",
            value=" ".join(words),
            allowed=f"{FORMS}, an ID, or NAME VERSION",
            next_step="call the command once for each version",
        )
    if len(words) == 1 and words[0].isdecimal():
        return find_model(f"{ID_PREFIX}{words[0]}", services)
    return find_model("@".join(words), services)


def _named_value(text: str) -> tuple[str, str | int | bool]:
    name, separator, value = text.removeprefix("--").partition("=")
    if not separator:
        return name, True
    return name, int(value) if value.isdecimal() else value


def _teller(screen: Screen) -> OnState:
    def tell(version: ModelVersion, state: DeploymentState) -> None:
        screen.say("deploy.state", model=title_of(version), state=DEPLOYMENT_STATES[state].of(screen.language))

    return tell


def _show_plan(plan: DeploymentPlan, screen: Screen) -> None:
    for arm in plan.arms:
        state = (
            screen.text("deploy.no_state") if arm.state is None else DEPLOYMENT_STATES[arm.state].of(screen.language)
        )
        line = screen.text(
            "deploy.planned",
            arm=arm.arm.value.upper(),
            model=f"{arm.model_name}@{arm.version}",
            name=arm.served_model_name,
            server=arm.server,
            server_state=screen.text("deploy.server_runs" if arm.server_runs else "deploy.server_starts"),
            state=state,
        )
        screen.out.print(line, markup=False)
    if plan.cards:
        screen.out.print(screen.text("deploy.cards", cards=plan.cards))


def _show_rollback(outcome: RollbackOutcome, screen: Screen, services: Services) -> None:
    from stages.models import find_model

    title = title_of(find_model(f"model:{outcome.promotion.model_id}", services))
    if outcome.happened_now:
        screen.done("deploy.rolled_back", model=title, seconds=outcome.seconds)
    else:
        screen.done("deploy.rolled_back_before", model=title)
    for experiment_id in outcome.stopped_experiment_ids:
        screen.say("deploy.experiment_stopped", experiment=experiment_id)
    warn_of_mlflow(outcome.mlflow_error, screen)
