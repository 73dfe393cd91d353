"""How a fit plan is shown: memory as bars, disk, time, and the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.table import Table

from contracts.errors import InvalidRequestError
from contracts.fitting import FitPlan, FitVerdict
from contracts.training import TrainRequest

if TYPE_CHECKING:
    from cli.screen import Screen

BYTES_PER_GB = 1_000_000_000
BAR_CELLS = 40
STYLES = {
    FitVerdict.FITS: "green",
    FitVerdict.TIGHT: "yellow",
    FitVerdict.TOO_LARGE: "red",
    FitVerdict.UNKNOWN: "yellow",
}


def read_request(path: Path) -> TrainRequest:
    """The request in a JSON file. Raises InvalidRequestError naming what is wrong with it."""
    try:
        return TrainRequest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        raise InvalidRequestError(
            "The request file cannot be used",
            value=path if first is None else ".".join(str(part) for part in first["loc"]),
            allowed=", ".join(TrainRequest.model_fields),
            next_step=str(error) if first is None else str(first["msg"]),
        ) from error


def show_plan(plan: FitPlan, screen: Screen) -> None:
    """The plan on the terminal."""
    print_line = screen.out.print
    print_line(
        screen.text(
            f"train.plan_title_{plan.device}",
            recipe=plan.recipe,
            model=plan.base_model,
            method=plan.method,
            count=plan.num_gpus * plan.num_nodes,
            batch=plan.batch_size,
            accumulation=plan.gradient_accumulation_steps,
            tokens=plan.sequence_tokens,
        ),
        markup=False,
    )
    if plan.memory is not None:
        _show_memory(plan, screen)
    style = STYLES[plan.verdict]
    print_line(f"[{style}]{screen.text(f'train.plan_{plan.verdict}')}[/{style}]")
    if plan.nearest is not None:
        print_line(
            screen.text("train.plan_nearest", changes=plan.nearest.sentence(), size=_gb(plan.nearest.total_bytes)),
            markup=False,
        )
    elif plan.verdict is FitVerdict.TOO_LARGE:
        print_line(screen.text("train.plan_nothing_fits"), markup=False)
    if plan.disk is not None:
        disk = plan.disk
        print_line(
            screen.text(
                "train.plan_disk" if disk.fits else "train.plan_disk_short",
                needed=_gb(disk.needed_bytes),
                count=disk.checkpoints,
                each=_gb(disk.checkpoint_bytes),
                output=_gb(disk.output_bytes),
                free=_gb(disk.free_bytes),
                reserve=_gb(disk.reserve_bytes),
            ),
            markup=False,
        )
        if disk.merged_bytes:
            print_line(screen.text("train.plan_merged", size=_gb(disk.merged_bytes)), markup=False)
    if plan.time is None:
        print_line(screen.text("train.plan_no_time"), markup=False)
        return
    print_line(
        screen.text(
            f"train.plan_time_{plan.time.source}",
            steps=plan.time.steps,
            tokens=plan.time.tokens,
            speed=plan.time.tokens_per_second,
            time=_duration(plan.time.seconds, screen),
            low=_duration(plan.time.low_seconds, screen),
            high=_duration(plan.time.high_seconds, screen),
            jobs=plan.time.based_on,
        ),
        markup=False,
    )


def _show_memory(plan: FitPlan, screen: Screen) -> None:
    memory = plan.memory
    assert memory is not None
    scale = max(memory.total_bytes, plan.capacity_bytes or 0)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for part, size in memory.parts.items():
        table.add_row(screen.text(f"train.part_{part}"), _gb(size), "█" * _cells(size, scale))
    total = screen.text("train.plan_total", percent=f"{memory.error:.0%}")
    table.add_row(total, _gb(memory.total_bytes), "█" * _cells(memory.total_bytes, scale), style="bold")
    if plan.capacity_bytes is not None:
        capacity = screen.text("train.plan_capacity", source=plan.capacity_source)
        table.add_row(capacity, _gb(plan.capacity_bytes), "░" * _cells(plan.capacity_bytes, scale))
    screen.out.print(table)


def _cells(size: int, scale: int) -> int:
    return max(1, round(BAR_CELLS * size / scale))


def _gb(size: int) -> str:
    """Three figures, so that a small model's parts can be read too."""
    return f"{size / BYTES_PER_GB:,.1f} GB" if size >= BYTES_PER_GB else f"{size / 1_000_000:,.1f} MB"


def _duration(seconds: float, screen: Screen) -> str:
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return screen.text("train.plan_hours" if hours else "train.plan_minutes", hours=hours, minutes=minutes)
