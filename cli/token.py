"""`tuneway token`: the keys of service accounts, with which CI and other programs call the API."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.identity import ApiKey


def _help(key: str) -> str:
    return translate(f"token.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.token", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]


@app.command("create", help=_help("help_create"))
def create(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help=_help("arg_account"))],
    by: By,
    scope: Annotated[list[str], typer.Option("--scope", help=_help("opt_scope"))],
    name: Annotated[str, typer.Option("--name", help=_help("opt_name"))] = "",
    days: Annotated[float, typer.Option("--days", min=0.001, help=_help("opt_days"))] = 90,
    as_json: AsJson = False,
) -> None:
    """Make a key."""
    from stages.accounts import create_key

    with told(as_json) as (screen, services):
        made = create_key(account, name or account, scope, timedelta(days=days), by, services)
        if as_json:
            print_json({**made.details.model_dump(mode="json"), "key": made.key})
            return
        screen.done("token.created", prefix=made.details.prefix, expires=_day(made.details))
        screen.out.print(made.key, markup=False)
        screen.warn("token.shown_once")


@app.command("list", help=_help("help_list"))
def list_all(
    account: Annotated[str | None, typer.Option("--account", help=_help("arg_account"))] = None,
    as_json: AsJson = False,
) -> None:
    """Every key, without the keys."""
    from stages.accounts import list_keys

    with told(as_json) as (screen, services):
        keys = list_keys(services, account)
        if as_json:
            print_json([key.model_dump(mode="json") for key in keys])
        elif keys:
            _show_keys(keys, screen)
        else:
            screen.say("token.none")


@app.command("revoke", help=_help("help_revoke"))
def revoke(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help=_help("arg_prefix"))], by: By, as_json: AsJson = False
) -> None:
    """Refuse a key from now on."""
    from stages.accounts import revoke_key

    with told(as_json) as (screen, services):
        key = revoke_key(prefix, by, services)
        if as_json:
            print_json(key.model_dump(mode="json"))
            return
        screen.done("token.revoked", prefix=key.prefix, account=key.username)


def _day(key: ApiKey) -> str:
    return key.expires_at.astimezone().strftime("%Y-%m-%d %H:%M")


def _show_keys(keys: list[ApiKey], screen: Screen) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("prefix", "account", "name", "scopes", "expires", "state"):
        table.add_column(screen.text(f"token.{column}"), overflow="fold")
    for key in keys:
        state = screen.text("token.is_revoked" if key.revoked_at is not None else "token.is_good")
        table.add_row(key.prefix, key.username, key.name, ", ".join(key.scopes), _day(key), state)
    screen.out.print(table)
