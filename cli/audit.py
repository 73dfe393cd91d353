"""`tuneway audit`: the audit trail checked, searched, exported, signed and shortened. Each command calls one function."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from contracts.audit import AuditFilter, AuditProtection, AuditResult, SubjectCategory
from security.audit.export import ExportFormat
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.audit import AuditEntry
    from security.audit.verify import Problem
    from stages.audit import AuditCheck


def _help(key: str) -> str:
    return translate(f"audit.{key}", language())


app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=translate("help.audit", language())
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Since = Annotated[datetime | None, typer.Option("--since", help=_help("opt_since"))]
Until = Annotated[datetime | None, typer.Option("--until", help=_help("opt_until"))]
Actor = Annotated[str | None, typer.Option("--actor", help=_help("opt_actor"))]
Action = Annotated[str | None, typer.Option("--action", help=_help("opt_action"))]
Subject = Annotated[str | None, typer.Option("--subject", help=_help("opt_subject"))]
Category = Annotated[SubjectCategory | None, typer.Option("--category", help=_help("opt_category"))]
Result = Annotated[AuditResult | None, typer.Option("--result", help=_help("opt_result"))]
Text = Annotated[str | None, typer.Option("--text", help=_help("opt_text"))]


@app.command("verify", help=_help("help_verify"))
def verify(
    heads: Annotated[Path | None, typer.Option("--heads", help=_help("opt_heads"))] = None,
    public_key: Annotated[Path | None, typer.Option("--public-key", help=_help("opt_key"))] = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole trail; exit code 1 when something is found."""
    from stages.audit import verify_audit

    with told(as_json) as (screen, services):
        check = verify_audit(
            services,
            heads=heads,
            public_key=public_key,
            progress=lambda entries: screen.busy("audit.checking", entries=entries),
        )
        screen.idle()
        if as_json:
            print_json(check.model_dump(mode="json"))
        else:
            _show_check(check, screen)
        if not check.is_whole:
            raise typer.Exit(1)


@app.command("list", help=_help("help_list"))
def list_entries(
    since: Since = None,
    until: Until = None,
    actor: Actor = None,
    action: Action = None,
    subject: Subject = None,
    category: Category = None,
    result: Result = None,
    text: Text = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help=_help("opt_limit"))] = 50,
    before: Annotated[int | None, typer.Option("--before", help=_help("opt_before"))] = None,
    as_json: AsJson = False,
) -> None:
    """Search the trail, newest first."""
    from stages.audit import search_audit

    wanted = _filter(since, until, actor, action, subject, category, result, text)
    with told(as_json) as (screen, services):
        entries = search_audit(wanted, services, limit=limit, before=before)
        if as_json:
            print_json([entry.model_dump(mode="json") for entry in entries])
        elif entries:
            _show_entries(entries, screen)
            if len(entries) == limit:
                screen.say("audit.more", before=entries[-1].id)
        else:
            screen.say("audit.none")


@app.command("export", help=_help("help_export"))
def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help=_help("arg_file"))],
    purpose: Annotated[str, typer.Option("--purpose", help=_help("opt_purpose"))],
    by: By,
    export_format: Annotated[ExportFormat, typer.Option("--format", help=_help("opt_format"))] = ExportFormat.JSONL,
    since: Since = None,
    until: Until = None,
    actor: Actor = None,
    action: Action = None,
    subject: Subject = None,
    category: Category = None,
    result: Result = None,
    text: Text = None,
    as_json: AsJson = False,
) -> None:
    """Write the entries that match to a file."""
    from stages.audit import export_audit

    wanted = _filter(since, until, actor, action, subject, category, result, text)
    with told(as_json) as (screen, services):
        written = export_audit(wanted, path, export_format, services, actor=by, purpose=purpose)
        if as_json:
            print_json(written.model_dump(mode="json"))
            return
        screen.done("audit.exported", entries=written.entries, path=written.path)


