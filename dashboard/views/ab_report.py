"""An A/B test as a PDF: the verdict with its interval, what was counted, what was planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.arms import arm_label
from contracts.record import utc_now
from dashboard.formats import milliseconds, model_label, moment, number, percent
from dashboard.pdf_report import PdfReport, Range
from dashboard.views.ab_arms import arm_line, arm_title
from dashboard.views.ab_sentences import difference_sentence, fixed_horizon_sentence, response_time_sentence

if TYPE_CHECKING:
    from dashboard.reading import ExperimentState
    from dashboard.texts import Words


def show_report(state: ExperimentState, verdict: str, words: Words) -> None:
    """The button that saves it; it is written when somebody clicks."""
    st.download_button(
        words("pdf_report.save"),
        lambda: ab_report(state, verdict, words),
        file_name=f"ab-{state.experiment.experiment_name}.pdf",
        mime="application/pdf",
        key=f"ab-report-{state.experiment.experiment_id}",
        icon=":material/picture_as_pdf:",
        on_click="ignore",
    )


def ab_report(state: ExperimentState, verdict: str, words: Words) -> bytes:
    """The file; the verdict is the page's sentence."""
    experiment = state.experiment
    report = PdfReport(words("ab_report.title"), words, utc_now(), subtitle=experiment.experiment_name)
    report.figures(
        [
            (words("ab_tests.state"), words.of(experiment.status)),
            (words("ab_tests.started"), moment(experiment.start_date, words.language)),
            (words("ab_tests.split"), " : ".join(percent(arm.share, 0) for arm in experiment.arms)),
            (words("ab_tests.layer_share"), percent(experiment.layer_share, 0)),
            (words("ab_tests.target"), number(state.planned_users)),
            (words("ab_tests.ratings"), number(state.ratings)),
        ]
    )
    report.heading(words("ab_report.verdict"))
    report.text(verdict)
    _verdict(report, state, words)
    report.heading(words("ab_report.counted"))
    columns = ("arm", "model", "users", "answers", "ratings", "mean_rating", "mean_time")
    lines = []
    for name, counts in state.counts.items():
        lines.append(
            [
                arm_title(experiment, name, words),
                model_label(state.models[name]),
                number(counts.users),
                number(counts.samples),
                number(counts.ratings),
                number(counts.mean_rating, 2),
                milliseconds(counts.mean_response_time_ms),
            ]
        )
    report.table([words(f"ab_tests.{name}") for name in columns], lines, numeric=(2, 3, 4, 5, 6))
    report.text(words("ab_tests.rating_note"), quiet=True)
    ranges = [
        Range(arm_title(experiment, summary.arm, words), summary.mean_rating, bounds.lower, bounds.upper)
        for summary in state.results.arms
        if summary.mean_rating is not None and (bounds := summary.rating_interval) is not None
    ]
    if ranges:
        report.ranges(words("ab_report.means"), ranges, words("ab_tests.mean_rating"))
        report.text(words("ab_report.means_note"), quiet=True)
    _plan(report, state, words)
    return report.render()


def _verdict(report: PdfReport, state: ExperimentState, words: Words) -> None:
    results, look = state.results, state.results.look
    if not state.experiment.is_pair:
        _challengers(report, state, words)
    elif (told := difference_sentence(look, words)) and look.bounds is not None and look.difference is not None:
        report.text(told.replace("**", ""))
        report.ranges(
            words("ab_report.difference"),
            [Range("B − A", look.difference, look.bounds.lower, look.bounds.upper)],
            words("ab_report.difference_axis"),
            mark=0.0,
        )
    if state.experiment.is_pair:
        if time := response_time_sentence(results, words):
            report.text(time.replace("**", ""))
        if classical := fixed_horizon_sentence(results, state.planned_users, words):
            report.text(classical.replace("**", ""), quiet=True)
    decision = results.decision
    if decision is not None and decision.answer is not None:
        answer = decision.answer
        report.text(words("ab_tests.answered", actor=answer.actor, reason=answer.reason))


def _challengers(report: PdfReport, state: ExperimentState, words: Words) -> None:
    control = arm_label(state.experiment.control.name)
    header = [words(f"ab_arms.{name}") for name in ("arm", "verdict", "difference", "needed")]
    report.table(header, [arm_line(each, words) for each in state.results.challengers], numeric=(2, 3))
    ranges = [
        Range(f"{arm_label(each.arm)} − {control}", each.look.difference, bounds.lower, bounds.upper)
        for each in state.results.challengers
        if each.look.difference is not None and (bounds := each.look.bounds) is not None
    ]
    if ranges:
        report.ranges(words("ab_report.difference"), ranges, words("ab_report.difference_axis"), mark=0.0)
        report.text(words("ab_arms.interval_note", control=control), quiet=True)


def _plan(report: PdfReport, state: ExperimentState, words: Words) -> None:
    plan = state.experiment.plan
    if plan is None:
        return
    report.heading(words("ab_report.plan"))
    report.figures(
        [
            (words("ab_design.effect"), number(plan.effect, 2)),
            (words("ab_design.policy"), words.of(plan.policy)),
            (
                words("ab_report.samples"),
                number(plan.samples),
                words("ab_report.samples_needed", n=number(plan.samples_needed)),
            ),
            (words("ab_design.power"), percent(plan.power)),
            (words("ab_report.detectable"), number(plan.detectable_effect, 2)),
            (
                words("ab_design.guardrails"),
                ", ".join(words(f"ab_tests.guardrail_{name.value}") for name in plan.guardrails) or "–",
            ),
        ]
    )
