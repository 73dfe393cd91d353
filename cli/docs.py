"""`tuneway docs`: every page of the documentation as a site that needs neither a server nor a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.answers import print_json
from cli.texts import translate
from settings import language


def docs(
    directory: Annotated[
        Path, typer.Option("--directory", file_okay=False, help=translate("docs.opt_directory", language()))
    ],
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", language()))] = False,
) -> None:
    """Make the site in a folder of its own; one that is there is made anew."""
    from cli.docs_site import write_site
    from cli.screen import Stopwatch, make_screen
    from settings import load_settings

    watch = Stopwatch()
    pages = write_site(load_settings().repository_root, directory)
    if as_json:
        print_json({"directory": str(directory), "pages": pages})
        return
    with make_screen() as screen:
        screen.done("docs.done", pages=pages, index=directory / "index.html", seconds=watch.seconds)
