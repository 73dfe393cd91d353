"""`tuneway safety`: the safety suites, to be evaluated as any other."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from cli.answers import print_json, told
from cli.texts import translate
from settings import language


def _help(key: str) -> str:
    return translate(f"safety.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.safety", language()),
)


@app.callback()
def _group() -> None:
    """Keep `add` a command of a group, also while it is the only one."""


@app.command("add", help=_help("help_add"))
def add(
    kobbq: Annotated[Path | None, typer.Option("--kobbq", help=_help("opt_kobbq"))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", language()))] = False,
) -> None:
    """Add the suites `safety` and, from its file, `kobbq`."""
    from stages.safety_suites import add_safety_suites

    with told(as_json) as (screen, services):
        suites = add_safety_suites(services, actor=getpass.getuser(), kobbq_file=None if kobbq is None else str(kobbq))
        if as_json:
            print_json([suite.model_dump(mode="json") for suite in suites])
            return
        for suite in suites:
            screen.done("safety.added", title=suite.title, cases=suite.case_count)
        screen.say("safety.evaluate_with", name=suites[0].name)
