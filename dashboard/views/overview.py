"""The first page: what runs, what waits, what serves."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.arms import arm_label
from contracts.record import utc_now
from dashboard import charts, parts, reading
from dashboard.formats import gigabytes, milliseconds, model_label, moment, number, percent
from dashboard.links import link
from dashboard.views.ab_tests import verdict_sentence
from stages.alarms import what_to_do
from stages.nodes import FRESH

if TYPE_CHECKING:
    from contracts.gpus import CardReading
    from dashboard.reading import (
        Disk,
        ExperimentState,
        ModelInService,
        Overview,
        RunningWork,
        ServiceHealth,
        Slot,
        Slots,
    )
    from dashboard.texts import Words
    from dashboard.visits import Visit

BUSY_SECONDS = 2
IDLE_SECONDS = 20


def show(visit: Visit, words: Words) -> None:
    """Draw the page, again by itself: often while something runs, seldom otherwise."""
    busy_before = bool(st.session_state.get("overview_is_busy", True))
    seconds = BUSY_SECONDS if busy_before else IDLE_SECONDS

    def draw() -> None:
        state = reading.read_overview(visit)
        st.session_state["overview_is_busy"] = state.is_busy
        if state.is_busy != busy_before:
            # the new pace begins with a new run of the page
            st.rerun()
        _draw(state, visit, words)
        now = moment(utc_now(), words.language, seconds=True)
        st.caption(words("app.refreshed", time=parts.plain(now), seconds=seconds))

    st.fragment(lambda: parts.guarded(draw, words), run_every=seconds)()


def _draw(state: Overview, visit: Visit, words: Words) -> None:
    silent = [service for service in state.health if not service.answers]
    if silent:
        names = ", ".join(words(f"overview.service_{service.name.value}") for service in silent)
        st.warning(words("overview.silent_text", names=names), icon=":material/link_off:")
    _alarms(visit, words)
    _newest_run(state, words)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _work(state.work, words)
        _models(state.models, words)
        _experiments(state.experiments, words)
    with right:
        _slots(state.slots, words)
        _disk(state.disk, words)
        _services(state.health, visit, words)


def _alarms(visit: Visit, words: Words) -> None:
    """Each with the page that says what to do."""
    for alarm in reading.alarms_of(visit, words.language.value):
        icon = ":material/error:" if alarm.is_critical else ":material/notifications:"
        with st.expander(alarm.summary, icon=icon):
            st.markdown(what_to_do(alarm.runbook, visit.settings.repository_root, words.language.value))


def _newest_run(state: Overview, words: Words) -> None:
    st.header(words("overview.newest_run"))
    if state.run is None:
        parts.empty(words("overview.no_runs"), words("overview.no_runs_text"))
        return
    parts.run_line(state.run, words)
    parts.pipeline_picture(state.run, words)
    failed = next((stage for stage in state.run.stages if stage.error is not None), None)
    if failed is not None and failed.error is not None:
        parts.error_parts(failed.error, words("runs.failed_at", stage=words.of(failed.stage)), words)
    link("runs", words("overview.open_run"), words, run=state.run.run_id)


def _work(work: list[RunningWork], words: Words) -> None:
    st.header(words("overview.running"))
    if not work:
        parts.html(f'<p class="quiet">{escape(words("overview.nothing_runs"))}</p>')
    for item in work:
        with st.container(border=True):
            _one_work(item, words)


def _one_work(item: RunningWork, words: Words) -> None:
    tone = "waiting" if item.is_waiting else "running"
    state = words("job_state.queued") if item.is_waiting else words.of(item.kind)
    started = "" if item.started_at is None else moment(item.started_at, words.language)
    parts.html(
        f'{parts.badge(state, tone)} &nbsp;<b>{escape(item.key)}</b> <span class="quiet">&nbsp;{escape(started)}</span>'
    )
    if item.progress is not None and not item.is_waiting:
        parts.progress_bar(item.progress, words)
        parts.html(parts.progress_figures(item.progress, words))
    if item.curve is not None and len(item.curve.train) > 1:
        alt = words("chart.sparkline", name=item.key)
        parts.chart(charts.sparkline(item.curve.train), f"sparkline-{item.key}", alt)
    elif item.job is not None and not item.is_waiting:
        st.caption(words("progress.no_curve"))
    if item.job is not None:
        link("jobs", words("runs.open_job"), words, job=item.job.job_id)


def _slots(hosts: list[Slots], words: Words) -> None:
    st.header(words("overview.slots"))
    for slots in hosts:
        kind = "gpu" if slots.are_gpus else "cpu"
        said = escape(words(f"overview.slots_{kind}", total=len(slots.slots), used=slots.used))
        if len(hosts) > 1 and slots.host is not None:
            said = f"<b>{escape(slots.host)}</b> &nbsp;{said}"
        boxes = "".join(_slot(slot, kind, words) for slot in slots.slots)
        parts.html(f'<p>{said}</p><div class="tw-slots">{boxes}</div>')
        if not slots.runner_answers and slots is hosts[0]:
            st.caption(words("overview.slots_unknown", total=len(slots.slots)))
        elif not slots.runner_answers:
            st.caption(words("overview.slots_silent", seconds=round(FRESH.total_seconds())))


def _slot(slot: Slot, kind: str, words: Words) -> str:
    name = escape(words(f"overview.slot_{kind}", index=slot.index))
    if slot.owner is None:
        tone, held = "waiting", f"<small>{escape(words('overview.slot_free'))}</small>"
    else:
        since = words("overview.slot_since", since=moment(slot.since, words.language))
        tone = "running"
        held = f"{escape(slot.owner or words('overview.slot_taken'))}<br><small>{escape(since)}</small>"
    return f'<div class="tw-slot tw-{tone}"><b>{name}</b><br>{held}{_card(slot.card, words)}</div>'


def _card(card: CardReading | None, words: Words) -> str:
    """Memory, use, temperature and power: what the driver tells of them."""
    if card is None:
        return ""
    told = [f"{gigabytes(card.memory_used_bytes)} / {gigabytes(card.memory_bytes)}"]
    if card.busy_ratio is not None:
        told.append(words("overview.card_busy", share=percent(card.busy_ratio, 0)))
    if card.temperature_celsius is not None:
        told.append(f"{card.temperature_celsius:.0f} °C")
    if card.power_watts is not None:
        told.append(f"{card.power_watts:.0f} W")
    return f"<br><small>{escape(' · '.join(told))}</small>"


def _disk(disk: Disk, words: Words) -> None:
    st.header(words("overview.disk"))
    used = 1 - disk.free / disk.total
    tone = "failed" if disk.is_short else "running"
    text = words("overview.disk_text", total=gigabytes(disk.total), free=gigabytes(disk.free))
    reserve = gigabytes(disk.reserve)
    parts.html(
        f'<span>{escape(text)}</span><div class="tw-meter tw-{tone}"><i style="width:{used * 100:.1f}%"></i></div>'
        f"<small>{escape(words('overview.disk_reserve', reserve=reserve))}</small>"
    )
    if disk.is_short:
        st.error(words("overview.disk_short", reserve=reserve), icon=":material/hard_drive:")


def _models(models: list[ModelInService], words: Words) -> None:
    st.header(words("overview.models"))
    if not models:
        parts.html(f'<p class="quiet">{escape(words("overview.no_models"))}</p>')
        return
    lines = [
        [
            f"<b>{escape(model_label(item.model))}</b>",
            parts.state_badge(item.model.status, words),
            "–"
            if item.endpoint is None
            else f"{escape(words.of(item.endpoint.backend))}<br><small>{escape(item.endpoint.base_url)}</small>",
            "–" if item.endpoint is None else escape(words.of(item.endpoint.arm)),
        ]
        for item in models
    ]
    header = [words("models.name"), words("models.stage"), words("models.endpoint"), words("ab_tests.arm")]
    parts.html(parts.rows(header, lines))


def _experiments(states: list[ExperimentState], words: Words) -> None:
    st.header(words("overview.ab_test"))
    if not states:
        parts.html(f'<p class="quiet">{escape(words("overview.no_ab_test"))}</p>')
    for state in states:
        _experiment(state, words)


def _experiment(state: ExperimentState, words: Words) -> None:
    st.markdown(f"**{parts.plain(state.experiment.experiment_name)}**")
    parts.html(experiment_rows(state, words))
    st.progress(
        min(1.0, state.raters / state.planned_users),
        text=parts.plain(f"{number(state.raters)} / {number(state.planned_users)} "
                         f"({percent(state.raters / state.planned_users, 0)})"),
    )  # fmt: skip
    st.caption(verdict_sentence(state, words))
    link("ab-tests", words("runs.open_experiment"), words, experiment=state.experiment.experiment_id)


def experiment_rows(state: ExperimentState, words: Words) -> str:
    """Each arm's counts and means."""
    lines = []
    for name, counts in state.counts.items():
        lines.append(
            [
                f"<b>{escape(arm_label(name))}</b> {escape(model_label(state.models[name]))}",
                number(counts.samples),
                number(counts.ratings),
                number(counts.mean_rating, 2),
                milliseconds(counts.mean_response_time_ms),
            ]
        )
    header = [words(f"ab_tests.{name}") for name in ("model", "answers", "ratings", "mean_rating", "mean_time")]
    return parts.rows(header, lines, numeric=(1, 2, 3, 4))


def _services(health: list[ServiceHealth], visit: Visit, words: Words) -> None:
    st.header(words("overview.services"))
    lines = []
    for service in health:
        name = escape(words(f"overview.service_{service.name.value}"))
        state = parts.badge(
            words("overview.answers" if service.answers else "overview.silent"),
            "succeeded" if service.answers else "failed",
        )
        label = name if service.page is None else f'<a href="{escape(service.page)}" target="_blank">{name}</a>'
        lines.append([f'<span class="whole">{label}</span>', state])
    label, address = escape(words("ab_tests.endpoint")), escape(reading.chat_endpoint(visit))
    parts.html(f"{parts.rows(['', ''], lines)}<p><small>{label}</small><br><code>{address}</code></p>")
