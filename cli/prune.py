"""`tuneway prune`: remove now what the rules of retention let go, or see what that would be."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from settings import language

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]


def prune(
    by: By,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=translate("help.prune_dry_run", language()))] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what the rules of retention let go."""
    from cli.screen import in_units
    from stages.retention import prune as prune_now

    with told(as_json) as (screen, services):
        report = prune_now(services, by, is_dry_run=dry_run)
        if as_json:
            print_json(report.model_dump(mode="json"))
            return
        sizes = Counter[str]()
        for one in report.removed:
            sizes[one.kind.value] += one.size_bytes
        counts = Counter(one.kind.value for one in report.removed)
        for kind, size in sorted(sizes.items()):
            name = screen.text(f"prune.{kind}")
            screen.say("prune.line", name=name, count=f"{counts[kind]:,}", size=in_units(size))
        screen.done("prune.would" if dry_run else "prune.done", size=in_units(report.freed_bytes))
