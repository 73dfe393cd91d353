"""`tuneway ab replay`: the same questions to both models of an A/B test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import print_json, told
from cli.texts import translate
from contracts.words import significance
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.experiment_replays import ABTestReplay, PairedReading, ReplayPlan


def _help(key: str) -> str:
    return translate(f"ab.{key}", language())


def replay(
    test: Annotated[str, typer.Argument(metavar="TEST", help=_help("arg_test"))] = "running",
    challenger: Annotated[str | None, typer.Option(help=_help("opt_challenger"))] = None,
    questions: Annotated[int, typer.Option(help=_help("opt_questions"))] = 200,
    suite: Annotated[str | None, typer.Option(help=_help("opt_suite"))] = None,
    system_prompt: Annotated[str | None, typer.Option("--system-prompt", help=_help("opt_system_prompt"))] = None,
    judge_url: Annotated[str | None, typer.Option("--judge-url", help=_help("opt_judge_url"))] = None,
    judge_model: Annotated[str | None, typer.Option("--judge-model", help=_help("opt_judge_model"))] = None,
    margin: Annotated[float, typer.Option(help=_help("opt_replay_margin"))] = 0.1,
    max_answer_tokens: Annotated[int, typer.Option("--max-answer-tokens", help=_help("opt_max_answer_tokens"))] = 256,
    concurrency: Annotated[int, typer.Option(help=_help("opt_concurrency"))] = 4,
    again: Annotated[bool, typer.Option("--again", help=_help("opt_again"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_help("opt_dry_run"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", language()))] = False,
) -> None:
    """Put questions to both models and compare the answers in pairs; killed, the same command goes on."""
    from cli.run_stage import validated
    from cli.stage_progress import ScreenProgress
    from contracts.experiment_replays import ReplayABTestRequest
    from stages.ab_tests import find_ab_test
    from stages.replay_ab_test import preview, replay_ab_test

    with told(as_json) as (screen, services):
        request = validated(
            ReplayABTestRequest,
            {
                "experiment_id": find_ab_test(test, services).experiment_id,
                "challenger": challenger,
                "questions": questions,
                "suite": suite,
                "system_prompt": system_prompt,
                "judge_url": judge_url,
                "judge_model": judge_model,
                "margin": margin,
                "max_answer_tokens": max_answer_tokens,
                "concurrency": concurrency,
                "again": again,
            },
        )
        plan = preview(request, services)
        if dry_run:
            if as_json:
                print_json(plan.model_dump(mode="json"))
            else:
                _show_plan(plan, screen)
            return
        if not as_json:
            _show_plan(plan, screen)
        found = replay_ab_test(request, services, ScreenProgress(screen))
        screen.idle()
        if as_json:
            print_json(found.model_dump(mode="json"))
        else:
            _show(found, screen)


def _show_plan(plan: ReplayPlan, screen: Screen) -> None:
    screen.say(
        "ab.replay_plan",
        questions=f"{len(plan.question_ids):,}",
        units=f"{plan.units:,}",
        a=plan.served_a,
        b=plan.served_b,
        decides=screen.text(f"ab.replay_{plan.decides.value}"),
        alpha=f"{plan.alpha:.1%}",
        detectable=f"{plan.detectable:.2f}",
    )


def _show(found: ABTestReplay, screen: Screen) -> None:
    result = found.result
    assert result is not None, "it has ended"
    verdict = screen.text(f"ab.verdict_{result.deciding.verdict.value}")
    screen.out.print(verdict, markup=False, soft_wrap=True, style="bold")
    for reading in result.readings:
        screen.out.print(_line(reading, screen), markup=False, soft_wrap=True)
    if result.judge_consistency is not None:
        screen.say("ab.replay_consistency", share=f"{result.judge_consistency:.0%}")
    if result.excluded:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(result.excluded.items()))
        screen.say("ab.replay_excluded", reasons=reasons)
    screen.done("ab.replay_done", number=found.number)


def _line(reading: PairedReading, screen: Screen) -> str:
    measure = screen.text(f"ab.replay_{reading.measure.value}")
    if reading.bounds is None or reading.difference is None or reading.p_value is None:
        return screen.text("ab.replay_none", measure=measure)
    return screen.text(
        "ab.replay_reading",
        measure=measure,
        wins_a=reading.wins_a,
        wins_b=reading.wins_b,
        ties=reading.ties,
        difference=f"{reading.difference:.2f}",
        level=f"{reading.bounds.level:.1%}",
        lower=f"{reading.bounds.lower:.2f}",
        upper=f"{reading.bounds.upper:.2f}",
        p=significance(reading.p_value),
    )
