"""Pieces that several pages draw."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import PIPELINE_STAGES, GateDecision, JobStatus, ModelStatus, StageName, StageStatus
from contracts.errors import ForbiddenError, NotFoundError, SchemaMissingError, TunewayError, UnauthorizedError
from dashboard.formats import NOTHING, duration, loss, moment, number, percent
from dashboard.reading import RunState, run_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from enum import StrEnum

    from contracts.pipeline import PipelineRun, StageState
    from contracts.record import JsonObject
    from contracts.training import JobProgress
    from dashboard.texts import Words

_REFUSED = "refused-action"
CHART_CONFIG = {"displayModeBar": False, "responsive": True}
PICTURE_CONFIG = {"displayModeBar": True, "displaylogo": False, "modeBarButtons": [["toImage"]], "responsive": True}

_MARKS = {"running": "●", "succeeded": "✓", "failed": "✕", "skipped": "–", "waiting": "○", "warning": "!"}
_TONES: dict[StrEnum, str] = {
    RunState.RUNNING: "running",
    RunState.SUCCEEDED: "succeeded",
    RunState.STOPPED_AT_GATE: "warning",
    RunState.FAILED: "failed",
    JobStatus.PENDING: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.COMPLETED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "skipped",
    GateDecision.PASS: "succeeded",
    GateDecision.FAIL: "failed",
    GateDecision.UNDECIDED: "warning",
    ModelStatus.STAGING: "waiting",
    ModelStatus.PRODUCTION: "succeeded",
    ModelStatus.ARCHIVED: "skipped",
}


def html(body: str) -> None:
    """Our own markup. Whatever comes from data has been escaped by the caller."""
    st.html(f'<div class="tw">{body}</div>')


def plain(text: str) -> str:
    """Text of unknown origin, for a place that reads Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()<>#+-.!|~$:" else letter for letter in text)


def badge(text: str, tone: str) -> str:
    """A state as a coloured word with its mark."""
    return f'<span class="tw-badge tw-{tone}"><i aria-hidden="true">{_MARKS.get(tone, "")}</i>{escape(text)}</span>'


def state_badge(member: StrEnum, words: Words) -> str:
    """The badge of a state that has a tone of its own."""
    return badge(words.of(member), _TONES.get(member, "neutral"))


def figures(items: Iterable[tuple[str, str] | tuple[str, str, str]]) -> str:
    """Labelled numbers; a third part is a remark below the number."""
    cells = []
    for label, value, *remark in items:
        note = f"<small>{escape(remark[0])}</small>" if remark and remark[0] else ""
        css = ' class="long"' if len(value) > 16 else ""
        cells.append(f"<div><dt>{escape(label)}</dt><dd{css}>{escape(value)}{note}</dd></div>")
    return f'<dl class="tw-figures">{"".join(cells)}</dl>'


def rows(header: Sequence[str], lines: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """A small table. Cells are markup: escape what comes from data."""

    def cell(tag: str, position: int, content: str) -> str:
        css = ' class="n"' if position in numeric else ""
        return f"<{tag}{css}>{content}</{tag}>"

    head = "".join(cell("th", position, escape(text)) for position, text in enumerate(header))
    body = "".join(
        f"<tr>{''.join(cell('td', position, content) for position, content in enumerate(line))}</tr>" for line in lines
    )
    top = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    return f'<div class="tw-scroll"><table class="tw-rows">{top}<tbody>{body}</tbody></table></div>'


def chart(figure: object, key: str, alt: str, picture: str | None = None) -> None:
    """A chart across the column, with words for those who do not see it.

    `picture` names the PNG that its button saves; the browser draws it, nothing is sent.
    """
    config = CHART_CONFIG if picture is None else {**PICTURE_CONFIG, "toImageButtonOptions": _picture(picture)}
    st.plotly_chart(figure, width="stretch", theme="streamlit", config=config, key=key, alt=alt)


def _picture(name: str) -> JsonObject:
    return {"format": "png", "filename": name, "scale": 2}


def empty(title: str, text: str) -> None:
    """There is nothing yet, and what would bring it."""
    with st.container(border=True):
        st.markdown(f"**{title}**")
        st.markdown(text)


def missing(text: str) -> None:
    """Not enough yet for this part of the page."""
    st.info(text, icon=":material/hourglass_empty:")


def error_parts(error: JsonObject, title: str, words: Words) -> None:
    """An error in its four parts."""

    def part(name: str, absent: str) -> str:
        value = error.get(name)
        return escape(str(value)) if value not in {None, ""} else f'<span class="quiet">{escape(absent)}</span>'

    st.error(f"**{plain(title)}**", icon=":material/error:")
    parts = [
        [escape(words("error.what")), part("what", NOTHING)],
        [escape(words("error.value")), part("value", words("error.no_value"))],
        [escape(words("error.allowed")), part("allowed", words("error.no_allowed"))],
        [escape(words("error.next_step")), part("next_step", words("error.no_next_step"))],
    ]
    body = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in parts)
    html(f'<table class="tw-rows tw-error"><tbody>{body}</tbody></table>')
    if error.get("retryable"):
        st.caption(words("error.retryable"))


