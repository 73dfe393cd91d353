"""`tuneway ab`: A/B tests. Each command calls one function and shows its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import ab_experiments, ab_replay
from cli.answers import print_json, told
from cli.texts import translate
from contracts.errors import InvalidRequestError
from contracts.experiment_plans import SizePlan, SizeRequest
from contracts.simulations import ScenarioResult
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen


def _help(key: str) -> str:
    return translate(f"ab.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.ab", language()),
)

for _command, _name in (
    (ab_experiments.create, "create"),
    (ab_experiments.list_all, "list"),
    (ab_experiments.results, "results"),
    (ab_experiments.drop, "drop"),
    (ab_experiments.conclude, "conclude"),
    (ab_replay.replay, "replay"),
):
    app.command(_name, help=_help(f"help_{_name}"))(_command)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]


@app.command(help=_help("help_plan"))
def plan(
    effect: Annotated[float, typer.Option(help=_help("opt_effect"))],
    metric: Annotated[str, typer.Option(help=_help("opt_metric"))] = "user_rating",
    samples: Annotated[int | None, typer.Option(help=_help("opt_samples"))] = None,
    split: Annotated[str, typer.Option(metavar="A:B", help=_help("opt_split"))] = "50:50",
    power: Annotated[float, typer.Option(help=_help("opt_power"))] = 0.8,
    alpha: Annotated[float, typer.Option(help=_help("opt_alpha"))] = 0.05,
    per_user: Annotated[float, typer.Option(help=_help("opt_per_user"))] = 1,
    icc: Annotated[float, typer.Option(help=_help("opt_icc"))] = 0.3,
    count_variation: Annotated[float, typer.Option(help=_help("opt_count_variation"))] = 0,
    per_day: Annotated[float | None, typer.Option(help=_help("opt_per_day"))] = None,
    spread: Annotated[float | None, typer.Option(help=_help("opt_spread"))] = None,
    base_rate: Annotated[float | None, typer.Option(help=_help("opt_base_rate"))] = None,
    challengers: Annotated[int, typer.Option(help=_help("opt_challengers"))] = 1,
    as_json: AsJson = False,
) -> None:
    """How many values an experiment needs, and what a given number of them can show."""
    from ab_testing.planner import plan_size
    from cli.run_stage import validated

    with told(as_json) as (screen, _):
        request = {
            "metric": metric,
            "effect": effect,
            "share_b": share_b_of(split),
            "power": power,
            "alpha": alpha,
            "values_per_user": per_user,
            "icc": icc,
            "count_variation": count_variation,
            "spread": spread,
            "base_rate": base_rate,
            "samples": samples,
            "values_per_day": per_day,
        }
        if challengers != 1:
            if samples is not None or per_day is not None or split != "50:50":
                raise InvalidRequestError(
                    "A plan for several new models takes its own split and size",
                    value=f"{challengers} challengers with --samples, --per-day or --split",
                    allowed="--challengers with the effect, power, alpha and ratings of a user",
                    next_step="leave these out, or plan with one new model",
                )
            _plan_several(validated(SizeRequest, request), challengers, screen, as_json=as_json)
            return
        found = plan_size(validated(SizeRequest, request))
        if as_json:
            print_json({**found.model_dump(mode="json"), "samples_needed": found.samples_needed})
        else:
            _show_plan(found, screen)


@app.command(help=_help("help_simulate"))
def simulate(
    scenario: Annotated[list[str] | None, typer.Option(help=_help("opt_scenario"))] = None,
    experiments: Annotated[int | None, typer.Option(help=_help("opt_experiments"))] = None,
    quick: Annotated[bool, typer.Option("--quick", help=_help("opt_quick"))] = False,
    as_json: AsJson = False,
) -> None:
    """Simulate experiments by the thousand and hold the error rates against their bars; exit code 1 if one is missed."""
    from ab_testing.simulation import scenarios

    with told(as_json) as (screen, _):
        count = experiments or (scenarios.QUICK_EXPERIMENTS if quick else scenarios.EXPERIMENTS)
        results = []
        screen.busy("ab.simulating", experiments=f"{count:,}")
        for result in scenarios.simulate(experiments=count, only=scenario):
            results.append(result)
            if not as_json:
                screen.idle()
                _show_result(result, screen)
                screen.busy("ab.simulating", experiments=f"{count:,}")
        screen.idle()
        if as_json:
            print_json([result.model_dump(mode="json") for result in results])
        missed = [result.scenario for result in results if result.is_clearly_missed]
        if missed:
            screen.warn("ab.missed", scenarios=", ".join(missed))
            raise typer.Exit(1)


def share_b_of(split: str) -> float:
    """B's share of a split like 80:20. Raises InvalidRequestError."""
    parts = split.split(":")
    try:
        a, b = (float(part) for part in parts)
        if not (a > 0 and b > 0):
            raise ValueError(split)
        return b / (a + b)
    except ValueError:
        raise InvalidRequestError(
            "The split cannot be read",
            value=split,
            allowed="two numbers above 0 with a colon, A first",
            next_step="write for example --split 80:20",
        ) from None


