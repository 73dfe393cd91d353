"""What `tuneway suite` shows to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from contracts.enums import SuiteStatus
from evaluation.case_columns import CASE_COLUMNS
from evaluation.case_tables import scorer_name
from stages.suites import MOST_TOLD_PROBLEMS, tell_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cli.screen import Screen
    from contracts.evaluation import TestCase
    from contracts.suite_versions import ImportedSuite, StoredCase, SuiteDifference, SuiteListing
    from contracts.suites import SuiteVersion

_COLOURS = {SuiteStatus.DRAFT: "yellow", SuiteStatus.LOCKED: "green", SuiteStatus.ARCHIVED: "dim"}
_NUMBERS = {"count", "versions", "version", "row"}


def show_list(listings: Sequence[SuiteListing], screen: Screen) -> None:
    """One line a suite."""
    if not listings:
        screen.say("suite.none")
        return
    table = _table(
        screen, "name", "version", "status", "count", "categories", "locked_version", "versions", "description"
    )
    for listing in listings:
        newest = listing.newest
        table.add_row(
            f"[bold]{listing.name}[/]",
            str(newest.version),
            _status(newest, screen),
            f"{newest.case_count:,}",
            _counts(newest.categories),
            "" if listing.locked_version is None else str(listing.locked_version),
            str(listing.versions),
            escape(newest.description[:60]),
        )
    screen.out.print(table)


def show_versions(versions: Sequence[SuiteVersion], screen: Screen) -> None:
    """One line a version, the newest first."""
    table = _table(screen, "name", "version", "status", "kind", "count", "categories", "made", "locked_column")
    for version in versions:
        table.add_row(
            f"[bold]{version.name}[/]",
            str(version.version),
            _status(version, screen),
            version.kind.value,
            f"{version.case_count:,}",
            _counts(version.categories),
            f"{_time(version.created_at)} {escape(version.created_by)}",
            "" if version.locked_at is None else f"{_time(version.locked_at)} {escape(version.locked_by or '')}",
        )
    screen.out.print(table)


def show_cases(version: SuiteVersion, cases: Sequence[StoredCase], total: int, screen: Screen) -> None:
    """One line a case."""
    screen.out.print(f"\n[bold]{version.title}[/] {screen.text('suite.shown_of', shown=len(cases), total=total)}")
    table = _table(screen, "case", "category", "question", "answers", "scorer", "edited_column")
    for stored in cases:
        case = stored.case
        table.add_row(
            escape(case.id),
            escape(case.category),
            _cut(case.question),
            _cut(_judged_by(case)),
            escape(scorer_name(case.scorer, screen.language)),
            "" if stored.edited_at is None else f"{_time(stored.edited_at)} {escape(stored.edited_by or '')}",
        )
    screen.out.print(table)


def show_import(imported: ImportedSuite, screen: Screen) -> None:
    """What came of it, then what is wrong."""
    told = imported.model_dump(include={"cases", "added", "removed", "changed"})
    if imported.problems:
        screen.warn("suite.problems", count=len(imported.problems))
        table = _table(screen, "row", "problem")
        for problem in imported.problems[:MOST_TOLD_PROBLEMS]:
            table.add_row(str(problem.row), _cut(tell_problem(problem, screen.language)))
        screen.out.print(table)
        if len(imported.problems) > MOST_TOLD_PROBLEMS:
            screen.say("suite.more_problems", count=len(imported.problems) - MOST_TOLD_PROBLEMS)
    elif imported.suite is None:
        screen.done("suite.would_import", **told)
    elif imported.is_new:
        screen.done("suite.imported", title=imported.suite.title, **told)
        screen.say("suite.import_next", name=imported.suite.name)
    else:
        screen.done("suite.same", title=imported.suite.title)
    for note in imported.notes:
        screen.say("suite.note", note=note)


def show_difference(difference: SuiteDifference, screen: Screen) -> None:
    """Counts, then the cases, each with a sign."""
    screen.out.print(
        screen.text(
            "suite.diff_title",
            before=difference.before.title,
            after=difference.after.title,
            added=len(difference.added),
            removed=len(difference.removed),
            changed=len(difference.changed),
            same=difference.same,
        ),
        style="bold",
        markup=False,
    )
    headers = {column.key: column.header.of(screen.language) for column in CASE_COLUMNS}
    for sign, colour, cases in (("+", "green", difference.added), ("-", "red", difference.removed)):
        for case in cases:
            screen.out.print(
                f"[{colour}]{sign}[/] [dim]{escape(case.id)}[/] {_cut(case.question)} → {_cut(_judged_by(case))}",
                soft_wrap=True,
            )
    for changed in difference.changed:
        screen.out.print(
            f"[yellow]~[/] [dim]{escape(changed.case_id)}[/] {_cut(changed.after.question)}", soft_wrap=True
        )
        for name in changed.fields:
            screen.out.print(f"    [dim]{escape(headers.get(name, name))}[/]", soft_wrap=True)
            for sign, colour, case in (("-", "red", changed.before), ("+", "green", changed.after)):
                screen.out.print(f"      [{colour}]{sign} {_cut(_shown(getattr(case, name)))}[/]", soft_wrap=True)


def _judged_by(case: TestCase) -> str:
    return " | ".join(case.accepted_answers) or _shown(case.options)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " | ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={inner}" for name, inner in value.items())
    return "" if value is None else str(value)


def _status(version: SuiteVersion, screen: Screen) -> str:
    return f"[{_COLOURS[version.status]}]{screen.text(f'suite.state_{version.status.value}')}[/]"


def _counts(counts: Mapping[str, int]) -> str:
    shown = [f"{escape(name)} {count:,}" for name, count in list(counts.items())[:6]]
    return ", ".join(shown) + (" …" if len(counts) > 6 else "")


def _time(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def _cut(text: str, characters: int = 120) -> str:
    line = text.replace("\n", " ⏎ ")
    return escape(line if len(line) <= characters else line[:characters] + "…")


def _table(screen: Screen, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        justify = "right" if column in _NUMBERS else "left"
        table.add_column(screen.text(f"suite.{column}"), justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table
