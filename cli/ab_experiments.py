"""`tuneway ab create|list|results|drop|conclude`: A/B tests on live traffic. Each command calls one function of `stages/`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from contracts.arms import arm_label
from contracts.enums import ExperimentPolicy, ExperimentStatus
from contracts.errors import InvalidRequestError
from contracts.experiment_decisions import ConcludeABTestRequest
from contracts.experiment_results import Outcome
from contracts.experiment_verdicts import DecisionBasis, ExperimentVerdict
from contracts.experiments import DropArmRequest, StartABTestRequest
from contracts.words import significance
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.experiment_results import ExperimentResults
    from contracts.experiments import ABExperiment
    from stages.services import Services


def _help(key: str) -> str:
    return translate(f"ab.{key}", language())


AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Experiment = Annotated[str, typer.Argument(metavar="TEST", help=_help("arg_test"))]


def create(
    name: Annotated[str, typer.Argument(help=_help("arg_name"))],
    model_a: Annotated[str | None, typer.Option("--a", metavar="MODEL", help=_help("opt_model_a"))] = None,
    model_b: Annotated[str | None, typer.Option("--b", metavar="MODEL", help=_help("opt_model_b"))] = None,
    split: Annotated[str | None, typer.Option(metavar="A:B", help=_help("opt_split"))] = None,
    arm: Annotated[list[str] | None, typer.Option(metavar="NAME=MODEL[:SHARE]", help=_help("opt_arm"))] = None,
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
    """Start an A/B test between deployed model versions: two by --a and --b, or as many as there are --arm."""
    from cli.run_stage import validated
    from stages.ab_tests import tester_key
    from stages.start_ab_test import start_ab_test

    with told(as_json) as (screen, services):
        request = {
            "experiment_name": name,
            **_arms(model_a, model_b, split, arm or [], services),
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
    winner: Annotated[str | None, typer.Option(metavar="ARM", help=_help("opt_winner"))] = None,
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
                allowed="--winner with the name of an arm, or --no-winner",
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
            chosen = decision.chosen
            outcome = "none" if chosen is None else "kept" if chosen == decision.control else "promoted"
            arm = arm_label(decision.control if chosen is None else chosen)
            screen.done(f"ab.concluded_{outcome}", name=experiment.experiment_name, arm=arm)


def drop(
    test: Experiment,
    arm: Annotated[str, typer.Argument(help=_help("arg_arm"))],
    reason: Annotated[str, typer.Option("--reason", help=_help("opt_reason"))],
    by: By,
    as_json: AsJson = False,
) -> None:
    """Send one of several new models no more users; the test goes on with the others."""
    from cli.run_stage import validated
    from stages.ab_tests import find_ab_test
    from stages.drop_arms import drop_arm

    with told(as_json) as (screen, services):
        request = {
            "experiment_id": find_ab_test(test, services).experiment_id,
            "arm": arm,
            "actor": by,
            "reason": reason,
        }
        experiment = drop_arm(validated(DropArmRequest, request), services)
        if as_json:
            print_json(experiment.model_dump(mode="json"))
        else:
            screen.done("ab.dropped", name=experiment.experiment_name, arm=arm_label(arm))


def verdict_sentence(found: ExperimentResults, screen: Screen) -> str:
    """The verdict as of now, in one sentence."""
    decision, look = found.decision, found.look
    if not found.experiment.is_pair:
        return _sentence_of_arms(found, screen)
    if decision is not None and decision.guardrails:
        return screen.text("ab.verdict_guardrail", guardrails=", ".join(decision.guardrails))
    if look.verdict is ExperimentVerdict.KEEP_GOING and found.experiment.status is not ExperimentStatus.RUNNING:
        return screen.text("ab.verdict_ended")
    if look.verdict is not ExperimentVerdict.KEEP_GOING:
        return screen.text(f"ab.verdict_{look.verdict.value}")
    needed = "?" if look.more_users_needed is None else f"{look.more_users_needed:,}"
    return screen.text("ab.verdict_keep_going", needed=needed)


def _sentence_of_arms(found: ExperimentResults, screen: Screen) -> str:
    needed = found.more_users_needed
    chosen = found.decision.winner if found.outcome is Outcome.PROMOTES and found.decision is not None else None
    return screen.text(
        f"ab.outcome_{found.outcome.value}",
        control=arm_label(found.experiment.control.name),
        arm=arm_label(chosen or found.headline),
        open=", ".join(arm_label(each.arm) for each in found.open_challengers),
        needed="?" if needed is None else f"{needed:,}",
    )


def _line(experiment: ABExperiment, screen: Screen) -> str:
    arms = experiment.arms
    return screen.text(
        "ab.line",
        id=experiment.experiment_id,
        name=experiment.experiment_name,
        status=screen.text(f"ab.status_{experiment.status.value}"),
        arms=", ".join(screen.text("ab.model_of_arm", arm=arm_label(arm.name), model=arm.model_id) for arm in arms),
        split=" : ".join(f"{arm.share:.0%}" for arm in arms),
        share=f"{experiment.layer_share:.1%}".replace(".0%", "%"),
        started=f"{experiment.start_date:%Y-%m-%d %H:%M}",
    )


def _show_results(found: ExperimentResults, screen: Screen) -> None:
    def line(key: str, **values: object) -> None:
        screen.out.print(screen.text(f"ab.{key}", **values), markup=False, soft_wrap=True)

    plan = found.plan
    screen.out.print(_line(found.experiment, screen), markup=False, soft_wrap=True)
    screen.out.print(verdict_sentence(found, screen), markup=False, soft_wrap=True, style="bold")
    control = arm_label(found.experiment.control.name)
    for each in found.challengers:
        look, challenger = each.look, arm_label(each.arm)
        if not found.experiment.is_pair:
            verdict = "taken_out" if each.is_taken_out else each.verdict.value
            line("challenger", arm=challenger, verdict=screen.text(f"ab.challenger_{verdict}"))
        line("users_so_far", users=f"{look.users_a + look.users_b:,}", planned=f"{plan.planned_users:,}")
        if look.bounds is not None:
            line(
                "difference_final" if look.basis is DecisionBasis.FINAL else "difference",
                challenger=challenger,
                control=control,
                difference=_number(look.difference),
                level=f"{look.bounds.level:.1%}".replace(".0%", "%"),
                lower=_number(look.bounds.lower),
                upper=_number(look.bounds.upper),
            )
        if look.basis is DecisionBasis.CONTINUOUS and each.corrected_difference is not None:
            line("corrected", corrected=_number(each.corrected_difference))
        if each.response_time is not None:
            time = each.response_time
            line(
                "times",
                challenger=challenger,
                control=control,
                ratio=_number(time.ratio),
                lower=_number(time.lower),
                upper=_number(time.upper),
            )
    for arm in found.arms:
        line(
            "arm",
            arm=arm_label(arm.arm),
            model=arm.model_id,
            users=f"{arm.users:,}",
            answers=f"{arm.samples:,}",
            ratings=f"{arm.ratings:,}",
            mean=_number(arm.mean_rating),
            time="-" if arm.mean_response_time_ms is None else f"{arm.mean_response_time_ms:,.0f}",
        )
    if found.sample_ratio is not None:
        ratio = found.sample_ratio
        key = "ratio_alarm" if ratio.is_alarming else "ratio_fine"
        if ratio.arms:
            counted = ", ".join(
                f"{arm_label(name)} {each.users:,} ({each.planned_users:,.0f})" for name, each in ratio.arms.items()
            )
            line(f"{key}_of_arms", counted=counted)
        else:
            line(key, a=f"{ratio.users_a:,}", b=f"{ratio.users_b:,}", planned=f"{ratio.planned_users_b:,.0f}")
    for reading in found.guardrails:
        line(
            "guardrail_breached" if reading.is_breached else "guardrail_kept",
            name=reading.name if found.experiment.is_pair else f"{arm_label(reading.arm)} {reading.name}",
            harm=_number(reading.harm),
        )
    if found.comparison is not None:
        line("naive_p", p=significance(found.comparison.p_value), planned=f"{plan.planned_users:,}")
    if found.mixed_users:
        line("mixed", mixed=f"{found.mixed_users:,}")
    decision = found.decision
    if decision is not None and decision.carried_out_at is None:
        obstacle = "" if decision.obstacle is None else str(decision.obstacle.get("what"))
        name, winner = found.experiment.experiment_name, decision.winner or found.headline
        line("waits_obstacle" if obstacle else "waits", obstacle=obstacle, name=name, arm=winner)


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


def _arms(
    model_a: str | None, model_b: str | None, split: str | None, arms: list[str], services: Services
) -> dict[str, object]:
    """The part of the request that names models and shares."""
    from cli.ab import share_b_of
    from stages.models import find_model

    given = [option for option, value in (("--a", model_a), ("--b", model_b), ("--split", split)) if value is not None]
    if arms and given:
        raise InvalidRequestError(
            "The arms of an A/B test are named in one way",
            value=f"--arm with {', '.join(given)}",
            allowed="--a and --b for two models, or --arm for each of several",
            next_step="name every model with --arm: --arm a=MODEL --arm b=MODEL --arm c=MODEL",
        )
    if not arms:
        if model_a is None or model_b is None:
            raise InvalidRequestError(
                "An A/B test compares two models or more",
                value=", ".join(given) or "no models",
                allowed="--a and --b, or two or more --arm",
                next_step="--a assistant@production --b assistant@4",
            )
        share_b = share_b_of(split or "50:50")
        return {
            "model_a_id": find_model(model_a, services).model_id,
            "model_b_id": find_model(model_b, services).model_id,
            "traffic_split": {"a": 1 - share_b, "b": share_b},
        }
    named = [_arm(one) for one in arms]
    return {
        "arms": [
            {"name": name, "model_id": find_model(model, services).model_id, "share": share}
            for name, model, share in named
        ]
    }


def _arm(given: str) -> tuple[str, str, float | None]:
    """Name, model and share of NAME=MODEL[:SHARE]; the number in model:12 is no share."""
    name, _, model = given.partition("=")
    head, _, tail = model.rpartition(":")
    share = None
    if head and head != "model":
        try:
            model, share = head, float(tail)
        except ValueError:
            share = None
    if not name or not model:
        raise InvalidRequestError(
            "The arm cannot be read",
            value=given,
            allowed="a name, a model and perhaps a share, as c=assistant@4:0.2",
            next_step="--arm a=assistant@production:0.5 --arm b=model:12:0.25 --arm c=assistant@4:0.25",
        )
    return name, model, share


def _tester(given: str) -> tuple[str, str]:
    user, _, arm = given.rpartition("=")
    if not user or not arm:
        raise InvalidRequestError(
            "A tester is a user and an arm",
            value=given,
            allowed="USER=ARM, with the name of an arm",
            next_step="for example --tester kim=b",
        )
    return user, arm


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
