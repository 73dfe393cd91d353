"""`tuneway model compare`: versions side by side, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from contracts.words import significance

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.model_comparison import (
        CaseChange,
        DatasetComparison,
        ModelComparison,
        ModelPair,
        SuiteComparison,
        ValueDifference,
    )
    from contracts.suites import ScoreEstimate

SHOWN_VALUE = 60


def show_comparison(comparison: ModelComparison, screen: Screen) -> None:
    """A block for each version beside the reference."""
    for pair in comparison.pairs:
        _show_pair(pair, screen)


def _show_pair(pair: ModelPair, screen: Screen) -> None:
    title = screen.text("compare.title", reference=pair.reference, other=pair.other)
    screen.out.print(f"[bold]{escape(title)}[/bold]")
    if not pair.suites:
        screen.out.print(screen.text("compare.no_suites"))
    for suite in pair.suites:
        _show_suite(suite, pair, screen)
    for key, names, title in (
        ("compare.only", pair.only_reference, pair.reference),
        ("compare.only", pair.only_other, pair.other),
    ):
        if names:
            screen.out.print(screen.text(key, model=title, suites=", ".join(names)))
    _show_values(screen.text("compare.configuration"), pair.configuration, pair, screen)
    if pair.dataset is not None:
        screen.out.print(_dataset(pair.dataset, screen))
    screen.out.print()


def _show_suite(suite: SuiteComparison, pair: ModelPair, screen: Screen) -> None:
    screen.out.print()
    if not suite.is_comparable:
        _show_values(screen.text("compare.not_comparable", suite=suite.suite), suite.differing, pair, screen)
        return
    table = Table(box=None, pad_edge=False)
    for heading in (suite.suite, pair.reference, pair.other):
        table.add_column(escape(heading), overflow="fold")
    for score in suite.scores:
        table.add_row(score.name, _score(score.reference, screen), _score(score.other, screen))
    screen.out.print(table)
    counts = suite.counts
    if counts is None:
        return
    p = significance(counts.mcnemar_p)
    screen.out.print(
        screen.text(
            "compare.counts", cases=counts.cases, won=counts.won, lost=counts.lost, reworded=counts.reworded, p=p
        )
    )
    for key, cases in (("compare.won", suite.won), ("compare.lost", suite.lost)):
        for case in cases:
            _show_case(key, case, screen)


def _show_case(key: str, case: CaseChange, screen: Screen) -> None:
    screen.out.print(
        f"  {screen.text(key)} [bold]{escape(case.case_id)}[/bold] ({escape(case.category)}): "
        f"{escape(_short(case.reference_answer))} → {escape(_short(case.other_answer))}"
    )


def _show_values(title: str, values: list[ValueDifference], pair: ModelPair, screen: Screen) -> None:
    if not values:
        return
    table = Table(box=None, pad_edge=False)
    for heading in (title, pair.reference, pair.other):
        table.add_column(escape(heading), overflow="fold")
    for value in values:
        table.add_row(escape(value.name), escape(_short(str(value.reference))), escape(_short(str(value.other))))
    screen.out.print(table)


def _dataset(dataset: DatasetComparison, screen: Screen) -> str:
    if dataset.is_same:
        return screen.text("compare.same_data", dataset=dataset.reference)
    if dataset.added is None:
        return screen.text("compare.other_data", reference=dataset.reference, other=dataset.other, why=dataset.why_not)
    return screen.text(
        "compare.data_rows",
        reference=dataset.reference,
        other=dataset.other,
        added=dataset.added,
        removed=dataset.removed,
        changed=dataset.changed,
    )


def _score(score: ScoreEstimate, screen: Screen) -> str:
    if score.interval is None:
        return f"{score.value:.4g} (n {score.n:,})"
    return screen.text(
        "compare.score",
        value=f"{score.value:.4g}",
        lower=f"{score.interval.lower:.4g}",
        upper=f"{score.interval.upper:.4g}",
        n=score.n,
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_VALUE else line[: SHOWN_VALUE - 1] + "…"
