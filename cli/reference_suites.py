"""`tuneway suite import-harness` and `import-texts`: suites whose content lies in files of its own."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import print_json, told
from cli.texts import translate
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.suites import SuiteVersion


def _help(key: str) -> str:
    return translate(f"reference.{key}", language())


Name = Annotated[str, typer.Argument(metavar="NAME", help=_help("arg_name"))]
By = Annotated[str | None, typer.Option("--by", help=_help("opt_by"))]
AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]


def import_harness(
    name: Name,
    task: Annotated[str, typer.Option("--task", help=_help("opt_task"))],
    folder: Annotated[Path, typer.Option("--data", help=_help("opt_data"))],
    shots: Annotated[int, typer.Option("--shots", min=0, max=64, help=_help("opt_shots"))] = 0,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """A public benchmark over local files as a suite."""
    from stages.reference_suites import import_benchmark

    with told(as_json) as (screen, services):
        version = import_benchmark(
            name, task, folder.absolute(), shots, actor=by or getpass.getuser(), services=services
        )
        _show(version, screen, as_json=as_json)


def import_texts(
    name: Name,
    file: Annotated[Path, typer.Option("--file", help=_help("opt_file"))],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Texts whose perplexity is measured as a suite."""
    from stages import reference_suites

    with told(as_json) as (screen, services):
        version = reference_suites.import_texts(name, file.absolute(), actor=by or getpass.getuser(), services=services)
        _show(version, screen, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """The two commands among those of `tuneway suite`."""
    app.command("import-harness", help=_help("help_import_harness"))(import_harness)
    app.command("import-texts", help=_help("help_import_texts"))(import_texts)


def _show(version: SuiteVersion, screen: Screen, *, as_json: bool) -> None:
    if as_json:
        print_json(version.model_dump(mode="json"))
        return
    screen.done("reference.imported", suite=version.title, documents=version.settings["documents"])
    screen.say("reference.next", suite=version.name)
