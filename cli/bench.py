"""Benchmarks that a site runs on its own machine."""

import json
import subprocess
import sys
from typing import Annotated, Any

import typer

from cli.screen import exit_code_of, make_screen
from cli.texts import translate
from contracts.errors import InvalidRequestError, JobFailedError
from settings import Settings, load_settings
from stages.cards import real_gpus

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
    result = _result(command, settings)
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    else:
        _show(result)


@app.command(help=translate("help.bench_train", LANGUAGE))
def train(
    on_gpu: Annotated[bool, typer.Option("--gpu", help=translate("help.bench_gpu", LANGUAGE))] = False,
    quick: Annotated[bool, typer.Option("--quick", help=translate("help.bench_quick", LANGUAGE))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", LANGUAGE))] = False,
) -> None:
    """Train against TRL as it comes: on a CPU the demo's recipe, on a GPU LoRA, QLoRA and full on packed rows."""
    settings = load_settings()
    with make_screen() as screen:
        if on_gpu and not real_gpus():
            error = InvalidRequestError(
                "This machine has no GPU", value="--gpu", next_step="leave --gpu out, or run it on the GPU server"
            )
            screen.show_error(error)
            raise typer.Exit(exit_code_of(error))
        name = "training_speed" if on_gpu else "training_step"
        shorter = [] if not quick else ["--methods", "lora"] if on_gpu else ["--quick"]
        result = _result([sys.executable, "-m", f"benchmarks.{name}", *shorter], settings)
        if as_json:
            sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
            return
        for line in result["runs" if on_gpu else "measured"]:
            line = {"method": "lora", "peak_gb": None, "error": None, "speed_ratio": "", **line}
            if line["error"] is not None:
                screen.say("bench.train_failed", **line)
                continue
            memory = f"{line['peak_gb']} GB" if on_gpu else f"{line['peak_mib']:,} MiB"
            screen.say("bench.train_line", **{**line, "memory": memory})


@app.command(help=translate("help.bench_router", LANGUAGE))
def router(
    peers: Annotated[str, typer.Option(help=translate("help.bench_peers", LANGUAGE))] = "",
    peers_dir: Annotated[list[str] | None, typer.Option(help=translate("help.bench_peers_dir", LANGUAGE))] = None,
    rounds: Annotated[int, typer.Option(min=1, help=translate("help.bench_rounds", LANGUAGE))] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help=translate("help.bench_seconds", LANGUAGE))] = 3.0,
    soak: Annotated[int | None, typer.Option(min=1, help=translate("help.bench_soak", LANGUAGE))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", LANGUAGE))] = False,
) -> None:
    """CPU time, memory and delay of the router, beside other routers in front of the same model server."""
    if soak is not None:
        _soak_router(soak, as_json=as_json)
        return
    command = [sys.executable, "-m", "benchmarks.router", "--rounds", str(rounds), "--seconds", str(seconds)]
    command += ["--peers", peers, *(part for folder in peers_dir or [] for part in ("--peers-dir", folder))]
    with make_screen() as screen:
        try:
            result = _result(command, load_settings())
        except JobFailedError as error:
            screen.show_error(error)
            raise typer.Exit(exit_code_of(error)) from None
        if as_json:
            sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
            return
        for line in result["measured"]:
            counts = ", ".join(f"{count}: {used:,.0f}" for count, used in line["cpu_us"].items())
            screen.say("bench.router_line", counts=counts, **line)
        for bar in result["bars"]:
            if bar["is_met"] is not None:
                mark = "✓" if bar["is_met"] else "✗"
                name = screen.text(f"bench.bar_{bar['bar']}")
                screen.say("bench.bar", mark=mark, name=name, measured=bar["measured"], at_most=bar["at_most"])
        for name, how in result["missing_peers"].items():
            screen.say("bench.missing", name=name, how=how)
        for name, why in result["failed_peers"].items():
            screen.say("bench.peer_failed", name=name, why=why)


def _soak_router(requests: int, *, as_json: bool) -> None:
    with make_screen() as screen:
        try:
            command = [sys.executable, "-m", "benchmarks.router_soak", "--requests", str(requests)]
            result = _result(command, load_settings())
        except JobFailedError as error:
            screen.show_error(error)
            raise typer.Exit(exit_code_of(error)) from None
        if as_json:
            sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
            return
        screen.say("bench.soak_line", **result)


def _result(command: list[str], settings: Settings) -> dict[str, Any]:
    """What a benchmark printed. Raises JobFailedError."""
    done = subprocess.run(command, cwd=settings.repository_root, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise JobFailedError(
            "The benchmark failed", value=f"exit code {done.returncode}", next_step="see what it said above"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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
