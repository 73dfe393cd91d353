"""What the checks said of a version, what was taken out and masked and why, and whom its rows speak of."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import parts
from dashboard.dataset_report import detail, group_lines, groups_told
from dashboard.formats import number, small
from dashboard.views.runs import cleaning
from data_prep.masking.report import MaskingReport
from data_prep.quality.bias import BiasReport

if TYPE_CHECKING:
    from contracts.datasets import QualityReport
    from contracts.record import JsonObject
    from dashboard.reading import DatasetStory
    from dashboard.texts import Words
    from dashboard.visits import Visit


def show(_: Visit, story: DatasetStory, words: Words) -> None:
    """The quality report."""
    _checks(story.checks, words)
    cleaning(story.dataset, words)
    statistics = story.statistics or {}
    _removed_examples(statistics.get("examples"), words)
    _masked_places(statistics.get("masking"), words)
    _groups(statistics.get("bias"), words)


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


def _removed_examples(told: object, words: Words) -> None:
    """Some removed rows of each reason, as they read after masking; nothing where rows are not told."""
    removed = told.get("removed") if isinstance(told, dict) else None
    if not isinstance(removed, dict) or not removed:
        return
    with st.expander(words("dataset_quality.removed_examples")):
        lines = [
            [
                escape(words.named("removal_reason", reason)),
                escape(str(line["question"])),
                escape(detail(str(line["detail"]), words)),
                f"<code>{escape(str(line['row']))}</code>",
            ]
            for reason, examples in removed.items()
            for line in examples
        ]
        head = [words(f"dataset_quality.{name}") for name in ("reason", "question", "detail", "row")]
        parts.html(parts.rows(head, lines))
        st.caption(words("dataset_quality.all_removed"))


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
    st.caption(groups_told(report, words))
    columns = ("attribute", "group", "rows", "share", "toxicity", "toxic", "biased", "generalising")
    lines = [[escape(cell) for cell in line] for line in group_lines(report, columns, words)]
    if not lines:
        return
    parts.html(
        parts.rows([words(f"datasets.groups_{name}") for name in columns], lines, numeric=range(2, len(columns)))
    )
    flagged = list(
        dict.fromkeys(row for attribute in report.attributes for group in attribute.groups for row in group.flagged)
    )
    if flagged:
        with st.expander(words("datasets.groups_flagged", n=number(len(flagged)))):
            st.code("\n".join(flagged), language=None)
