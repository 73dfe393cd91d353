"""`tuneway contamination`: does a dataset version's training data hold the cases of a suite?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cli.answers import print_json, told
from cli.texts import translate
from contracts.contamination import ContaminationRequest, ContaminationSettings
from contracts.enums import OverlapKind
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.contamination import ContaminationReport

SHOWN_OVERLAPS = 20


def _help(key: str) -> str:
    return translate(f"contamination.{key}", language())


def contamination(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=_help("arg_dataset"))],
    suite: Annotated[str, typer.Argument(metavar="SUITE", help=_help("arg_suite"))],
    held_out: Annotated[bool, typer.Option("--documents-held-out", help=_help("opt_held_out"))] = False,
    edited_share: Annotated[float, typer.Option("--edited-share", min=0, max=0.5, help=_help("opt_edited_share"))] = (
        ContaminationSettings().edited_share
    ),
    override: Annotated[str | None, typer.Option("--override", metavar="REASON", help=_help("opt_override"))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", language()))] = False,
) -> None:
    """Look for a suite's cases in training rows. Exit code 3 where there are some that nobody has let count."""
    from cli.run_stage import validated
    from stages.contamination import check_contamination
    from stages.dataset_versions import version_row

    with told(as_json) as (screen, services):
        request = validated(
            ContaminationRequest,
            {
                "dataset_id": version_row(dataset, services).dataset_id,
                "suite": suite,
                "settings": {"documents_held_out": held_out, "edited_share": edited_share},
                "override_reason": override,
            },
        )
        report = check_contamination(
            request,
            services,
            lambda _what, done, total: screen.busy("contamination.looking", done=f"{done:,}", total=f"{total:,}"),
        )
        screen.idle()
        if as_json:
            print_json(report.model_dump(mode="json"))
        else:
            _show(report, screen)
        if report.blocks:
            raise typer.Exit(EXIT_CONTAMINATED)


EXIT_CONTAMINATED = 3


def _show(report: ContaminationReport, screen: Screen) -> None:
    values = {
        "suite": report.suite_name,
        "dataset": report.dataset_title,
        "cases": f"{report.cases:,}",
        "rows": f"{report.rows:,}",
        "found": f"{len(report.contaminated_cases):,}",
        "report": report.report_id,
    }
    if not report.is_contaminated:
        screen.done("contamination.clean", **values)
    else:
        screen.warn("contamination.found", **values)
        for kind in OverlapKind:
            if report.by_kind.get(kind):
                screen.say(f"contamination.kind_{kind.value}", count=report.by_kind[kind])
        for overlap in report.overlaps[:SHOWN_OVERLAPS]:
            screen.out.print(
                f"[bold]{escape(overlap.case_id)}[/bold] {escape(overlap.question)}\n"
                f"  [yellow]{escape(screen.text(f'contamination.name_{overlap.kind.value}'))} "
                f"{overlap.similarity:.0%}[/yellow] {escape(overlap.row_id)}: {escape(_one_line(overlap.row_text))}",
                soft_wrap=True,
            )
        if report.overlaps_found > SHOWN_OVERLAPS:
            screen.say("contamination.more", count=f"{report.overlaps_found - SHOWN_OVERLAPS:,}")
    if report.same_document_cases:
        screen.say("contamination.same_document", count=f"{len(report.same_document_cases):,}")
    if report.override_reason is not None:
        screen.say("contamination.overridden", who=report.override_by, reason=report.override_reason)
    elif report.blocks:
        screen.say("contamination.next", **values)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:120]
