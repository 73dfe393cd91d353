"""The doctor's findings as a table."""

from rich.markup import escape
from rich.table import Table

from cli.doctor import Finding, Verdict
from cli.screen import Screen

COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.BLOCK: "red"}


def show_findings(findings: list[Finding], screen: Screen) -> None:
    """Check, verdict and detail; what to do under it where something is wrong."""
    table = Table(box=None, pad_edge=False)
    for key in ("check", "verdict", "detail"):
        table.add_column(screen.text(f"doctor.{key}"), overflow="fold")
    for finding in findings:
        colour = COLOURS[finding.verdict]
        verdict = screen.text(f"doctor.{finding.verdict}")
        table.add_row(escape(finding.check), f"[{colour}]{verdict}[/{colour}]", escape(finding.detail))
        if finding.next_step:
            table.add_row("", "", escape(f"→ {finding.next_step}"))
    screen.out.print(table)
    blocking = sum(finding.verdict is Verdict.BLOCK for finding in findings)
    if blocking:
        screen.out.print(screen.text("doctor.blocked", count=blocking), style="red")
    else:
        screen.out.print(screen.text("doctor.all_ok"), style="green")
