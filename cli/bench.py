"""Benchmarks that a site runs on its own machine."""

import json
import subprocess
import sys
from typing import Annotated, Any

import typer

from cli.screen import make_screen
from cli.texts import translate
from contracts.errors import JobFailedError
from settings import load_settings

LANGUAGE = load_settings().language
app = typer.Typer(no_args_is_help=True, add_completion=False, help=translate("help.bench", LANGUAGE))


@app.callback()
def _benchmarks() -> None:
    """Benchmarks that a site runs on its own machine."""


@app.command(help=translate("help.bench_data", LANGUAGE))
def data(
    rows: Annotated[int, typer.Option(min=100, help=translate("help.bench_rows", LANGUAGE))] = 1_000_000,
    workers: Annotated[int | None, typer.Option(min=1, help=translate("help.bench_workers", LANGUAGE))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", LANGUAGE))] = False,
) -> None:
    """Prepare generated rows with planted copies and personal data; tell time, memory and what was found."""
    settings = load_settings()
    command = [sys.executable, "-m", "benchmarks.data_preparation", "--rows", str(rows)]
    if workers is not None:
        command += ["--workers", str(workers)]
    done = subprocess.run(command, cwd=settings.repository_root, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise JobFailedError(
            "The benchmark failed", value=f"exit code {done.returncode}", next_step="see what it said above"
        )
    result = json.loads(done.stdout)
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    screen = make_screen()
    for name in (
        "rows",
        "workers",
        "seconds",
        "rows_per_second",
        "peak_mib",
        "planted_copies",
        "found_copies",
        "wrong_copies",
    ):
        screen.say("bench.line", name=screen.text(f"bench.{name}"), value=f"{result[name]:,}")
    for what, seconds in result["steps"].items():
        screen.say("bench.line", name=what, value=f"{seconds:,} s")
    for kind, recall in result["personal_data"].items():
        screen.say("bench.line", name=kind, value=f"{recall:.4f}")