def _plan_several(request: SizeRequest, challengers: int, screen: Screen, *, as_json: bool) -> None:
    from ab_testing.several_arms import plan_several_arms

    found = plan_several_arms(request, challengers)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    told = screen.text(
        "ab.plan_several",
        challengers=found.challengers,
        effect=f"{request.effect:g}",
        unit=screen.text(f"ab.unit_{request.metric}"),
        power=f"{request.power:.0%}",
        control=f"{found.samples_of_control:,}",
        each=f"{found.samples_of_a_challenger:,}",
        total=f"{found.samples_needed:,}",
        looks=f"{found.samples_needed_with_looks:,}",
        share=f"{found.share_of_control:.0%}",
    )
    screen.out.print(told, markup=False, soft_wrap=True)


def _show_plan(found: SizePlan, screen: Screen) -> None:
    request = found.request
    unit = screen.text(f"ab.unit_{request.metric}")
    effect = f"{request.effect:g}"

    def line(key: str, **values: object) -> None:
        screen.out.print(screen.text(f"ab.{key}", **values), markup=False, soft_wrap=True)

    line(
        "plan_needed",
        effect=effect,
        unit=unit,
        power=f"{request.power:.0%}",
        a=f"{found.samples_needed_a:,}",
        b=f"{found.samples_needed_b:,}",
        total=f"{found.samples_needed:,}",
    )
    line("plan_with_looks", total=f"{found.samples_needed_with_looks:,}")
    if request.values_per_user > 1:
        line(
            "plan_users",
            per_user=f"{request.values_per_user:g}",
            icc=f"{request.icc:g}",
            factor=f"{found.design_effect:.2f}",
            a=f"{found.users_needed_a:,}",
            b=f"{found.users_needed_b:,}",
        )
    if found.days_needed is not None:
        line("plan_days", days=f"{found.days_needed:.1f}", per_day=f"{request.values_per_day:g}")
    if request.samples is not None:
        detectable = "-" if found.detectable_effect is None else f"{found.detectable_effect:.2f}"
        line(
            "plan_samples",
            samples=f"{request.samples:,}",
            detectable=detectable,
            power=f"{request.power:.0%}",
            effect=effect,
            unit=unit,
            chance=f"{found.power_at_samples or 0:.0%}",
        )
    if found.outlook is not None:
        line(
            "plan_outlook",
            users=f"{found.outlook.planned_users:,}",
            power=f"{found.outlook.power:.0%}",
            mean=f"{found.outlook.expected_users:,.0f}",
            false=f"{found.outlook.false_winners:.1%}",
        )
    if found.is_enough is False:
        screen.warn("ab.plan_too_small")


def _show_result(result: ScenarioResult, screen: Screen) -> None:
    mark = "[green]✓[/green]" if result.is_met else "[red]✗[/red]"
    contrast = ", ".join(f"{name} {value:.4g}" for name, value in result.contrast.items())
    screen.out.print(
        mark
        + " "
        + screen.text(
            f"ab.result_{result.bar_kind.value}",
            scenario=result.scenario,
            measured=f"{result.measured:.4g}",
            error=f"{result.standard_error:.2g}",
            bar=f"{result.bar:g}",
        )
        + (f"  ({contrast})" if contrast else ""),
        soft_wrap=True,
    )
