"""`tuneway keys`: the keys of what is encrypted at rest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from settings import language


def _help(key: str) -> str:
    return translate(f"keys.{key}", language())


AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.keys", language()),
)


@app.command("status", help=_help("help_status"))
def status(as_json: AsJson = False) -> None:
    """What is encrypted, and by which keys."""
    from security.key_rotation import keys_state
    from settings.encryption import use_encryption

    with told(as_json) as (screen, services):
        state = keys_state(use_encryption(services.settings).keyring, services.settings.data_dir)
        if as_json:
            print_json(state.model_dump(mode="json"))
            return
        screen.say("keys.newest", newest=state.newest, behind=state.behind)
        for scope in state.scopes:
            screen.say("keys.scope", scope=scope.scope, keys=scope.keys, files=scope.files, erased=scope.erased)
        if not state.scopes:
            screen.say("keys.nothing")


@app.command("rotate", help=_help("help_rotate"))
def rotate(
    no_new_key: Annotated[bool, typer.Option("--no-new-key", help=_help("opt_no_new_key"))] = False,
    file_keys: Annotated[bool, typer.Option("--file-keys", help=_help("opt_file_keys"))] = False,
    as_json: AsJson = False,
) -> None:
    """Wrap all keys by a new key-encryption key."""
    from security.key_rotation import rotate_keys
    from settings.encryption import TRAFFIC_SCOPE, use_encryption

    with told(as_json) as (screen, services):
        rotation = rotate_keys(
            use_encryption(services.settings).keyring,
            services.settings.data_dir,
            new_key=not no_new_key,
            file_keys=file_keys,
            scopes_of_values=frozenset({TRAFFIC_SCOPE}),
            on_progress=lambda done: screen.busy("keys.header", done=done),
        )
        screen.idle()
        if as_json:
            print_json(rotation.model_dump(mode="json"))
        else:
            screen.done("keys.rotated", **rotation.model_dump())


@app.command("show", help=_help("help_show"))
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_help("arg_file"))],
    reason: Annotated[str, typer.Option("--reason", help=_help("opt_reason"))],
    by: By,
    as_json: AsJson = False,
) -> None:
    """Write what an encrypted file holds to standard output."""
    from stages.stored_content import stored_content

    with told(as_json) as (_, services):
        for piece in stored_content(file, services, actor=by, reason=reason):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


@app.command("erase", help=_help("help_erase"))
def erase(
    scope: Annotated[str, typer.Argument(metavar="DATASET", help=_help("arg_scope"))],
    yes: Annotated[bool, typer.Option("--yes", help=_help("opt_yes"))] = False,
    as_json: AsJson = False,
) -> None:
    """Make all that a scope's key encrypted unreadable for good."""
    from settings.encryption import dataset_scope, use_encryption

    with told(as_json) as (screen, services):
        keyring = use_encryption(services.settings).keyring
        known = {keys.scope for keys in keyring.scopes()}
        name = scope if scope in known else dataset_scope(scope)
        if not yes and keyring.scope_keys(name).keys:
            typer.confirm(translate("keys.really", language()).format(scope=name), abort=True, err=True)
        erased = keyring.erase(name)
        if as_json:
            print_json({"scope": name, "erased_keys": erased})
        else:
            screen.done("keys.erased", scope=name)