@app.command("sign", help=_help("help_sign"))
def sign(as_json: AsJson = False) -> None:
    """Sign the newest entry now."""
    from stages.audit import sign_audit_head

    with told(as_json) as (screen, services):
        head = sign_audit_head(services)
        if as_json:
            print_json(None if head is None else head.model_dump(mode="json"))
        elif head is None:
            screen.say("audit.nothing_to_sign")
        else:
            screen.done("audit.signed", id=head.id)


@app.command("key", help=_help("help_key"))
def key(as_json: AsJson = False) -> None:
    """The public key."""
    from stages.audit import audit_public_key

    with told(as_json) as (_, services):
        pem = audit_public_key(services)
        if as_json:
            print_json({"public_key": pem})
        else:
            sys.stdout.write(pem)


@app.command("retire", help=_help("help_retire"))
def retire(by: By, as_json: AsJson = False) -> None:
    """Take entries away whose time is over."""
    from stages.audit import retire_audit

    with told(as_json) as (screen, services):
        retired = retire_audit(services, actor=by)
        if as_json:
            print_json(retired.model_dump(mode="json"))
        elif retired.entries:
            screen.done("audit.retired", entries=retired.entries, archive=retired.archive)
        else:
            screen.say("audit.nothing_to_retire")


def _filter(
    since: datetime | None,
    until: datetime | None,
    actor: str | None,
    action: str | None,
    subject: str | None,
    category: SubjectCategory | None,
    result: AuditResult | None,
    text: str | None,
) -> AuditFilter:
    return AuditFilter(
        # a time without a zone is the machine's own
        since=None if since is None else since.astimezone(),
        until=None if until is None else until.astimezone(),
        actor=actor,
        action=action,
        subject=subject,
        category=category,
        result=result,
        text=text,
    )


def _show_check(check: AuditCheck, screen: Screen) -> None:
    chain = check.chain
    if check.is_whole and chain.entries:
        screen.done(
            "audit.whole",
            entries=chain.entries,
            first=chain.first_id,
            last=chain.last_id,
            heads=chain.heads_checked,
        )
    elif check.is_whole:
        screen.done("audit.empty")
    else:
        screen.warn("audit.broken", count=chain.problems_total + len(check.refused_head_lines))
    for problem in chain.problems:
        screen.warn(f"audit.{problem.kind.value}", at=_place(problem), moved_from=problem.moved_from)
    if chain.problems_total > len(chain.problems):
        screen.warn("audit.more_problems", count=chain.problems_total - len(chain.problems))
    for line in check.refused_head_lines:
        screen.warn("audit.refused_line", line=line)
    if check.checkpoint is not None:
        screen.say("audit.retired_before", through=check.checkpoint)
    if chain.entries and not chain.heads_checked:
        screen.warn("audit.never_signed")
    elif chain.unsigned_entries:
        screen.say("audit.unsigned", count=chain.unsigned_entries)
    if check.protection is AuditProtection.TRIGGER:
        screen.warn("audit.protected_by_trigger")
    elif check.protection is AuditProtection.SUPERUSER:
        screen.say("audit.protected_by_superuser")


def _place(problem: Problem) -> str:
    return f"#{problem.first}" if problem.first == problem.last else f"#{problem.first}-{problem.last}"


def _show_entries(entries: list[AuditEntry], screen: Screen) -> None:
    from rich.markup import escape
    from rich.table import Table

    from contracts.words import AUDIT_RESULTS

    table = Table(box=None, pad_edge=False)
    for name in ("id", "at", "actor", "origin", "action", "subject", "result", "purpose"):
        table.add_column(screen.text(f"audit.col_{name}"), justify="right" if name == "id" else "left")
    for entry in entries:
        told_result = AUDIT_RESULTS[entry.result].of(screen.language)
        table.add_row(
            str(entry.id),
            f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}",
            *(escape(cell) for cell in (entry.actor, entry.origin, entry.action, entry.subject, told_result)),
            escape(entry.purpose or ""),
        )
    screen.out.print(table)
