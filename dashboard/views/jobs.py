"""Fine-tuning jobs: by state, and one job's progress, curve, settings, log and error."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import CompressionMethod, JobStatus
from dashboard import charts, parts, reading
from dashboard.formats import NOTHING, duration, gigabytes, loss, moment, number, small
from dashboard.links import choose, link
from dashboard.views.job_actions import is_resuming, show_actions
from dashboard.views.job_log import show_log
from dashboard.views.job_metrics import show_metrics
from dashboard.views.job_wizard import is_open, offer, offer_clone, show_wizard
from dashboard.views.sweeps import show_sweeps
from stages.compression_report import compression_lines

if TYPE_CHECKING:
    from contracts.jobs import FinetuningJob
    from dashboard.reading import JobStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

BUSY_SECONDS = 1
LIVE = {JobStatus.PENDING, JobStatus.RUNNING}


def show(visit: Visit, words: Words) -> None:
    """Draw the page; the detail of a running job draws itself again."""
    if is_open():
        show_wizard(visit, words)
        return
    offer(visit, words)
    every = reading.list_jobs(visit)
    if not every:
        parts.empty(words("jobs.empty"), words("jobs.empty_text"))
        return
    listed = _filtered(every, words)
    if not listed:
        st.caption(words("jobs.none_in_state"))
        return
    with st.expander(words("jobs.list"), expanded=True):
        _table(listed, words)
    by_id = {job.job_id: job for job in listed}

    def describe(job_id: int) -> str:
        job = by_id.get(job_id)
        return f"#{job_id}" if job is None else f"{job.job_name} · {words.of(job.status)}"

    filtered_out = {job.job_id for job in every} - by_id.keys()
    job_id = choose("job", words("jobs.choose"), list(by_id), describe, filtered_out)
    _live_story(visit, job_id, words)
    show_sweeps(visit, words)


def _filtered(every: list[FinetuningJob], words: Words) -> list[FinetuningJob]:
    """Those of the chosen state that the search names; both stand in the address."""
    asked = st.query_params.get("state")
    st.session_state.setdefault("job-status", JobStatus(asked) if asked in set(JobStatus) else None)
    st.session_state.setdefault("job-search", st.query_params.get("q", ""))
    status: JobStatus | None = st.segmented_control(
        words("jobs.filter"),
        list(JobStatus),
        format_func=lambda status: f"{words.of(status)} {sum(job.status is status for job in every)}",
        key="job-status",
    )
    text: str = st.text_input(
        words("jobs.search"),
        max_chars=100,
        type="search",
        icon=":material/search:",
        placeholder=words("jobs.search_example"),
        key="job-search",
    )
    for name, value in (("state", status and status.value), ("q", text)):
        if value:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]
    wanted = text.casefold().split()
    return [
        job
        for job in every
        if (status is None or job.status is status) and all(word in _searched(job, words) for word in wanted)
    ]


def _searched(job: FinetuningJob, words: Words) -> str:
    return f"{job.job_name} {job.base_model} {_method(job, words)} {job.hyperparameters.get('recipe', '')}".casefold()


def _table(jobs: list[FinetuningJob], words: Words) -> None:
    sparks = reading.loss_sparks(jobs)
    config = {
        words("jobs.progress"): st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0),
        words("jobs.course"): st.column_config.LineChartColumn(y_min=0.0, width="small"),
    }
    lines = [_line(job, sparks[job.job_id], words) for job in jobs]
    st.dataframe(lines, hide_index=True, width="stretch", column_config=config)


def _live_story(visit: Visit, job_id: int, words: Words) -> None:
    job = reading.job_story(visit, job_id).job
    started_as = job.status
    is_live = started_as in LIVE or is_resuming(job)

    def draw() -> None:
        story = reading.job_story(visit, job_id)
        if story.job.status is not started_as:
            st.rerun()
        _story(story, visit, words)

    st.fragment(lambda: parts.guarded(draw, words), run_every=BUSY_SECONDS if is_live else None)()
    show_log(visit, job, words, is_live=is_live)


def _line(job: FinetuningJob, spark: list[float], words: Words) -> dict[str, object]:
    progress, report = job.progress, job.report
    share = None if progress is None or not progress.total_steps else progress.step / progress.total_steps
    last = report.train_loss if report is not None else None if progress is None else progress.loss
    eta = None if job.status is not JobStatus.RUNNING or progress is None else progress.eta_seconds
    return {
        words("jobs.job"): job.job_name,
        words("jobs.state"): words.of(job.status),
        words("jobs.progress"): 1.0 if job.status is JobStatus.COMPLETED else share,
        words("jobs.eta"): duration(eta, words),
        words("jobs.course"): spark,
        words("jobs.loss"): loss(last),
        words("jobs.method"): _method(job, words),
        words("jobs.base_model"): job.base_model,
        words("jobs.started"): moment(job.start_time, words.language),
        words("jobs.took"): _took(job, words),
    }


def _method(job: FinetuningJob, words: Words) -> str:
    """How the job trains; of a compression, that it is one, and how it makes the model smaller."""
    if job.compression is None:
        return words.named("method", job.method)
    return words("jobs.compression", method=words.of(job.compression))


def _took(job: FinetuningJob, words: Words) -> str:
    if job.start_time is None or job.end_time is None:
        return NOTHING
    return duration(job.end_time - job.start_time, words)


def _story(story: JobStory, visit: Visit, words: Words) -> None:
    job = story.job
    st.header(job.job_name)
    parts.html(
        f"{parts.state_badge(job.status, words)} &nbsp;{escape(moment(job.start_time, words.language))}"
        f" – {escape(moment(job.end_time, words.language))}"
    )
    if job.error is not None:
        parts.error_parts(job.error, words("error.title"), words)
    if job.status is JobStatus.RUNNING and job.progress is not None:
        parts.progress_bar(job.progress, words)
        parts.html(parts.progress_figures(job.progress, words))
    show_actions(visit, job, words)
    parts.html(parts.figures(_figures(story, words)))
    with st.container(horizontal=True):
        if job.compression is None:
            offer_clone(visit, job.job_id, words)
        link("datasets", words("runs.open_dataset"), words, dataset=job.dataset_id)
        link("experiments", words("experiments.compare"), words, jobs=job.job_id)
        if job.mlflow_run_id is not None:
            st.link_button(
                words("runs.in_mlflow"),
                reading.mlflow_run_page(visit, job.mlflow_run_id),
                icon=":material/open_in_new:",
            )
    if job.report is not None and job.report.compression is not None:
        st.subheader(words("jobs.compression_title"))
        for line in compression_lines(job.report.compression, words.language):
            st.text(line)
    if job.compression in {None, CompressionMethod.DISTILL}:
        _curve(story, words)
    show_metrics(story.metrics, words)
    if job.report is not None and job.report.checkpoints:
        st.subheader(words("jobs.checkpoints"))
        lines = [[escape(item.name), number(item.step), gigabytes(item.size_bytes)] for item in job.report.checkpoints]
        header = [words("jobs.checkpoint"), words("chart.step"), words("jobs.size")]
        parts.html(parts.rows(header, lines, numeric=(1, 2)))
    with st.expander(words("jobs.hyperparameters")):
        settings = [
            [f"<code>{escape(name)}</code>", escape(small(value))] for name, value in job.hyperparameters.items()
        ]
        parts.html(parts.rows([words("jobs.name"), words("jobs.value")], settings))


def _curve(story: JobStory, words: Words) -> None:
    st.subheader(words("jobs.curve"))
    if story.curve is None:
        parts.missing(words("jobs.curve_missing" if story.job.status in LIVE else "jobs.curve_none"))
    else:
        parts.chart(charts.loss_chart(story.curve, words), f"loss-{story.job.job_id}", words("jobs.curve"))
        st.caption(words("chart.source", source=words(f"chart.source_{story.curve.source.value}")))


def _figures(story: JobStory, words: Words) -> list[tuple[str, str]]:
    job, report = story.job, story.job.report
    found = [
        (words("jobs.method"), _method(job, words)),
        (words("jobs.base_model"), job.base_model),
        (words("jobs.dataset"), f"{story.dataset.name} {story.dataset.version}"),
        (words("jobs.devices"), job.gpu_ids or NOTHING),
        (words("jobs.took"), _took(job, words)),
    ]
    if report is not None:
        found += [
            (words("jobs.steps"), number(report.steps)),
            (words("jobs.epochs"), f"{report.epochs:g}"),
            (words("jobs.loss"), loss(report.train_loss)),
            (words("jobs.eval_loss"), loss(report.eval_loss)),
            (words("jobs.perplexity"), loss(report.perplexity)),
            (words("jobs.speed"), number(report.tokens_per_second)),
            (words("jobs.memory"), f"{number(report.peak_memory_mb)} MB"),
        ]
        if report.resumed_from_step is not None:
            found.append((words("jobs.resumed"), number(report.resumed_from_step)))
    return found
