"""Hyperparameters of several jobs with the differences marked, and what came of each."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import parts
from dashboard.formats import NOTHING, duration, loss, number, small

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.reading import ComparedJob
    from dashboard.texts import Words

WIDE = 4
"""So many jobs fit beside each other with the figures to their right."""
TOLD_ELSEWHERE = {"description", "objective"}


def show_tables(jobs: Sequence[ComparedJob], words: Words) -> None:
    """Both tables have a column a job, in the same order."""
    left, right = st.columns([3, 2], gap="large") if len(jobs) <= WIDE else (st.container(), st.container())
    with left:
        _hyperparameters(jobs, words)
    with right:
        _figures(jobs, words)


def _hyperparameters(jobs: Sequence[ComparedJob], words: Words) -> None:
    st.subheader(words("jobs.hyperparameters"), anchor=False)
    lines = [(name, values, any(value != values[0] for value in values)) for name, values in _told(jobs, words)]
    differing = sum(differs for _, _, differs in lines)
    if len(jobs) > 1:
        only = st.toggle(words("experiments.only_differing", n=differing), value=True, key="only-differing")
        if only:
            lines = [line for line in lines if line[2]]
            if not lines:
                st.caption(words("experiments.none_differs"))
                return
    mark = f' <span title="{escape(words("experiments.differs"))}">≠</span>'
    body = [
        f'<tr{" class=differs" if differs else ""}><th scope="row"><code>{escape(name)}</code>{mark if differs else ""}</th>'
        + "".join(f'<td class="n">{escape(value)}</td>' for value in values)
        + "</tr>"
        for name, values, differs in lines
    ]
    parts.html(_table(jobs, body, words("jobs.name")))
    if differing:
        st.caption(words("experiments.differs_caption"))


def _told(jobs: Sequence[ComparedJob], words: Words) -> list[tuple[str, list[str]]]:
    """What each job was told, a line a name; what a job was not told is a dash."""
    names = dict.fromkeys(name for item in jobs for name in item.job.hyperparameters if name not in TOLD_ELSEWHERE)
    return [
        (words("jobs.dataset"), [f"{item.dataset.name} {item.dataset.version}" for item in jobs]),
        (words("jobs.base_model"), [item.job.base_model for item in jobs]),
        (words("jobs.method"), [words.named("method", item.job.method) for item in jobs]),
        (words("experiments.objective"), [words.named("training_objective", item.objective) for item in jobs]),
        *((name, [small(item.job.hyperparameters.get(name)) for item in jobs]) for name in names),
    ]


def _figures(jobs: Sequence[ComparedJob], words: Words) -> None:
    st.subheader(words("experiments.figures"), anchor=False)
    told = [_figures_of(item, words) for item in jobs]
    body = [
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f'<td class="n">{escape(figures[name])}</td>' for figures in told)
        + "</tr>"
        for name in told[0]
    ]
    parts.html(_table(jobs, body, words("experiments.figure")))
    if any(item.job.report is None for item in jobs):
        st.caption(words("experiments.figures_so_far"))


def _figures_of(item: ComparedJob, words: Words) -> dict[str, str]:
    """From the report; of a job without one, as far as it has come."""
    job, report, progress = item.job, item.job.report, item.job.progress
    step = report.steps if report is not None else None if progress is None else progress.step
    took = None if job.start_time is None or job.end_time is None else job.end_time - job.start_time
    last, eval_loss, speed, memory, epochs = (
        (report.train_loss, report.eval_loss, report.tokens_per_second, report.peak_memory_mb, report.epochs)
        if report is not None
        else (None,) * 5
        if progress is None
        else (progress.loss, progress.eval_loss, progress.tokens_per_second, progress.memory_mb, progress.epoch)
    )
    return {
        words("jobs.state"): words.of(job.status),
        words("jobs.loss"): loss(last),
        words("jobs.eval_loss"): loss(eval_loss),
        words("jobs.perplexity"): loss(None if report is None else report.perplexity),
        words("jobs.steps"): number(step),
        words("jobs.epochs"): NOTHING if epochs is None else f"{epochs:.3g}",
        words("jobs.speed"): number(speed),
        words("jobs.memory"): NOTHING if memory is None else f"{number(memory)} MB",
        words("jobs.took"): duration(took, words),
    }


def _table(jobs: Sequence[ComparedJob], body: Sequence[str], first: str) -> str:
    head = "".join(f'<th class="n" scope="col">#{item.job.job_id}</th>' for item in jobs)
    return (
        f'<div class="tw-scroll"><table class="tw-rows"><thead><tr><th scope="col">{escape(first)}</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