def unavailable(error: TunewayError, words: Words) -> None:
    """The page cannot be drawn: what is wrong and what to do, never a traceback."""
    if isinstance(error, SchemaMissingError):
        kind, steps = "schema", 1
    elif isinstance(error, UnauthorizedError):
        logged_out(words)
        return
    elif isinstance(error, ForbiddenError):
        kind, steps = "forbidden", 0
    elif error.code == "unavailable" and "decision" in error.what:
        kind, steps = "policies", 1
    elif error.code == "unavailable":
        kind, steps = "database", 3
    elif isinstance(error, NotFoundError) and "secret" in error.what:
        kind, steps = "setup", 1
    elif isinstance(error, NotFoundError):
        kind, steps = "not_found", 0
    else:
        kind, steps = "other", 0
    st.warning(f"**{words(f'unavailable.{kind}_title')}**", icon=":material/cloud_off:")
    st.markdown(words(f"unavailable.{kind}_text"))
    if steps:
        st.markdown("\n".join(f"{step}. {words(f'unavailable.{kind}_step_{step}')}" for step in range(1, steps + 1)))
    with st.expander(words("unavailable.details")):
        st.text(error.sentence())
    st.button(words("unavailable.retry"), key=f"retry-{kind}", icon=":material/refresh:")


def guarded(draw: Callable[[], None], words: Words) -> None:
    """Draw, or say why it cannot be drawn."""
    try:
        draw()
    except TunewayError as error:
        unavailable(error, words)


def refuse(error: TunewayError) -> None:
    """From a button's callback: the page says it when it is drawn."""
    st.session_state[_REFUSED] = error.as_record()


def tell_refusal(words: Words) -> None:
    """What the last button did not do, and why."""
    if error := st.session_state.pop(_REFUSED, None):
        error_parts(error, words("error.title"), words)


def logged_out(words: Words) -> None:
    """Nobody is logged in, or not any more."""
    st.info(f"**{words('login.ended_title')}**", icon=":material/logout:")
    st.markdown(words("login.ended_text"))
    address = f"/login?lang={words.language.value}"
    html(f'<p><a href="{address}" target="_self">{escape(words("login.again"))}</a></p>')


# The picture of the pipeline


def pipeline_picture(run: PipelineRun, words: Words) -> None:
    """The pipeline's stages, and others that the run has, in order: each with its state, its time and what it brought."""
    states = {state.stage: state for state in run.stages}
    shown = [name for name in StageName if name in PIPELINE_STAGES or name in states]
    html(f'<ol class="tw-pipe">{"".join(_stage(name, states.get(name), run, words) for name in shown)}</ol>')


def _stage(name: StageName, state: StageState | None, run: PipelineRun, words: Words) -> str:
    if state is None:
        tone = "waiting" if run.finished_at is None else "skipped"
        said = words("stage_status.waiting" if run.finished_at is None else "stage_status.not_reached")
        return _stage_box(name, tone, said, "", words)
    took = (
        duration(state.finished_at - state.started_at, words)
        if state.finished_at is not None and state.started_at is not None
        else ""
    )
    said = words.of(state.status) if state.status is not StageStatus.SUCCEEDED else _result(state, words)
    return _stage_box(name, _tone_of(state), said, took, words)


