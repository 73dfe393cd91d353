"""What `tuneway dataset` shows to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from contracts.enums import Split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cli.screen import Screen
    from contracts.dataset_versions import LoggedCommit, VersionDifference
    from contracts.record import JsonObject
    from data_prep.versions.lineage import RowLineage
    from data_prep.versions.splitting import SplitReport
    from data_prep.versions.verifying import Verification
    from stages.dataset_versions import DatasetListing

SHORT = 12
_SHOWN_CHARACTERS = 160
_NUMBERS = {"rows", "versions", "quality", "removed", "masked", "id", "wanted", "share", "groups"}


def show_list(datasets: Sequence[DatasetListing], screen: Screen) -> None:
    """One line a dataset."""
    if not datasets:
        screen.say("dataset.none")
        return
    table = _table(screen, "name", "versions", "newest", "rows", "sides", "quality", "branches", "tags")
    for dataset in datasets:
        newest = dataset.newest
        table.add_row(
            f"[bold]{dataset.name}[/]",
            f"{dataset.versions:,}",
            "" if newest is None else newest.version or newest.commit[:SHORT],
            "" if newest is None else f"{newest.rows:,}",
            "" if newest is None else _sides(newest.samples),
            "" if newest is None else f"{newest.quality_score:.2f}",
            ", ".join(dataset.branches),
            ", ".join(dataset.tags),
        )
    screen.out.print(table)


def show_log(commits: Sequence[LoggedCommit], screen: Screen) -> None:
    """One line a commit, newest first."""
    columns = (
        "commit",
        "version",
        "id",
        "time",
        "operation",
        "rows",
        "sides",
        "removed",
        "masked",
        "quality",
        "message",
    )
    table = _table(screen, *columns)
    for commit in commits:
        names = [f"[green]{name}[/]" for name in commit.branches] + [f"[yellow]{name}[/]" for name in commit.tags]
        table.add_row(
            f"[cyan]{commit.commit[:SHORT]}[/]" + (f" ({', '.join(names)})" if names else ""),
            commit.version or "",
            "" if commit.dataset_id is None else str(commit.dataset_id),
            commit.created_at[:16].replace("T", " "),
            commit.operation,
            f"{commit.rows:,}",
            _sides(commit.samples),
            f"{commit.removed:,}",
            f"{commit.masked:,}",
            f"{commit.quality_score:.2f}",
            escape(commit.message),
        )
    screen.out.print(table)


def show_difference(difference: VersionDifference, screen: Screen) -> None:
    """Counts, then the rows, each with a sign."""
    told = difference.model_dump()
    told |= {"before": difference.before[:SHORT], "after": difference.after[:SHORT]}
    screen.out.print(screen.text("dataset.diff_title", **told), markup=False, style="bold")
    screen.out.print(screen.text("dataset.diff_counts", **told), markup=False)
    for sign, colour, rows, count in (
        ("+", "green", difference.added_rows, difference.added),
        ("-", "red", difference.removed_rows, difference.removed),
    ):
        for row in rows:
            screen.out.print(
                f"[{colour}]{sign}[/] [dim]{row.key} {row.split.value}[/] {_cut(row.question)} → {_cut(row.answer)}",
                soft_wrap=True,
            )
        _show_more(count - len(rows), screen)
    for changed in difference.changed_rows:
        screen.out.print(f"[yellow]~[/] [dim]{changed.key}[/] {_cut(changed.question)}", soft_wrap=True)
        for change in changed.fields:
            screen.out.print(f"    [dim]{escape(change.field)}[/]", soft_wrap=True)
            for sign, colour, value in (("-", "red", change.before), ("+", "green", change.after)):
                if value is not None:
                    screen.out.print(f"      [{colour}]{sign} {_cut(str(value))}[/]", soft_wrap=True)
    _show_more(difference.changed - len(difference.changed_rows), screen)


def show_references(references: Mapping[str, str], screen: Screen) -> None:
    """Branches or tags with their commits."""
    table = _table(screen, "name", "commit")
    for name, commit in references.items():
        table.add_row(name, commit[:SHORT])
    screen.out.print(table)


def show_split(report: SplitReport, screen: Screen) -> None:
    """Shares beside what was wanted, and the categories that are uneven."""
    table = _table(screen, "side", "wanted", "share", "rows", "groups")
    for name, side in report.sides.items():
        table.add_row(name, f"{side.wanted:.1%}", f"{side.share:.1%}", f"{side.rows:,}", f"{side.groups:,}")
    screen.out.print(table)
    if report.even:
        screen.done("dataset.split_even", deviation=report.largest_deviation)
    else:
        screen.warn("dataset.split_uneven", deviation=report.largest_deviation)
    if report.uneven_categories:
        names = ", ".join(list(report.uneven_categories)[:10])
        screen.warn("dataset.split_categories", count=len(report.uneven_categories), names=names)


def show_lineage(lineage: RowLineage, screen: Screen) -> None:
    """Field by field."""
    told = lineage.model_dump(mode="json", exclude={"recipe", "generated", "source_file", "masked"})
    told |= {f"generated.{name}": value for name, value in (lineage.generated or {}).items()}
    if lineage.source_file is not None:
        told |= {"source_file": lineage.source_file.path, "source_file.sha256": lineage.source_file.sha256}
    told |= {f"masked.{kind}": count for kind, count in lineage.masked.items()}
    told |= {"recipe.operation": lineage.recipe.operation, "recipe.code_revision": lineage.recipe.code_revision}
    show_fields(told, screen)


def show_fields(fields: Mapping[str, object], screen: Screen) -> None:
    """Names and values."""
    table = _table(screen, "field", "value")
    for name, value in fields.items():
        if value not in {None, ""}:
            table.add_row(escape(name), _cut(str(value), 1000))
    screen.out.print(table)


def show_statistics(statistics: JsonObject, screen: Screen) -> None:
    """The numbers of a version's statistics; lists and histograms are for the report and for JSON."""
    show_fields(dict(_numbers(statistics)), screen)


def show_verification(verification: Verification, screen: Screen) -> None:
    """Every damaged file, or that there is none."""
    if not verification.damaged:
        screen.done("dataset.whole", commits=verification.commits, parts=verification.parts)
        return
    screen.warn("dataset.damaged", count=len(verification.damaged))
    table = _table(screen, "commit", "file", "problem")
    for damage in verification.damaged:
        table.add_row(damage.commit[:SHORT], escape(damage.file), damage.problem)
    screen.out.print(table)


def _numbers(value: JsonObject, place: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, inner in value.items():
        if isinstance(inner, dict):
            if name not in {"histograms", "examples"}:
                found += _numbers(inner, f"{place}{name}.")
        elif isinstance(inner, int | float | str) and not isinstance(inner, bool):
            found.append((f"{place}{name}", f"{inner:,}" if isinstance(inner, int) else inner))
    return found


def _table(screen: Screen, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        justify = "right" if column in _NUMBERS else "left"
        table.add_column(screen.text(f"dataset.{column}"), justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def _sides(samples: Mapping[str, int]) -> str:
    return "/".join(f"{samples.get(split.value, 0):,}" for split in Split)


def _show_more(count: int, screen: Screen) -> None:
    if count > 0:
        screen.out.print(screen.text("dataset.diff_more", count=count), style="dim", markup=False)


def _cut(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    line = text.replace("\n", " ⏎ ")
    return escape(line if len(line) <= characters else line[:characters] + "…")
