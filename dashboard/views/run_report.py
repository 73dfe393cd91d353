"""A pipeline run as a PDF: from its files to its endpoint, in the order of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.record import utc_now
from dashboard import reading
from dashboard.formats import NOTHING, duration, interval, loss, model_label, moment, number, percent
from dashboard.pdf_report import PdfReport, Range, Series
from dashboard.theme import ORANGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.evaluation import Accuracy
    from dashboard.reading import RunStory
    from dashboard.texts import Words

CASES_TOLD = 20
"""Of those that were lost: the page has all."""


def show_report(story: RunStory, words: Words) -> None:
    """The button that saves it; it is written when somebody clicks."""
    st.download_button(
        words("pdf_report.save"),
        lambda: run_report(story, words),
        file_name=f"run-{story.run.run_id}.pdf",
        mime="application/pdf",
        key="run-report",
        icon=":material/picture_as_pdf:",
        on_click="ignore",
    )


def run_report(story: RunStory, words: Words) -> bytes:
    """The file."""
    run = story.run
    report = PdfReport(words("run_report.title"), words, utc_now(), subtitle=run.run_id)
    report.figures(
        [
            (words("runs.state"), words.of(reading.run_state(run))),
            (words("runs.started"), moment(run.started_at, words.language)),
            (
                words("runs.took"),
                NOTHING if run.finished_at is None else duration(run.finished_at - run.started_at, words),
            ),
        ]
    )
    _data(report, story, words)
    _training(report, story, words)
    _accuracy(report, story, words)
    _gate(report, story, words)
    _outcome(report, story, words)
    _lost_cases(report, story, words)
    return report.render()


def _data(report: PdfReport, story: RunStory, words: Words) -> None:
    report.heading(words("runs.data"))
    dataset = story.summary.dataset
    if dataset is None:
        report.text(words("runs.data_missing"), quiet=True)
        return
    sizes = (
        (words("split.train"), dataset.train_samples),
        (words("split.validation"), dataset.val_samples),
        (words("split.test"), dataset.test_samples),
    )
    splits = " · ".join(f"{name} {number(size)}" for name, size in sizes)
    report.figures(
        [
            (words("runs.dataset"), f"{dataset.name} {dataset.version}"),
            (words("runs.kept_rows"), number(dataset.total_samples), splits),
            (words("runs.quality_score"), number(dataset.quality_score, 3)),
        ]
    )
    removed = [(words.named("removal_reason", reason), count) for reason, count in dataset.removed.items() if count]
    masked = [
        (words.named("personal_data_kind", kind.strip("[]")), count) for kind, count in dataset.masked.items() if count
    ]
    if removed:
        report.bars(words("runs.removed_chart"), _longest_first(removed), words("chart.rows"), colour=ORANGE)
    if masked:
        report.bars(words("runs.masked_chart"), _longest_first(masked), words("chart.items"))


def _longest_first(items: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(items, key=lambda item: -item[1])


def _training(report: PdfReport, story: RunStory, words: Words) -> None:
    report.heading(words("runs.training"))
    told = story.summary.training
    if told is None:
        report.text(words("runs.training_missing"), quiet=True)
    else:
        report.figures(
            [
                (words("jobs.job"), told.job_name),
                (words("jobs.method"), words.named("method", told.method), told.recipe),
                (words("jobs.steps"), number(told.steps), f"{words('jobs.epochs')} {told.epochs:g}"),
                (words("jobs.loss"), loss(told.train_loss)),
                (words("jobs.eval_loss"), loss(told.eval_loss)),
                (words("jobs.took"), duration(told.duration_seconds, words)),
            ]
        )
    if story.curve is not None:
        lines = [
            Series(words(f"chart.{name}"), points)
            for name, points in (("train_loss", story.curve.train), ("eval_loss", story.curve.evaluation))
            if points
        ]
        report.line_chart(words("jobs.curve"), lines, words("chart.step"), words("chart.loss"))


def _accuracy(report: PdfReport, story: RunStory, words: Words) -> None:
    report.heading(words("runs.accuracy"))
    evaluation, verdict = story.summary.evaluation, story.summary.gate
    if evaluation is None:
        report.text(words("runs.accuracy_missing"), quiet=True)
        return
    main = evaluation.main

    def figure(label: str, accuracy: Accuracy) -> tuple[str, str, str]:
        counted = f"{number(accuracy.correct)} / {number(accuracy.n)}"
        return words(label), percent(accuracy.accuracy), f"{interval(accuracy.interval)} · {counted}"

    report.figures(
        [
            figure("runs.base_accuracy", main.base),
            figure("runs.tuned_accuracy", main.tuned),
            (words("runs.mcnemar"), "< 0.001" if main.mcnemar_p < 0.001 else f"{main.mcnemar_p:.3f}"),
            (words("runs.won"), number(main.won)),
            (words("runs.lost"), number(main.lost)),
        ]
    )
    ranges = [
        Range(
            f"{suite.name} · {words(f'chart.{which}')}",
            accuracy.accuracy * 100,
            accuracy.interval.lower * 100,
            accuracy.interval.upper * 100,
        )
        for suite in (main, *evaluation.extras)
        for which, accuracy in (("base", suite.base), ("tuned", suite.tuned))
    ]
    bar = None if verdict is None else verdict.accuracy_bar * 100
    report.ranges(words("run_report.accuracies"), ranges, words("run_report.percent"), mark=bar)
    report.table(
        [words("run_report.category"), words("chart.base"), words("chart.tuned")],
        [
            [category, percent(main.base.by_category.get(category)), percent(share)]
            for category, share in main.tuned.by_category.items()
        ],
        numeric=(1, 2),
    )


def _gate(report: PdfReport, story: RunStory, words: Words) -> None:
    report.heading(words("runs.gate"))
    verdict = story.summary.gate
    if verdict is None:
        report.text(words("runs.gate_missing"), quiet=True)
        return
    report.figures(
        [
            (words("runs.verdict"), words.of(verdict.decision)),
            (words("runs.bar"), percent(verdict.accuracy_bar)),
            (words("runs.lower_bound"), percent(verdict.lower_bound_one_sided, 2)),
        ]
    )
    report.points(verdict.reasons)


def _outcome(report: PdfReport, story: RunStory, words: Words) -> None:
    report.heading(words("runs.outcome"))
    model, deployment = story.summary.model, story.summary.deployment
    if model is None:
        report.text(words("runs.outcome_missing"), quiet=True)
        return
    report.figures(
        [
            (words("runs.registered"), model_label(model)),
            (words("models.format"), words.of(model.model_format)),
            (words("models.content_hash"), model.content_hash[:12]),
        ]
    )
    if deployment is not None:
        report.table(
            [words("ab_tests.arm"), words("runs.registered"), words("runs.arm_endpoint")],
            [
                [words(f"ab_tests.arm_{arm.arm.value}"), model_label(arm), f"{arm.served_model_name} · {arm.base_url}"]
                for arm in deployment.arms
            ],
        )


def _lost_cases(report: PdfReport, story: RunStory, words: Words) -> None:
    lost = story.cases[reading.CaseOutcome.LOST]
    if not lost:
        return
    report.heading(words("run_report.lost"))
    report.table(
        [words("run_report.question"), words("runs.accepted"), words("runs.tuned_answer")],
        [[case.question, ", ".join(case.accepted_answers), case.tuned_answer.strip()] for case in lost[:CASES_TOLD]],
    )
    if len(lost) > CASES_TOLD:
        report.text(words("pdf_report.cut", shown=CASES_TOLD, total=len(lost)), quiet=True)
