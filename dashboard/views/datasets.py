"""Dataset versions: what they hold, what was taken out, what the checks said."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.enums import Split
from contracts.words import GROUPS
from dashboard import charts, parts, reading
from dashboard.formats import number, percent, small
from dashboard.links import choose, link
from dashboard.views import dataset_history, importing, uploading
from dashboard.views.runs import cleaning
from data_prep.masking.report import MaskingReport
from data_prep.quality.bias import BiasReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contracts.datasets import DatasetVersion, QualityReport
    from contracts.record import JsonObject
    from dashboard.reading import DatasetStory
    from dashboard.texts import Words
    from dashboard.visits import Visit


LISTED_SOURCES = 12


def show(visit: Visit, words: Words) -> None:
    """Draw the page."""
    versions = reading.list_datasets(visit)
    if visit.may(ResourceKind.DATASET, "create"):
        begun = bool(reading.my_uploads(visit))
        with st.expander(words("dataset_upload.title"), expanded=begun or not versions, icon=":material/upload_file:"):
            computer, folder = st.tabs([words("dataset_upload.from_computer"), words("dataset_upload.from_folder")])
            with computer:
                uploading.show(visit, words)
            with folder:
                importing.show(visit, words)
    if not versions:
        parts.empty(words("datasets.empty"), words("datasets.empty_text"))
        return
    with st.expander(words("datasets.list"), expanded=True):
        st.dataframe([_line(version, words) for version in versions], hide_index=True, width="stretch")
    by_id = {version.dataset_id: version for version in versions}

    def describe(dataset_id: int) -> str:
        version = by_id.get(dataset_id)
        return f"#{dataset_id}" if version is None else f"{version.name} {version.version}"

    dataset_id = choose("dataset", words("datasets.choose"), list(by_id), describe)
    story = reading.dataset_story(visit, dataset_id)
    _story(story, words)
    parts.guarded(lambda: dataset_history.show(story.dataset, visit, words), words)
    if visit.may(ResourceKind.JOB, "create"):
        link("jobs", words("datasets.train_with_it"), words, new=1, dataset=dataset_id)


def _line(version: DatasetVersion, words: Words) -> dict[str, str | int]:
    return {
        words("datasets.name"): version.name,
        words("datasets.version"): version.version,
        words("datasets.samples"): number(version.total_samples),
        words("datasets.train"): number(version.train_samples),
        words("datasets.validation"): number(version.val_samples),
        words("datasets.test"): number(version.test_samples),
        words("datasets.quality"): number(version.quality_score, 3),
        words("datasets.removed"): number(sum(version.removed.values())),
        words("datasets.masked"): number(sum(version.masked.values())),
    }


def _story(story: DatasetStory, words: Words) -> None:
    dataset = story.dataset
    st.header(f"{dataset.name} {dataset.version}")
    parts.html(
        parts.figures(
            [
                (words("datasets.samples"), number(dataset.total_samples)),
                (words("datasets.train"), number(dataset.train_samples)),
                (words("datasets.validation"), number(dataset.val_samples)),
                (words("datasets.test"), number(dataset.test_samples)),
                (words("datasets.quality"), number(dataset.quality_score, 3)),
            ]
        )
    )
    _checks(story.checks, words)
    cleaning(dataset, words)
    statistics = story.statistics or {}
    _masked_places(statistics.get("masking"), words)
    _groups(statistics.get("bias"), words)
    if dataset.categories:
        st.subheader(words("datasets.categories"))
        figure = charts.bars(list(dataset.categories.items()), words("chart.samples"))
        parts.chart(figure, f"categories-{dataset.dataset_id}", words("datasets.categories"))
    _statistics(story, words)
    parts.html(
        f"<p><small>{escape(words('datasets.folder'))}</small> <code>{escape(dataset.file_path)}</code><br>"
        f"<small>{escape(words('datasets.content_hash'))}</small> <code>{escape(dataset.content_hash)}</code></p>"
    )


def _checks(report: QualityReport | None, words: Words) -> None:
    st.subheader(words("datasets.checks"))
    if report is None:
        parts.missing(words("datasets.checks_missing"))
        return
    lines = []
    for check in report.checks:
        state = parts.badge(
            words("datasets.check_passed" if check.passed else "datasets.check_failed"),
            "succeeded" if check.passed else "failed",
        )
        issues = "<br>".join(escape(_issue(issue)) for issue in check.issues[:5])
        count = words("datasets.check_issues", n=number(len(check.issues))) if check.issues else ""
        lines.append([escape(words.of(check.check_type)), state, escape(count), issues])
    parts.html(parts.rows(["", "", "", ""], lines))
    if report.passed:
        st.caption(words("datasets.checks_all_passed"))


def _issue(issue: JsonObject) -> str:
    message = issue.get("message")
    if isinstance(message, str):
        return message
    return " · ".join(f"{name}: {small(value)}" for name, value in issue.items())


def _masked_places(told: object, words: Words) -> None:
    """What masking did, with some places as they read now; nothing for versions from before it was told."""
    if not isinstance(told, dict):
        return
    report = MaskingReport.model_validate(told)
    counts = words(
        "datasets.masked_rows",
        rows=number(report.rows),
        masked=number(report.masked_rows),
        dropped=number(report.dropped_rows),
    )
    if report.kept:
        kinds = ", ".join(f"{words.named('personal_data_kind', kind)} {number(n)}" for kind, n in report.kept.items())
        counts += " " + words("datasets.kept_data", kinds=kinds)
    st.caption(counts)
    if not report.examples:
        return
    with st.expander(words("datasets.masked_places")):
        lines = [
            [escape(words.named("personal_data_kind", kind)), escape(text)]
            for kind, texts in report.examples.items()
            for text in texts
        ]
        parts.html(parts.rows([words("datasets.kind"), words("datasets.place")], lines))


def _groups(told: object, words: Words) -> None:
    """Whom the rows speak of, and how; nothing for versions from before it was told."""
    if not isinstance(told, dict):
        return
    report = BiasReport.model_validate(told)
    st.subheader(words("datasets.groups"))
    st.caption(
        words(
            "datasets.groups_told",
            rows=number(report.rows),
            named=number(report.rows_with_groups),
            mean=number(report.mean_toxicity, 3),
        )
    )
    lines = [
        [
            escape(words.of(attribute.attribute)),
            escape(GROUPS[attribute.attribute][group.group].of(words.language)),
            number(group.rows),
            percent(group.share),
            number(group.mean_toxicity, 3),
            number(group.toxic_rows),
            number(group.biased_rows),
            number(group.generalising_rows),
        ]
        for attribute in report.attributes
        for group in attribute.groups
    ]
    if not lines:
        return
    names = ("attribute", "group", "rows", "share", "toxicity", "toxic", "biased", "generalising")
    parts.html(parts.rows([words(f"datasets.groups_{name}") for name in names], lines, numeric=range(2, len(names))))
    flagged = list(
        dict.fromkeys(row for attribute in report.attributes for group in attribute.groups for row in group.flagged)
    )
    if flagged:
        with st.expander(words("datasets.groups_flagged", n=number(len(flagged)))):
            st.code("\n".join(flagged), language=None)


def _statistics(story: DatasetStory, words: Words) -> None:
    st.subheader(words("datasets.statistics"))
    if story.statistics is None:
        parts.missing(words("datasets.no_statistics"))
        return
    columns = st.columns(3, gap="large")
    for column, measure in zip(columns, ("question_characters", "answer_characters", "quality_score"), strict=True):
        spreads = list(_spreads(story.statistics, measure, words))
        if spreads:
            with column:
                title = words(f"datasets.{measure}")
                figure = charts.spread_chart(spreads, words(f"chart.{measure}"))
                parts.chart(figure, f"{measure}-{story.dataset.dataset_id}", title)
    sources = story.statistics.get("largest_sources")
    if isinstance(sources, dict) and sources:
        st.subheader(words("datasets.largest_sources"))
        largest = [(name, int(str(rows))) for name, rows in list(sources.items())[:LISTED_SOURCES]]
        figure = charts.bars(largest, words("chart.rows"))
        parts.chart(figure, f"sources-{story.dataset.dataset_id}", words("datasets.largest_sources"))
    if story.made_by:
        with st.expander(words("datasets.made_by")):
            st.json(story.made_by, expanded=1)


def _spreads(statistics: JsonObject, measure: str, words: Words) -> Iterator[tuple[str, JsonObject]]:
    """The quantiles of a measure in each split that has rows."""
    splits = statistics.get("splits")
    for split in Split:
        described = splits.get(split.value) if isinstance(splits, dict) else None
        quantiles = described.get(measure) if isinstance(described, dict) else None
        if isinstance(quantiles, dict) and "median" in quantiles:
            yield words.of(split), quantiles
