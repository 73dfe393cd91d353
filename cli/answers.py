"""How a command answers: a record as JSON on stdout, or a refusal in its four parts."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.texts import translate
from contracts.errors import TunewayError
from settings import language, load_settings

if TYPE_CHECKING:
    from cli.screen import Screen
    from stages.services import Services


By = Annotated[
    str,
    typer.Option("--by", help=translate("help.by", language()), default_factory=getpass.getuser, show_default=False),
]
"""Who does what the audit trail keeps."""


@contextmanager
def told(as_json: bool) -> Iterator[tuple[Screen, Services]]:
    """A refusal in its four parts on stderr, with --json also as a record on stdout; no traceback."""
    from cli.screen import exit_code_of, make_screen
    from stages.services import open_services

    with make_screen() as screen:
        try:
            yield screen, open_services(load_settings())
        except TunewayError as error:
            screen.show_error(error)
            if as_json:
                print_json({"error": error.as_record()})
            raise typer.Exit(exit_code_of(error)) from None


def print_json(value: object) -> None:
    """The value on stdout, for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
