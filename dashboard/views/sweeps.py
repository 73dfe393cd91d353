"""The sweeps and their trials, below the jobs that train them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import reading
from dashboard.formats import NOTHING, moment, small

if TYPE_CHECKING:
    from contracts.sweeps import SweepReport, SweepTrial
    from dashboard.texts import Words
    from dashboard.visits import Visit


def show_sweeps(visit: Visit, words: Words) -> None:
    """One line a sweep, and the trials of the chosen one; nothing where there is no sweep."""
    sweeps = reading.list_sweeps(visit)
    if not sweeps:
        return
    st.header(words("sweeps.title"))
    st.dataframe([_sweep(sweep, words) for sweep in sweeps], hide_index=True, width="stretch")
    by_name = {sweep.sweep_name: sweep for sweep in sweeps}
    chosen = st.selectbox(words("sweeps.choose"), list(by_name), key="sweep")
    st.dataframe(
        [_trial(trial, by_name[chosen], words) for trial in by_name[chosen].trials], hide_index=True, width="stretch"
    )


def _sweep(sweep: SweepReport, words: Words) -> dict[str, str]:
    return {
        words("sweeps.name"): sweep.sweep_name,
        words("sweeps.trials"): f"{len(sweep.trials)} / {sweep.request.trials}",
        words("sweeps.best"): ", ".join(map(str, sweep.best)) or NOTHING,
        words("sweeps.result"): _results(sweep.trials[sweep.best[0]]) if sweep.best else NOTHING,
        words("sweeps.recipe"): sweep.recipe_name or NOTHING,
        words("jobs.started"): moment(sweep.started_at, words.language),
    }


def _trial(trial: SweepTrial, sweep: SweepReport, words: Words) -> dict[str, str]:
    return {
        words("sweeps.trial"): f"{trial.number}{' ★' if trial.number in sweep.best else ''}",
        words("jobs.state"): words.of(trial.state),
        words("sweeps.values"): ", ".join(f"{name} {small(value)}" for name, value in trial.values.items()),
        words("sweeps.result"): _results(trial) or trial.reason or NOTHING,
        words("jobs.job"): NOTHING if trial.job_id is None else f"train-{trial.job_id}",
    }


def _results(trial: SweepTrial) -> str:
    return ", ".join(f"{metric.value} {value:.4g}" for metric, value in trial.results.items())
