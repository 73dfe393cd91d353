"""`tuneway bundle`: one archive with which the platform is installed where there is no internet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from cli.answers import print_json
from cli.texts import translate
from settings import language


def _help(key: str) -> str:
    return translate(f"bundle.{key}", language())


AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]


def bundle(
    to: Annotated[Path, typer.Option("--to", file_okay=False, help=_help("opt_to"))] = Path("dist"),
    key: Annotated[Path | None, typer.Option("--key", help=_help("opt_key"))] = None,
    with_vllm: Annotated[bool, typer.Option("--with-vllm/--without-vllm", help=_help("opt_with_vllm"))] = True,
    glibc: Annotated[str | None, typer.Option("--glibc", metavar="2.28", help=_help("opt_glibc"))] = None,
    uncommitted: Annotated[bool, typer.Option("--uncommitted", help=_help("opt_uncommitted"))] = False,
    as_json: AsJson = False,
) -> None:
    """Make the archive."""
    from cli.screen import exit_code_of, in_units, make_screen
    from cli.stage_progress import ScreenProgress
    from contracts.errors import InvalidRequestError, TunewayError
    from settings import load_settings
    from stages.bundles.making import make_bundle

    with make_screen() as screen:
        try:
            private_key = key or load_settings().signing_key
            if private_key is None:
                raise InvalidRequestError(
                    "The archive is to be signed by a key",
                    value="--key and TUNEWAY_SIGNING_KEY are not given",
                    allowed="a private P-256 key in PEM",
                    next_step="make one with `tuneway model signing-key PRIVATE.pem PUBLIC.pem`, and hand the public one over "
                    "by another way than the archive",
                )
            if glibc is not None and not re.fullmatch(r"2\.\d{1,2}", glibc):
                raise InvalidRequestError(
                    "This is no version of the GNU C library",
                    value=glibc,
                    allowed="2.28 for Rocky Linux 8, 2.34 for 9, 2.36 for Debian 12",
                    next_step="look it up at the site with `getconf GNU_LIBC_VERSION`",
                )
            report = make_bundle(
                to,
                private_key,
                with_vllm=with_vllm,
                uncommitted=uncommitted,
                glibc=glibc,
                on_progress=ScreenProgress(screen),
            )
        except TunewayError as error:
            screen.show_error(error)
            if as_json:
                print_json({"error": error.as_record()})
            raise typer.Exit(exit_code_of(error)) from None
        screen.idle()
        if as_json:
            print_json(report.model_dump(mode="json"))
            return
        screen.done("bundle.done", archive=report.archive, size=in_units(report.size), seconds=report.seconds)
        screen.say(
            "bundle.contents",
            files=report.files,
            wheels=report.wheels,
            torch=report.bundle.torch,
            glibc=report.bundle.glibc,
        )
        screen.say("bundle.sha256", sha256=report.sha256, signer=report.signer)
        screen.say("bundle.next")
