"""`tuneway ab create|list|results|conclude`: A/B tests on live traffic. Each command calls one function of `stages/`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from contracts.enums import Arm, ExperimentPolicy, ExperimentStatus
from contracts.errors import InvalidRequestError
from contracts.experiment_decisions import ConcludeABTestRequest
from contracts.experiment_verdicts import DecisionBasis, ExperimentVerdict
from contracts.experiments import StartABTestRequest
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.experiment_results import ExperimentResults
    from contracts.experiments import ABExperiment


def _help(key: str) -> str:
    return translate(f"ab.{key}", language())


AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Experiment = Annotated[str, typer.Argument(metavar="TEST", help=_help("arg_test"))]


def create(
    name: Annotated[str, typer.Argument(help=_help("arg_name"))],
    model_a: Annotated[str, typer.Option("--a", metavar="MODEL", help=_help("opt_model_a"))],
    model_b: Annotated[str, typer.Option("--b", metavar="MODEL", help=_help("opt_model_b"))],
    split: Annotated[str, typer.Option(metavar="A:B", help=_help("opt_split"))] = "50:50",
    effect: Annotated[float, typer.Option(help=_help("opt_effect"))] = 0.3,
    margin: Annotated[float | None, typer.Option(help=_help("opt_margin"))] = None,
    samples: Annotated[int | None, typer.Option(help=_help("opt_create_samples"))] = None,
    metric: Annotated[str, typer.Option(help=_help("opt_decided_metric"))] = "user_rating",
    per_user: Annotated[float, typer.Option(help=_help("opt_per_user"))] = 1,
    icc: Annotated[float, typer.Option(help=_help("opt_icc"))] = 0.3,
    policy: Annotated[ExperimentPolicy, typer.Option(help=_help("opt_policy"))] = ExperimentPolicy.APPROVE,
    layer_share: Annotated[float, typer.Option(help=_help("opt_layer_share"))] = 1.0,
    make_room: Annotated[bool, typer.Option("--make-room", help=_help("opt_make_room"))] = False,
    holdout: Annotated[float, typer.Option(help=_help("opt_holdout"))] = 0.0,
    ramp: Annotated[list[str] | None, typer.Option(metavar="SHARE:HOURS", help=_help("opt_ramp"))] = None,
    starts_at: Annotated[str | None, typer.Option(metavar="TIME", help=_help("opt_starts_at"))] = None,
    ends_at: Annotated[str | None, typer.Option(metavar="TIME", help=_help("opt_ends_at"))] = None,
    tester: Annotated[list[str] | None, typer.Option(metavar="USER=ARM", help=_help("opt_tester"))] = None,
    keep_loser: Annotated[bool, typer.Option("--keep-loser", help=_help("opt_keep_loser"))] = False,
    yes: Annotated[bool, typer.Option("--yes", help=_help("opt_yes"))] = False,
    as_json: AsJson = False,
) -> None:
    """Start an A/B test between two deployed model versions."""
    from cli.ab import share_b_of
    from cli.run_stage import validated
    from stages.ab_tests import tester_key
    from stages.models import find_model
    from stages.start_ab_test import start_ab_test

    with told(as_json) as (screen, services):
        share_b = share_b_of(split)
        request = {
            "experiment_name": name,
            "model_a_id": find_model(model_a, services).model_id,
            "model_b_id": find_model(model_b, services).model_id,
            "traffic_split": {"a": 1 - share_b, "b": share_b},
            "target_samples": samples,
            "success_metric": metric,
            "effect": effect,
            "margin": margin,
            "values_per_user": per_user,
            "icc": icc,
            "policy": policy,
            "undeploy_loser": False if keep_loser else None,
            "layer_share": layer_share,
            "make_room": make_room,
            "traffic": {
                "holdout": holdout,
                "ramp": [_ramp_step(step) for step in ramp or []],
                "starts_at": _moment(starts_at),
                "ends_at": _moment(ends_at),
                "testers": {tester_key(user, services): arm for user, arm in map(_tester, tester or [])},
            },
            "accept_underpowered": yes,
        }
        started = start_ab_test(validated(StartABTestRequest, request), services)
        if as_json:
            print_json(started.model_dump(mode="json"))
            return
        screen.done("ab.started", name=started.experiment_name, id=started.experiment_id)
        plan = started.plan
        if plan is not None:
            screen.say(
                "ab.started_plan",
                samples=f"{plan.samples:,}",
                users=f"{plan.decision.planned_users:,}",
                effect=f"{plan.effect:g}",
                power="-" if plan.power is None else f"{plan.power:.0%}",
            )
            screen.say(f"ab.policy_{plan.policy.value}")


def list_all(as_json: AsJson = False) -> None:
    """A/B tests, newest first."""
    from stages.ab_tests import list_ab_tests

    with told(as_json) as (screen, services):
        found = list_ab_tests(services)
        if as_json:
            print_json([experiment.model_dump(mode="json") for experiment in found])
            return
        if not found:
            screen.say("ab.none")
        for experiment in found:
            screen.out.print(_line(experiment, screen), markup=False, soft_wrap=True)


def results(test: Experiment = "running", as_json: AsJson = False) -> None:
    """What an A/B test shows as of now."""
    from stages.ab_tests import read_results

    with told(as_json) as (screen, services):
        found = read_results(test, services)
        if as_json:
            print_json({**found.model_dump(mode="json"), "sentence": verdict_sentence(found, screen)})
        else:
            _show_results(found, screen)


def conclude(
    test: Experiment,
    reason: Annotated[str, typer.Option("--reason", help=_help("opt_reason"))],
    by: By,
    winner: Annotated[Arm | None, typer.Option(help=_help("opt_winner"))] = None,
    no_winner: Annotated[bool, typer.Option("--no-winner", help=_help("opt_no_winner"))] = False,
    override: Annotated[bool, typer.Option("--override", help=_help("opt_override"))] = False,
    as_json: AsJson = False,
) -> None:
    """End an A/B test with a winner or without one, or answer its decision."""
    from cli.run_stage import validated
    from stages.ab_tests import find_ab_test
    from stages.conclude_ab_test import conclude_ab_test

    with told(as_json) as (screen, services):
        if (winner is None) != no_winner:
            raise InvalidRequestError(
                "An A/B test ends with a winner or without one",
                value=f"winner {winner or 'not given'}, no-winner {no_winner}",
                allowed="--winner a, --winner b, or --no-winner",
                next_step="give one of these",
            )
        experiment = find_ab_test(test, services)
        request = {
            "experiment_id": experiment.experiment_id,
            "winner": winner,
            "actor": by,
            "reason": reason,
            "override": override,
        }
        decision = conclude_ab_test(validated(ConcludeABTestRequest, request), services)
        if as_json:
            print_json(decision.model_dump(mode="json"))
        else:
            chosen = "none" if decision.chosen is None else decision.chosen.value
            screen.done(f"ab.concluded_{chosen}", name=experiment.experiment_name)


def verdict_sentence(found: ExperimentResults, screen: Screen) -> str:
    """The verdict as of now, in one sentence."""
    decision, look = found.decision, found.look
    if decision is not None and decision.guardrails:
        return screen.text("ab.verdict_guardrail", guardrails=", ".join(decision.guardrails))
    if look.verdict is ExperimentVerdict.KEEP_GOING and found.experiment.status is not ExperimentStatus.RUNNING:
        return screen.text("ab.verdict_ended")
    if look.verdict is not ExperimentVerdict.KEEP_GOING:
        return screen.text(f"ab.verdict_{look.verdict.value}")
    needed = "?" if look.more_users_needed is None else f"{look.more_users_needed:,}"
    return screen.text("ab.verdict_keep_going", needed=needed)


def _line(experiment: ABExperiment, screen: Screen) -> str:
    split = experiment.traffic_split
    return screen.text(
        "ab.line",
        id=experiment.experiment_id,
        name=experiment.experiment_name,
        status=screen.text(f"ab.status_{experiment.status.value}"),
        a=experiment.model_a_id,
        b=experiment.model_b_id,
        split=f"{split.a:.0%} : {split.b:.0%}",
        share=f"{experiment.layer_share:.1%}".replace(".0%", "%"),
        started=f"{experiment.start_date:%Y-%m-%d %H:%M}",
    )


def _show_results(found: ExperimentResults, screen: Screen) -> None:
    def line(key: str, **values: object) -> None:
        screen.out.print(screen.text(f"ab.{key}", **values), markup=False, soft_wrap=True)

    look, plan = found.look, found.plan
    screen.out.print(_line(found.experiment, screen), markup=False, soft_wrap=True)
    screen.out.print(verdict_sentence(found, screen), markup=False, soft_wrap=True, style="bold")
    line("users_so_far", users=f"{look.users_a + look.users_b:,}", planned=f"{plan.planned_users:,}")
    if look.bounds is not None:
        line(
            "difference_final" if look.basis is DecisionBasis.FINAL else "difference",
            difference=_number(look.difference),
            level=f"{look.bounds.level:.0%}",
            lower=_number(look.bounds.lower),
            upper=_number(look.bounds.upper),
        )
    if look.basis is DecisionBasis.CONTINUOUS and found.corrected_difference is not None:
        line("corrected", corrected=_number(found.corrected_difference))
    for arm in found.arms:
        line(
            "arm",
            arm=arm.arm.value.upper(),
            model=arm.model_id,
            users=f"{arm.users:,}",
            answers=f"{arm.samples:,}",
            ratings=f"{arm.ratings:,}",
            mean=_number(arm.mean_rating),
            time="-" if arm.mean_response_time_ms is None else f"{arm.mean_response_time_ms:,.0f}",
        )
    if found.response_time is not None:
        time = found.response_time
        line("times", ratio=_number(time.ratio), lower=_number(time.lower), upper=_number(time.upper))
    if found.sample_ratio is not None:
        ratio = found.sample_ratio
        key = "ratio_alarm" if ratio.is_alarming else "ratio_fine"
        line(key, a=f"{ratio.users_a:,}", b=f"{ratio.users_b:,}", planned=f"{ratio.planned_users_b:,.0f}")
    for reading in found.guardrails:
        line(
            "guardrail_breached" if reading.is_breached else "guardrail_kept",
            name=reading.name,
            harm=_number(reading.harm),
        )
    if found.comparison is not None:
        line("naive_p", p=f"{found.comparison.p_value:.3f}", planned=f"{plan.planned_users:,}")
    if found.mixed_users:
        line("mixed", mixed=f"{found.mixed_users:,}")
    decision = found.decision
    if decision is not None and decision.carried_out_at is None:
        obstacle = "" if decision.obstacle is None else str(decision.obstacle.get("what"))
        line("waits_obstacle" if obstacle else "waits", obstacle=obstacle, name=found.experiment.experiment_name)


def _ramp_step(given: str) -> dict[str, float]:
    share, _, hours = given.partition(":")
    try:
        return {"share_b": float(share), "after_hours": float(hours or 0)}
    except ValueError as error:
        raise InvalidRequestError(
            "A step of the ramp cannot be read",
            value=given,
            allowed="B's share and after how many hours, as 0.05:24",
            next_step="--ramp 0.01:0 --ramp 0.05:24 --ramp 0.25:48",
        ) from error


def _moment(given: str | None) -> datetime | None:
    """A time without a zone is one of this machine."""
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given).astimezone()
    except ValueError as error:
        raise InvalidRequestError(
            "The time cannot be read",
            value=given,
            allowed="2026-12-01T09:00, with a zone as +09:00 where it is not this machine's",
            next_step="give it so",
        ) from error


def _tester(given: str) -> tuple[str, str]:
    user, _, arm = given.rpartition("=")
    if not user or arm not in list(Arm):
        raise InvalidRequestError(
            "A tester is a user and an arm",
            value=given,
            allowed="USER=a or USER=b",
            next_step="for example --tester kim=b",
        )
    return user, arm


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
