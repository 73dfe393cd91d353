"""Trainings beside each other: what they measured as lines, what they were told and what came of it as tables; sweeps."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import CompressionMethod, JobStatus
from dashboard import parts, reading
from dashboard.curve_charts import RunLine, curve_chart
from dashboard.links import choose_several, kept_in_address
from dashboard.reading import CurveAxis, CurveMetric
from dashboard.theme import RUN_COLOURS, RUN_DASHES
from dashboard.views.run_tables import show_tables
from dashboard.views.sweep_comparison import show_sweep_comparison

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from contracts.jobs import FinetuningJob
    from dashboard.reading import ComparedJob, Comparison
    from dashboard.texts import Words
    from dashboard.visits import Visit

BUSY_SECONDS = 3
AT_FIRST = 3
LIVE = {JobStatus.PENDING, JobStatus.RUNNING}
SLOTS = "run-slots"
"""The session remembers which colour a job has, so that it stays when another one is taken out."""
OF_PREFERENCES = {CurveMetric.REWARD_MARGIN, CurveMetric.REWARD_ACCURACY}
"""Recorded by dpo only, and no positive numbers."""


def show(visit: Visit, words: Words) -> None:
    """Draw the page; the lines draw themselves again while one of the jobs runs."""
    every = [job for job in reading.list_jobs(visit) if _has_curves(job)]
    if every or "jobs" in st.query_params:
        _show_runs(visit, every, words)
    else:
        parts.empty(words("experiments.empty"), words("experiments.empty_text"))
    show_sweep_comparison(visit, words)


def _show_runs(visit: Visit, every: Sequence[FinetuningJob], words: Words) -> None:
    by_id = {job.job_id: job for job in every}

    def describe(job_id: int) -> str:
        job = by_id.get(job_id)
        return f"#{job_id}" if job is None else f"#{job_id} {job.job_name} · {words.of(job.status)}"

    begun = [job.job_id for job in every if job.status is not JobStatus.PENDING]
    chosen = choose_several(
        "jobs",
        words("experiments.choose", most=reading.MOST_COMPARED),
        list(by_id),
        describe,
        at_first=begun[:AT_FIRST],
        most=reading.MOST_COMPARED,
    )
    if not chosen:
        parts.missing(words("experiments.none_chosen"))
        return
    axis, smoothing, is_log = _view_options(words)
    slots = _slots(chosen)
    compared = reading.compare_jobs(visit, tuple(chosen), axis, smoothing)
    states = {item.job.job_id: item.job.status for item in compared.jobs}

    def draw() -> None:
        now = reading.compare_jobs(visit, tuple(chosen), axis, smoothing)
        if {item.job.job_id: item.job.status for item in now.jobs} != states:
            st.rerun()
        _comparison(now, visit, slots, axis, words, is_log=is_log)

    is_live = any(status in LIVE for status in states.values())
    st.fragment(lambda: parts.guarded(draw, words), run_every=BUSY_SECONDS if is_live else None)()


def _has_curves(job: FinetuningJob) -> bool:
    return job.compression in {None, CompressionMethod.DISTILL}


def _view_options(words: Words) -> tuple[CurveAxis, float, bool]:
    asked = st.query_params
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        axis = st.segmented_control(
            words("experiments.axis"),
            list(CurveAxis),
            default=CurveAxis(asked["axis"]) if asked.get("axis") in set(CurveAxis) else CurveAxis.STEP,
            format_func=words.of,
            key="curve-axis",
            required=True,
        )
        smoothing = st.slider(
            words("experiments.smoothing"),
            0.0,
            0.99,
            _share(asked.get("smoothing", "")),
            0.01,
            key="curve-smoothing",
            help=words("experiments.smoothing_help"),
            width=260,
        )
        is_log = st.toggle(
            words("experiments.log"), asked.get("log") == "1", key="curve-log", help=words("experiments.log_help")
        )
    assert axis is not None, "one is required"
    kept_in_address("axis", axis.value, CurveAxis.STEP.value)
    kept_in_address("smoothing", f"{smoothing:g}", "0")
    kept_in_address("log", str(int(is_log)), "0")
    return axis, smoothing, is_log


def _share(given: str) -> float:
    try:
        return min(0.99, max(0.0, round(float(given), 2)))
    except ValueError:
        return 0.0


def _slots(chosen: Sequence[int]) -> dict[int, int]:
    known: dict[int, int] = st.session_state.get(SLOTS, {})
    slots = {job_id: known[job_id] for job_id in chosen if job_id in known}
    free = iter(slot for slot in range(reading.MOST_COMPARED) if slot not in slots.values())
    slots |= {job_id: next(free) for job_id in chosen if job_id not in slots}
    st.session_state[SLOTS] = slots
    return slots


def _comparison(
    compared: Comparison, visit: Visit, slots: dict[int, int], axis: CurveAxis, words: Words, *, is_log: bool
) -> None:
    if compared.missing:
        st.warning(words("experiments.missing", jobs=_numbered(compared.missing)), icon=":material/search_off:")
    if not compared.jobs:
        return
    parts.html(_legend(compared.jobs, visit, slots, words))
    _tell_what_cannot_be_compared(compared.jobs, words)
    _charts(compared.jobs, slots, axis, words, is_log=is_log)
    _tell_what_is_missing(compared.jobs, axis, words)
    _downloads(compared, visit, words)
    show_tables(compared.jobs, words)


def _legend(jobs: Sequence[ComparedJob], visit: Visit, slots: dict[int, int], words: Words) -> str:
    """Colour and dash of each job, with the ways to it."""
    lines = []
    for item in jobs:
        job, slot = item.job, slots[item.job.job_id]
        page = f"/jobs?lang={words.language.value}&job={job.job_id}"
        ways = f'<a href="{escape(page)}" target="_self">{escape(words("experiments.job_page"))}</a>'
        if job.mlflow_run_id is not None:
            run = reading.mlflow_run_page(visit, job.mlflow_run_id)
            ways += f' · <a href="{escape(run)}" target="_blank" rel="noopener">{escape(words("runs.in_mlflow"))}</a>'
        lines.append(
            f'<li><img src="{_line_picture(slot)}" alt="">'
            f"<span><b>#{job.job_id}</b> {escape(job.job_name)} {parts.state_badge(job.status, words)}"
            f" <small>{ways}</small></span></li>"
        )
    return f'<ul class="tw-runs">{"".join(lines)}</ul>'


def _line_picture(slot: int) -> str:
    """A piece of the line, as an address: Streamlit takes drawings out of markup."""
    dash = "" if RUN_DASHES[slot] == "solid" else RUN_DASHES[slot].replace("px", "")
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 12"><line x1="0" y1="6" x2="60" y2="6" stroke-width="4"'
        f' stroke="{RUN_COLOURS[slot]}" stroke-dasharray="{dash}"/></svg>'
    )
    return f"data:image/svg+xml;base64,{b64encode(drawing.encode()).decode()}"


def _tell_what_cannot_be_compared(jobs: Sequence[ComparedJob], words: Words) -> None:
    by_objective: dict[str, list[int]] = {}
    for item in jobs:
        by_objective.setdefault(item.objective, []).append(item.job.job_id)
    if len(by_objective) > 1:
        groups = ", ".join(
            f"{words.named('training_objective', objective)} {_numbered(ids)}"
            for objective, ids in by_objective.items()
        )
        st.warning(words("experiments.other_objectives", groups=groups), icon=":material/warning:")
    else:
        if len({item.job.dataset_id for item in jobs}) > 1:
            st.caption(words("experiments.other_datasets"))
        if len({item.job.base_model_path for item in jobs}) > 1:
            st.caption(words("experiments.other_base_models"))


def _charts(jobs: Sequence[ComparedJob], slots: dict[int, int], axis: CurveAxis, words: Words, *, is_log: bool) -> None:
    drawn = [metric for metric in CurveMetric if any(metric in item.curves for item in jobs)]
    if not drawn:
        return
    names = "-".join(str(item.job.job_id) for item in jobs)
    # a row at a time: on a narrow screen the charts keep their order
    places = [column for _ in drawn[::2] for column in st.columns(2, gap="medium")]
    for place, metric in zip(places, drawn, strict=False):
        lines = [
            RunLine(f"#{item.job.job_id}", slots[item.job.job_id], item.curves[metric])
            for item in jobs
            if metric in item.curves
        ]
        figure = curve_chart(metric, lines, axis, words, log=is_log and metric not in OF_PREFERENCES)
        with place:
            st.subheader(words.of(metric), anchor=False)
            alt = words(
                "experiments.chart_of",
                metric=words.of(metric),
                jobs=_numbered(item.job.job_id for item in jobs if metric in item.curves),
            )
            parts.chart(figure, f"curves-{metric.value}", alt, picture=f"{metric.value}-{names}")
    absent = [words.of(metric) for metric in CurveMetric if metric not in drawn and metric not in OF_PREFERENCES]
    if absent:
        st.caption(words("experiments.not_recorded", metrics=", ".join(absent)))


def _tell_what_is_missing(jobs: Sequence[ComparedJob], axis: CurveAxis, words: Words) -> None:
    waiting = [item.job.job_id for item in jobs if item.source is None and item.job.status in LIVE]
    ended = [item.job.job_id for item in jobs if item.source is None and item.job.status not in LIVE]
    off_axis = [item.job.job_id for item in jobs if item.source is not None and not item.curves]
    if waiting:
        parts.missing(words("experiments.not_yet", jobs=_numbered(waiting)))
    if ended:
        parts.missing(words("experiments.never", jobs=_numbered(ended)))
    if off_axis:
        parts.missing(words("experiments.off_axis", jobs=_numbered(off_axis), axis=words.of(axis)))
    sources: dict[str, list[int]] = {}
    for item in jobs:
        if item.source is not None:
            sources.setdefault(item.source.value, []).append(item.job.job_id)
    told = " · ".join(f"{words(f'chart.source_{source}')} {_numbered(ids)}" for source, ids in sources.items())
    if told:
        st.caption(words("chart.source", source=told))


def _downloads(compared: Comparison, visit: Visit, words: Words) -> None:
    with_values = tuple(item.job.job_id for item in compared.jobs if item.source is not None)
    if not with_values:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            words("experiments.csv"),
            # read when somebody clicks: a long training has hundreds of thousands of values
            lambda: reading.curves_as_csv(visit, with_values),
            file_name=f"curves-{'-'.join(map(str, with_values))}.csv",
            mime="text/csv",
            key="curves-csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.caption(words("experiments.picture_help"))


def _numbered(job_ids: Iterable[int]) -> str:
    return ", ".join(f"#{job_id}" for job_id in job_ids)
