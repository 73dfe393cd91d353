"""A sweep's trials beside each other, and the way from the best of them to their curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import TrialState
from dashboard import parts, reading
from dashboard.formats import NOTHING, number, small
from dashboard.links import choose, chosen_key
from dashboard.sweep_charts import sweep_chart

if TYPE_CHECKING:
    from contracts.sweeps import SweepReport, SweepTrial
    from dashboard.texts import Words
    from dashboard.visits import Visit

TO_COMPARE = 5


def show_sweep_comparison(visit: Visit, words: Words) -> None:
    """Parallel coordinates of the chosen sweep; a sentence where there is no sweep."""
    st.header(words("sweeps.title"))
    by_name = {sweep.sweep_name: sweep for sweep in reading.list_sweeps(visit)}
    if not by_name:
        st.caption(words("experiments.no_sweeps"))
        return

    def describe(name: str) -> str:
        sweep = by_name.get(name)
        return name if sweep is None else f"{name} · {len(sweep.trials)} / {sweep.request.trials}"

    chosen = choose("sweep", words("experiments.choose_sweep"), list(by_name), describe)
    sweep = by_name.get(chosen)
    if sweep is None:
        st.warning(words("experiments.no_such_sweep"), icon=":material/search_off:")
        return
    if not sweep.trials:
        parts.missing(words("experiments.no_trials"))
        return
    alt = words("experiments.sweep_alt", name=chosen, n=number(len(sweep.trials)))
    parts.chart(sweep_chart(sweep, words), f"sweep-{chosen}", alt, picture=f"sweep-{chosen}")
    st.caption(words("experiments.sweep_caption", metric=words.of(sweep.request.objectives[0])))
    if not sweep.best:
        parts.missing(words("experiments.no_result"))
    _ways(sweep, visit, words)
    if ranked := _ranked(sweep):
        st.dataframe([_line(trial, sweep, words) for trial in ranked], hide_index=True, width="stretch")


def _ways(sweep: SweepReport, visit: Visit, words: Words) -> None:
    jobs = [trial.job_id for trial in _ranked(sweep) if trial.job_id is not None]
    with st.container(horizontal=True):
        if jobs:
            st.button(
                words("experiments.compare_best", n=len(jobs)),
                key="compare-best",
                icon=":material/stacked_line_chart:",
                on_click=_choose_jobs,
                args=(jobs,),
            )
        if sweep.mlflow_run_id is not None:
            st.link_button(
                words("runs.in_mlflow"),
                reading.mlflow_run_page(visit, sweep.mlflow_run_id),
                icon=":material/open_in_new:",
            )


def _choose_jobs(job_ids: list[int]) -> None:
    st.session_state[chosen_key("jobs")] = job_ids


def _ranked(sweep: SweepReport) -> list[SweepTrial]:
    """The best trials first: those that the sweep names, then by the first objective."""
    metric = sweep.request.objectives[0]
    ended = [trial for trial in sweep.trials if trial.state is TrialState.COMPLETED and metric in trial.results]
    sign = -1 if metric.is_to_grow else 1
    ended.sort(key=lambda trial: (trial.number not in sweep.best, sign * trial.results[metric]))
    return ended[:TO_COMPARE]


def _line(trial: SweepTrial, sweep: SweepReport, words: Words) -> dict[str, str]:
    return {
        words("sweeps.trial"): f"{trial.number}{' ★' if trial.number in sweep.best else ''}",
        **{name: small(value) for name, value in trial.values.items()},
        **{words.of(metric): f"{value:.4g}" for metric, value in trial.results.items()},
        words("jobs.job"): NOTHING if trial.job_id is None else f"#{trial.job_id}",
    }