def _tone_of(state: StageState) -> str:
    if state.stage is StageName.GATE and state.record and state.record.get("decision") != GateDecision.PASS:
        return "warning"
    return state.status.value


def _stage_box(name: StageName, tone: str, said: str, took: str, words: Words) -> str:
    title = f'<b><span class="mark" aria-hidden="true">{_MARKS[tone]}</span>{escape(words.of(name))}</b>'
    return (
        f'<li class="tw-stage tw-{tone}">{title}<span class="result">{escape(said)}</span>'
        f"<small>{escape(took)}</small></li>"
    )


def _result(state: StageState, words: Words) -> str:
    """The one thing a reader asks of a finished stage."""
    record = state.record or {}
    match state.stage:
        case StageName.GENERATE_QA:
            return words("unit.rows", n=number(_float(record.get("accepted"))))
        case StageName.IMPORT_DATASET:
            rows_read = (_float(record.get("total_rows")) or 0) + (_float(record.get("broken_rows")) or 0)
            return words("unit.rows", n=number(rows_read))
        case StageName.PREPARE:
            return f"{record.get('version')} · {words('unit.rows', n=number(_float(record.get('total_samples'))))}"
        case StageName.TRAIN:
            return f"{words('chart.loss')} {loss(_float(record.get('train_loss')))}"
        case StageName.EVALUATE:
            main = record.get("main")
            tuned = main.get("tuned") if isinstance(main, dict) else None
            return percent(_float(tuned.get("accuracy"))) if isinstance(tuned, dict) else words.of(state.status)
        case StageName.GATE:
            return words(f"gate_decision.{record.get('decision')}")
        case StageName.REGISTER:
            return words("parts.version", version=record.get("version"))
        case _:
            return words.of(state.status)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def run_line(run: PipelineRun, words: Words) -> None:
    """State, start and duration of a run on one line."""
    took = "" if run.finished_at is None else f" · {duration(run.finished_at - run.started_at, words)}"
    html(
        f"{state_badge(run_state(run), words)} &nbsp;{escape(moment(run.started_at, words.language))}{escape(took)}"
        f' &nbsp;<span class="quiet">{escape(run.run_id)}</span>'
    )


# Progress


def progress_bar(progress: JobProgress, words: Words) -> None:
    """What the job does and how far it is."""
    unit = "asking" if progress.stage == "asking" else "step"
    doing = progress_stage(progress, words)
    share = min(1.0, progress.step / progress.total_steps) if progress.total_steps else 0.0
    at = words(f"progress.{unit}", step=number(progress.step), total=number(progress.total_steps))
    st.progress(share, text=f"{plain(doing)} · {at} ({percent(share, 0)})" if progress.total_steps else plain(doing))


def progress_stage(progress: JobProgress, words: Words) -> str:
    """The job's own word for what it does, in the reader's language where it is known."""
    return words.named("progress_stage", progress.stage)


def progress_figures(progress: JobProgress, words: Words) -> str:
    """The numbers of a running job; those it does not have are left out."""
    eta = progress.eta_seconds
    items = [(words("progress.eta"), words("progress.eta_unknown") if eta is None else duration(eta, words))]
    optional = (
        ("loss", None if progress.loss is None else loss(progress.loss)),
        ("eval_loss", None if progress.eval_loss is None else loss(progress.eval_loss)),
        ("epoch", None if progress.epoch is None else number(progress.epoch, 2)),
        ("speed", None if progress.tokens_per_second is None else number(progress.tokens_per_second)),
        ("memory", None if progress.memory_mb is None else f"{number(progress.memory_mb)} MB"),
        ("updated", moment(progress.updated_at, words.language, seconds=True)),
    )
    items += [(words(f"progress.{name}"), value) for name, value in optional if value is not None]
    return figures(items)
