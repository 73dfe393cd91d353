"""What a job that has not started would need: memory, time and disk, each with its error, and what would fit instead."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.errors import TunewayError, UnavailableError
from contracts.fitting import FitVerdict
from dashboard import parts, reading
from dashboard.formats import duration, gigabytes, number
from dashboard.job_draft import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.fitting import FitPlan, FittingSetting, MemoryEstimate, RowLengths, TimeEstimate
    from contracts.job_requests import FinetuneJobRequest, JobPlan
    from dashboard.job_draft import JobDraft
    from dashboard.texts import Words
    from dashboard.visits import Visit
    from training.recipe import Recipe

LOOK_SECONDS = 1.0
TONES = {
    FitVerdict.FITS: "succeeded",
    FitVerdict.TIGHT: "warning",
    FitVerdict.TOO_LARGE: "failed",
    FitVerdict.UNKNOWN: "neutral",
}
SOURCES = {
    "this machine": "job_plan.source_machine",
    "setting": "job_plan.source_setting",
    "another machine": "job_plan.source_elsewhere",
}


def show_plan(
    visit: Visit,
    draft: JobDraft,
    recipe: Recipe,
    words: Words,
    propose: Callable[[dict[str, str]], None] | None = None,
) -> JobPlan | None:
    """The plan, without the time until the rows' lengths are measured; None where the job cannot be started.

    `propose`: what a press on the nearest setting that fits does.
    """
    try:
        request = draft.request(recipe, reading.job_cards(visit))
        rows, problem = _rows(visit, request, recipe)
        plan = reading.job_plan(visit, request, rows)
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("job_plan.refused"), words)
        return None
    is_measuring = rows is None and problem is None
    _draw(plan, words, propose, is_measuring=is_measuring)
    if problem is not None:
        st.caption(words("job_plan.no_time", reason=parts.plain(problem)))
    if is_measuring:
        _wait(visit, request, recipe, words)
    return plan


def _rows(visit: Visit, request: FinetuneJobRequest, recipe: Recipe) -> tuple[RowLengths | None, str | None]:
    """The rows' lengths, and why there will be none; neither while they are being measured."""
    try:
        return reading.row_lengths(visit, request.dataset_id, request.base_model, recipe.objective), None
    except UnavailableError as error:
        return None, error.sentence()


def _wait(visit: Visit, request: FinetuneJobRequest, recipe: Recipe, words: Words) -> None:
    """Draw the page again when the rows' lengths are there."""

    def look() -> None:
        if reading.is_measured(visit, request.dataset_id, request.base_model, recipe.objective):
            st.rerun()

    st.fragment(lambda: parts.guarded(look, words), run_every=LOOK_SECONDS)()


def _draw(plan: JobPlan, words: Words, propose: Callable[[dict[str, str]], None] | None, *, is_measuring: bool) -> None:
    fit = plan.fit
    parts.html(
        f"<p>{parts.badge(words.of(fit.verdict), TONES[fit.verdict])} "
        f"{escape(words(f'job_plan.verdict_{fit.verdict.value}'))}</p>"
    )
    if fit.nearest is not None:
        _nearest(fit.nearest, words, propose)
    elif fit.verdict is FitVerdict.TOO_LARGE:
        st.warning(words("job_plan.nothing_fits"), icon=":material/block:")
    _memory(fit, words)
    waiting = words("job_plan.measuring" if is_measuring else "job_plan.unknown")
    parts.html(parts.figures([_time(fit.time, plan, words) or (words("job_plan.time"), "…", waiting)]))
    _disk(fit, words)


def _memory(fit: FitPlan, words: Words) -> None:
    memory = fit.memory
    label = words("job_plan.memory_gpu" if fit.device == "gpu" else "job_plan.memory_cpu")
    if memory is None:
        parts.html(parts.figures([(label, words("job_plan.unknown"), words("job_plan.memory_unknown"))]))
        return
    told = f"{gigabytes(memory.total_bytes)} ± {gigabytes(_error_of(memory))}"
    room = words("job_plan.room_unknown")
    if fit.capacity_bytes is not None:
        room = words("job_plan.room", room=gigabytes(fit.capacity_bytes), source=_source(fit.capacity_source, words))
    parts.html(parts.figures([(label, told, room)]))
    if fit.capacity_bytes is not None:
        share = min(1.0, memory.total_bytes / fit.capacity_bytes)
        parts.html(f'<div class="tw-meter tw-{TONES[fit.verdict]}"><i style="width:{share * 100:.1f}%"></i></div>')
    with st.expander(words("job_plan.parts")):
        lines = [
            [escape(words.of(part)), gigabytes(size)]
            for part, size in sorted(memory.parts.items(), key=lambda item: -item[1])
            if size
        ]
        parts.html(parts.rows([words("job_plan.part"), words("job_plan.size")], lines, numeric=(1,)))
        st.caption(
            words(
                "job_plan.trainable",
                trainable=number(memory.trainable_parameters),
                total=number(memory.total_parameters),
                tokens=number(fit.sequence_tokens),
            )
        )


def _error_of(memory: MemoryEstimate) -> float:
    return memory.error * memory.tensor_bytes


def _source(source: str, words: Words) -> str:
    """Where the room was read; a card's own name as it is."""
    return next((words(key) for start, key in SOURCES.items() if source.startswith(start)), source)


def _time(time: TimeEstimate | None, plan: JobPlan, words: Words) -> tuple[str, str, str] | None:
    if time is None:
        return None
    between = words("job_plan.between", low=duration(time.low_seconds, words), high=duration(time.high_seconds, words))
    source = words("job_plan.measured", n=time.based_on) if time.source == "measured" else words("job_plan.computed")
    steps = words("job_plan.steps", steps=number(time.steps))
    hours = "" if plan.card_hours is None else words("job_plan.card_hours", hours=_hours(plan.card_hours))
    remark = " · ".join(part for part in (between, steps, hours, source) if part)
    return words("job_plan.time"), duration(time.seconds, words), remark


def _hours(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else number(hours)


def _disk(fit: FitPlan, words: Words) -> None:
    disk = fit.disk
    if disk is None:
        return
    remark = words(
        "job_plan.disk_room",
        free=gigabytes(disk.free_bytes),
        reserve=gigabytes(disk.reserve_bytes),
        checkpoints=disk.checkpoints,
    )
    parts.html(parts.figures([(words("job_plan.disk"), gigabytes(disk.needed_bytes), remark)]))
    if not disk.fits:
        st.error(words("job_plan.disk_full"), icon=":material/error:")


def _nearest(nearest: FittingSetting, words: Words, propose: Callable[[dict[str, str]], None] | None) -> None:
    changes = {change.field: change.proposed for change in nearest.changes}
    told = ", ".join(f"{change.field} {change.present} → {change.proposed}" for change in nearest.changes)
    st.info(
        words("job_plan.nearest", changes=parts.plain(told), total=gigabytes(nearest.total_bytes)),
        icon=":material/lightbulb:",
    )
    if changes.keys() <= {*NUMBERS, "num_gpus"}:
        if propose is not None:
            st.button(
                words("job_plan.take"),
                key="plan-take",
                icon=":material/auto_fix_high:",
                on_click=propose,
                args=(changes,),
            )
    else:
        st.caption(words("job_plan.by_recipe"))
