"""`tuneway user`: who may use the platform, and as what. Each command calls one function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from contracts.identity import AccountKind, Role
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.identity import Account, NewAccount


def _help(key: str) -> str:
    return translate(f"user.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.user", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Name = Annotated[str, typer.Argument(metavar="NAME", help=_help("arg_name"))]
Projects = Annotated[list[str] | None, typer.Option("--project", help=_help("opt_project"))]
PasswordSource = Annotated[str | None, typer.Option("--password-file", help=_help("opt_password"))]


@app.command("add", help=_help("help_add"))
def add(
    name: Name,
    by: By,
    role: Annotated[Role, typer.Option("--role", help=_help("opt_role"))] = Role.VIEWER,
    project: Projects = None,
    service: Annotated[bool, typer.Option("--service", help=_help("opt_service"))] = False,
    password_file: PasswordSource = None,
    as_json: AsJson = False,
) -> None:
    """Make an account."""
    from stages.accounts import add_account

    with told(as_json) as (screen, services):
        kind = AccountKind.SERVICE if service else AccountKind.PERSON
        password = _given(password_file)
        made = add_account(name, role, by, services, kind=kind, projects=project or [], password=password)
        _show_made(made, "user.added", screen, as_json)


@app.command("list", help=_help("help_list"))
def list_all(as_json: AsJson = False) -> None:
    """Every account."""
    from stages.accounts import list_accounts

    with told(as_json) as (screen, services):
        accounts = list_accounts(services)
        if as_json:
            print_json([account.model_dump(mode="json") for account in accounts])
        else:
            _show_accounts(accounts, screen)


@app.command("disable", help=_help("help_disable"))
def disable(name: Name, by: By, as_json: AsJson = False) -> None:
    """Let an account in no more."""
    _switch(name, by, False, as_json)


@app.command("enable", help=_help("help_enable"))
def enable(name: Name, by: By, as_json: AsJson = False) -> None:
    """Let a disabled account in again."""
    _switch(name, by, True, as_json)


@app.command("set-password", help=_help("help_set_password"))
def set_password(name: Name, by: By, password_file: PasswordSource = None, as_json: AsJson = False) -> None:
    """Give an account another password."""
    from stages.accounts import set_password as store_password

    with told(as_json) as (screen, services):
        changed = store_password(name, by, services, _given(password_file))
        _show_made(changed, "user.password_set", screen, as_json)


@app.command("grant", help=_help("help_grant"))
def grant(
    name: Name,
    by: By,
    role: Annotated[Role | None, typer.Option("--role", help=_help("opt_role"))] = None,
    project: Projects = None,
    no_project: Annotated[bool, typer.Option("--no-project", help=_help("opt_no_project"))] = False,
    as_json: AsJson = False,
) -> None:
    """Change an account's role and projects."""
    from stages.accounts import grant as change

    with told(as_json) as (screen, services):
        account = change(name, by, services, role=role, projects=[] if no_project else project)
        if as_json:
            print_json(account.model_dump(mode="json"))
            return
        projects = ", ".join(account.projects) or "-"
        screen.done("user.granted", name=account.username, role=account.role.value, projects=projects)


def _switch(name: str, by: str, is_active: bool, as_json: bool) -> None:
    from stages.accounts import set_active

    with told(as_json) as (screen, services):
        account = set_active(name, is_active, by, services)
        if as_json:
            print_json(account.model_dump(mode="json"))
            return
        screen.done("user.enabled" if is_active else "user.disabled", name=account.username)


def _given(password_file: str | None) -> str | None:
    from settings.secrets import read_given_secret

    return None if password_file is None else read_given_secret(password_file)


def _show_made(made: NewAccount, key: str, screen: Screen, as_json: bool) -> None:
    if as_json:
        print_json({**made.account.model_dump(mode="json"), "password": made.password})
        return
    screen.done(key, name=made.account.username)
    if made.password is not None:
        screen.out.print(made.password, markup=False)
        screen.warn("user.shown_once")


def _show_accounts(accounts: list[Account], screen: Screen) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "role", "projects", "state"):
        table.add_column(screen.text(f"user.{column}"), overflow="fold")
    for account in accounts:
        table.add_row(
            account.username,
            screen.text(f"user.kind_{account.kind.value}"),
            account.role.value,
            ", ".join(account.projects) or "-",
            screen.text("user.active" if account.is_active else "user.inactive"),
        )
    screen.out.print(table)
