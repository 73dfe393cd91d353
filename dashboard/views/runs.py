"""Pipeline runs: the list, and one run's whole story."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import GateDecision
from contracts.words import p_text
from dashboard import charts, parts, reading
from dashboard.formats import NOTHING, duration, interval, loss, model_label, moment, number, percent
from dashboard.links import choose, link
from dashboard.reading import CaseOutcome, RunState
from dashboard.theme import ORANGE
from dashboard.views.run_report import show_report

if TYPE_CHECKING:
    from contracts.datasets import DatasetVersion
    from contracts.evaluation import Accuracy, CaseResult, EvaluationReport, GateVerdict, SuiteReport
    from contracts.pipeline import PipelineRun
    from dashboard.reading import ListedRun, RunStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

BUSY_SECONDS = 3
CASES_A_PAGE = 8


def show(visit: Visit, words: Words) -> None:
    """Draw the page."""
    listed = reading.list_runs(visit)
    if not listed:
        parts.empty(words("runs.empty"), words("runs.empty_text"))
        return
    with st.expander(words("runs.list"), expanded=len(listed) > 1):
        st.dataframe([_line(item, words) for item in listed], hide_index=True, width="stretch")
    by_id = {item.run.run_id: item.run for item in listed}
    run_id = choose("run", words("runs.choose"), list(by_id), lambda run_id: _name(by_id.get(run_id), run_id, words))
    _live_story(visit, run_id, words)


def _live_story(visit: Visit, run_id: str, words: Words) -> None:
    """The story of a run; while it runs it draws itself again."""
    started_as = reading.run_state(reading.run_story(visit, run_id).run)

    def draw() -> None:
        story = reading.run_story(visit, run_id)
        if reading.run_state(story.run) is not started_as:
            # the new pace begins with a new run of the page
            st.rerun()
        _story(story, visit, words)

    every = BUSY_SECONDS if started_as is RunState.RUNNING else None
    st.fragment(lambda: parts.guarded(draw, words), run_every=every)()


def _name(run: PipelineRun | None, run_id: str, words: Words) -> str:
    if run is None:
        return run_id
    return f"{moment(run.started_at, words.language)} · {words.of(reading.run_state(run))} · {run_id}"


def _line(item: ListedRun, words: Words) -> dict[str, str]:
    run, summary = item.run, item.summary
    evaluation, dataset, model = summary.evaluation, item.dataset, summary.model
    return {
        words("runs.started"): moment(run.started_at, words.language),
        words("runs.state"): words.of(reading.run_state(run)),
        words("runs.took"): NOTHING if run.finished_at is None else duration(run.finished_at - run.started_at, words),
        words("runs.dataset"): NOTHING if dataset is None else f"{dataset.name} {dataset.version}",
        words("runs.base_accuracy"): NOTHING if evaluation is None else percent(evaluation.main.base.accuracy),
        words("runs.tuned_accuracy"): NOTHING if evaluation is None else percent(evaluation.main.tuned.accuracy),
        words("runs.verdict"): NOTHING if summary.gate is None else words.of(summary.gate.decision),
        words("runs.model"): NOTHING if model is None else model_label(model),
        words("runs.dag"): run.dag_id,
        words("runs.run_id"): run.run_id,
    }


def _story(story: RunStory, visit: Visit, words: Words) -> None:
    parts.run_line(story.run, words)
    parts.pipeline_picture(story.run, words)
    failed = story.summary.failed_stage
    if failed is not None and story.summary.error is not None:
        parts.error_parts(story.summary.error, words("runs.failed_at", stage=words.of(failed)), words)
    with st.container(horizontal=True):
        st.link_button(
            words("runs.in_airflow"), reading.airflow_run_page(visit, story.run), icon=":material/open_in_new:"
        )
        if story.job is not None and story.job.mlflow_run_id is not None:
            st.link_button(
                words("runs.in_mlflow"),
                reading.mlflow_run_page(visit, story.job.mlflow_run_id),
                icon=":material/open_in_new:",
            )
        show_report(story, words)
    _dataset(story, words)
    _training(story, words)
    _accuracy(story, words)
    _gate(story.summary.gate, words)
    _outcome(story, words)
    _cases(story, words)
    with st.expander(words("runs.request")):
        st.json(story.run.request)


def _dataset(story: RunStory, words: Words) -> None:
    st.header(words("runs.data"))
    dataset, imported = story.summary.dataset, story.summary.imported
    if dataset is None:
        parts.missing(words("runs.data_missing"))
        return
    imported_rows = (
        [] if imported is None else [(words("runs.imported_rows"), number(imported.total_rows + imported.broken_rows))]
    )
    parts.html(
        parts.figures(
            [
                (words("runs.dataset"), f"{dataset.name} {dataset.version}"),
                *imported_rows,
                (words("runs.kept_rows"), number(dataset.total_samples), splits(dataset, words)),
                (words("runs.removed_rows"), number(sum(dataset.removed.values()))),
                (words("runs.masked_items"), number(sum(dataset.masked.values()))),
                (words("runs.quality_score"), number(dataset.quality_score, 3)),
            ]
        )
    )
    cleaning(dataset, words)
    link("datasets", words("runs.open_dataset"), words, dataset=dataset.dataset_id)


def splits(dataset: DatasetVersion, words: Words) -> str:
    """Sizes of the three splits on one line."""
    sizes = (
        (words("split.train"), dataset.train_samples),
        (words("split.validation"), dataset.val_samples),
        (words("split.test"), dataset.test_samples),
    )
    return " · ".join(f"{name} {number(size)}" for name, size in sizes)


def cleaning(dataset: DatasetVersion, words: Words) -> None:
    """What was removed and what was masked, as bars."""
    left, right = st.columns(2, gap="large")
    removed = [(words.named("removal_reason", reason), count) for reason, count in dataset.removed.items() if count]
    masked = [
        (words.named("personal_data_kind", kind.strip("[]")), count) for kind, count in dataset.masked.items() if count
    ]
    with left:
        st.subheader(words("runs.removed_chart"))
        if removed:
            figure = charts.bars(removed, words("chart.rows"), ORANGE)
            parts.chart(figure, f"removed-{dataset.dataset_id}", words("runs.removed_chart"))
        else:
            st.caption(words("runs.nothing_removed"))
    with right:
        st.subheader(words("runs.masked_chart"))
        if masked:
            figure = charts.bars(masked, words("chart.items"))
            parts.chart(figure, f"masked-{dataset.dataset_id}", words("runs.masked_chart"))
        else:
            st.caption(words("runs.nothing_masked"))


def _training(story: RunStory, words: Words) -> None:
    st.header(words("runs.training"))
    job, report = story.job, story.summary.training
    if job is None:
        parts.missing(words("runs.training_missing"))
        return
    if report is not None:
        parts.html(
            parts.figures(
                [
                    (words("jobs.job"), report.job_name),
                    (words("jobs.method"), words.named("method", report.method), report.recipe),
                    (words("jobs.steps"), number(report.steps), f"{words('jobs.epochs')} {report.epochs:g}"),
                    (words("jobs.loss"), loss(report.train_loss)),
                    (words("jobs.eval_loss"), loss(report.eval_loss)),
                    (words("jobs.took"), duration(report.duration_seconds, words)),
                ]
            )
        )
    elif job.progress is not None:
        parts.progress_bar(job.progress, words)
        parts.html(parts.progress_figures(job.progress, words))
    if story.curve is None:
        parts.missing(words("jobs.curve_missing"))
    else:
        parts.chart(charts.loss_chart(story.curve, words), "run-loss", words("jobs.curve"))
        st.caption(words("chart.source", source=words(f"chart.source_{story.curve.source.value}")))
    link("jobs", words("runs.open_job"), words, job=job.job_id)


def _accuracy(story: RunStory, words: Words) -> None:
    st.header(words("runs.accuracy"))
    evaluation, verdict = story.summary.evaluation, story.summary.gate
    if evaluation is None:
        parts.missing(words("runs.accuracy_missing"))
        return
    accuracy_figures(evaluation, words)
    left, right = st.columns(2, gap="large")
    with left:
        suites: list[SuiteReport] = [evaluation.main, *evaluation.extras]
        bar = None if verdict is None else verdict.accuracy_bar
        parts.chart(charts.accuracy_chart(suites, bar, words), "run-accuracy", words("runs.accuracy"))
        st.caption(words("runs.accuracy_caption"))
    with right:
        st.subheader(words("runs.by_category"))
        names = {category: category for category in evaluation.main.tuned.by_category}
        parts.chart(charts.category_chart(evaluation.main, names, words), "run-categories", words("runs.by_category"))


def accuracy_figures(evaluation: EvaluationReport, words: Words) -> None:
    """Both accuracies with their intervals, and what changed."""
    main = evaluation.main

    def figure(label: str, accuracy: Accuracy) -> tuple[str, str, str]:
        counted = f"{number(accuracy.correct)} / {number(accuracy.n)}"
        return words(label), percent(accuracy.accuracy), f"{interval(accuracy.interval)} · {counted}"

    parts.html(
        parts.figures(
            [
                figure("runs.base_accuracy", main.base),
                figure("runs.tuned_accuracy", main.tuned),
                (words("runs.won"), number(main.won)),
                (words("runs.lost"), number(main.lost)),
                (words("runs.mcnemar"), p_text(main.mcnemar_p)),
                (
                    words("runs.unstable"),
                    f"{number(evaluation.unstable_answers)} / {number(evaluation.repeated_answers)}",
                ),
            ]
        )
    )


def _cases(story: RunStory, words: Words) -> None:
    if story.summary.evaluation is None:
        return
    st.header(words("runs.cases"))
    cases = story.cases
    if not any(cases.values()):
        parts.missing(words("runs.cases_missing"))
        return
    outcome = st.segmented_control(
        words("runs.case_filter"),
        list(CaseOutcome),
        default=CaseOutcome.WON,
        format_func=lambda outcome: f"{words.of(outcome)} {number(len(cases[outcome]))}",
        key="case-outcome",
    )
    chosen = cases[outcome or CaseOutcome.WON]
    if not chosen:
        st.caption(words("runs.no_such_cases"))
        return
    pages = -(-len(chosen) // CASES_A_PAGE)
    page = 1
    if pages > 1:
        page = int(st.number_input(words("runs.case_page"), 1, pages, 1, key=f"case-page-{outcome}", width=160))
    first = (page - 1) * CASES_A_PAGE
    shown = chosen[first : first + CASES_A_PAGE]
    total = number(len(chosen))
    st.caption(words("runs.case_pages", total=total, first=number(first + 1), last=number(first + len(shown))))
    parts.html("".join(_case(case, words) for case in shown))


def _case(case: CaseResult, words: Words) -> str:
    def answer(label: str, text: str, correct: bool) -> str:
        tone, mark = ("succeeded", "✓") if correct else ("failed", "✕")
        said = escape(text.strip()) or f'<span class="quiet">{escape(words("runs.no_answer"))}</span>'
        return f'<div class="answer tw-{tone}"><small>{mark} {escape(words(label))}</small>\n{said}</div>'

    accepted = ", ".join(case.accepted_answers)
    return (
        f'<div class="tw-case"><b>{escape(case.question)}</b> <small>{escape(case.category)}</small><br>'
        f"<small>{escape(words('runs.accepted'))}: {escape(accepted)}</small>"
        f'<div class="answers">{answer("runs.base_answer", case.base_answer, case.base_correct)}'
        f"{answer('runs.tuned_answer', case.tuned_answer, case.tuned_correct)}</div></div>"
    )


def _gate(verdict: GateVerdict | None, words: Words) -> None:
    st.header(words("runs.gate"))
    if verdict is None:
        parts.missing(words("runs.gate_missing"))
        return
    parts.html(parts.state_badge(verdict.decision, words))
    parts.html(
        parts.figures(
            [
                (words("runs.bar"), percent(verdict.accuracy_bar)),
                (words("runs.gate_metric"), words.of(verdict.metric)),
                (words("runs.accuracy"), percent(verdict.accuracy), interval(verdict.interval)),
                (words("runs.lower_bound"), percent(verdict.lower_bound_one_sided, 2)),
            ]
        )
    )
    parts.chart(charts.gate_chart(verdict, words), "run-gate", words("runs.gate_caption"))
    st.caption(words("runs.gate_caption"))
    st.subheader(words("runs.reasons"))
    if words.language != "ko":
        st.caption(words("runs.reasons_language"))
    st.markdown("\n".join(f"- {parts.plain(reason)}" for reason in verdict.reasons))


def _outcome(story: RunStory, words: Words) -> None:
    st.header(words("runs.outcome"))
    model, deployment, experiment = story.summary.model, story.summary.deployment, story.summary.experiment
    if model is None:
        if story.summary.gate is None or story.summary.gate.decision is not GateDecision.PASS:
            parts.missing(words("runs.outcome_missing"))
        return
    parts.html(
        parts.figures(
            [
                (words("runs.registered"), model_label(model)),
                (words("models.format"), words.of(model.model_format)),
                (words("models.content_hash"), model.content_hash[:12]),
            ]
        )
    )
    if deployment is None:
        parts.missing(words("runs.deployment_missing"))
    else:
        lines = [
            [
                f"<b>{escape(words(f'ab_tests.arm_{arm.arm.value}'))}</b>",
                escape(model_label(arm)),
                f"<code>{escape(arm.served_model_name)}</code>",
                f"{escape(words.of(arm.backend))}<br><small>{escape(arm.base_url)}</small>",
            ]
            for arm in deployment.arms
        ]
        header = [
            words("ab_tests.arm"),
            words("runs.registered"),
            words("runs.served_name"),
            words("runs.arm_endpoint"),
        ]
        parts.html(
            parts.rows(header, lines)
            + f"<p>{escape(words('runs.endpoint'))}: <code>{escape(deployment.endpoint)}</code></p>"
        )
    with st.container(horizontal=True):
        link("models", words("runs.open_model"), words, model=model.model_id)
        if experiment is not None:
            link("ab-tests", words("runs.open_experiment"), words, experiment=experiment.experiment_id)
