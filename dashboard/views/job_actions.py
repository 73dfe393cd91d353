"""What a person does with a job: stop it, or let it go on from a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.enums import JobStatus
from contracts.errors import TunewayError
from dashboard import parts, reading, writing
from dashboard.formats import loss

if TYPE_CHECKING:
    from contracts.jobs import FinetuningJob
    from contracts.training import CheckpointRecord
    from dashboard.texts import Words
    from dashboard.visits import Visit

RESUMED = "resumed-job"
"""The session remembers the job that goes on until its row says so."""


def is_resuming(job: FinetuningJob) -> bool:
    """It was told to go on, and its row does not say so yet."""
    if st.session_state.get(RESUMED) == job.job_id and job.status in {JobStatus.PENDING, JobStatus.RUNNING}:
        del st.session_state[RESUMED]
    return bool(st.session_state.get(RESUMED) == job.job_id)


def show_actions(visit: Visit, job: FinetuningJob, words: Words) -> None:
    """The buttons that suit the job's state; none for one that has its result, or was never handed to the runner."""
    if is_resuming(job):
        st.info(words("jobs.resuming"), icon=":material/hourglass_top:")
        return
    if job.status is JobStatus.COMPLETED:
        return
    if not reading.was_handed_over(visit, job.job_id):
        _show_waiting(visit, job, words)
        return
    try:
        is_live = job.status in {JobStatus.PENDING, JobStatus.RUNNING}
        if not visit.may(ResourceKind.JOB, "stop" if is_live else "resume", job.job_id):
            return
        if is_live:
            _stop(visit, job, words)
        else:
            _resume(visit, job, words)
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("error.title"), words)


def _show_waiting(visit: Visit, job: FinetuningJob, words: Words) -> None:
    """Of a job that no runner has yet: that Airflow has it, or that Airflow was away and it can be started again."""
    if job.status is not JobStatus.PENDING or not reading.is_queued(visit, job.job_id):
        return
    st.caption(words("jobs.waits_for_airflow" if job.dag_run_id is not None else "jobs.not_started"))
    try:
        with st.container(horizontal=True):
            if job.dag_run_id is None and visit.may(ResourceKind.JOB, "resume", job.job_id):
                _start_again(visit, job, words)
            if visit.may(ResourceKind.JOB, "stop", job.job_id):
                _stop(visit, job, words)
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("error.title"), words)


def _start_again(visit: Visit, job: FinetuningJob, words: Words) -> None:
    if not st.button(words("jobs.start_again"), key=f"start-{job.job_id}", icon=":material/play_arrow:"):
        return
    again = writing.start_again(visit, job.job_id)
    if again.is_started:
        st.success(words("jobs.started_again"))
    else:
        st.warning(again.waiting_for or "", icon=":material/cloud_off:")


def _stop(visit: Visit, job: FinetuningJob, words: Words) -> None:
    if not st.button(words("jobs.stop"), key=f"stop-{job.job_id}", icon=":material/stop_circle:"):
        return
    with st.spinner(words("jobs.stopping")):
        step = writing.stop(visit, job.job_id)
    st.success(words("jobs.stopped_without") if step is None else words("jobs.stopped", step=step))


def _resume(visit: Visit, job: FinetuningJob, words: Words) -> None:
    saved = reading.checkpoints(visit, job.job_id)[::-1]
    chosen = None
    if saved:
        names = [checkpoint.name for checkpoint in saved]
        by_name = dict(zip(names, saved, strict=True))
        chosen = st.selectbox(
            words("jobs.resume_from"),
            names,
            format_func=lambda name: _described(by_name[name], words),
            key=f"checkpoint-{job.job_id}",
        )
        if chosen != names[0]:
            st.caption(words("jobs.later_set_aside", n=names.index(chosen)))
    else:
        st.caption(words("jobs.resume_anew"))
    if st.button(words("jobs.resume"), key=f"resume-{job.job_id}", icon=":material/play_circle:"):
        is_last = not saved or chosen == saved[0].name
        writing.resume(visit, job.job_id, None if is_last else chosen)
        st.session_state[RESUMED] = job.job_id
        st.rerun()


def _described(saved: CheckpointRecord, words: Words) -> str:
    parts_of_it = [saved.name]
    parts_of_it += [
        f"{words(f'jobs.{name}')} {loss(saved.metrics[name])}"
        for name in ("loss", "eval_loss")
        if name in saved.metrics
    ]
    return " · ".join(parts_of_it)
