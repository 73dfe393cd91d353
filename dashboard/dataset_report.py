"""A dataset version as a PDF: what it holds, what was taken out and masked and why, how its rows are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contracts.enums import Split
from contracts.words import GROUPS
from dashboard.formats import number, percent
from dashboard.pdf_report import PdfReport
from dashboard.theme import ORANGE
from data_prep.masking.report import MaskingReport
from data_prep.quality.bias import BiasReport
from data_prep.statistics.clusters import DuplicateClusters
from data_prep.statistics.details import in_korean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contracts.datasets import QualityReport
    from contracts.record import JsonObject
    from dashboard.reading import DatasetStory
    from dashboard.texts import Words

LISTED = 20
"""Bars of a chart, lines of a list."""
EXAMPLES = 2
"""Of each reason of removal and each kind of personal data."""


def dataset_pdf(story: DatasetStory, words: Words) -> bytes:
    """The file, in the language of the page."""
    dataset = story.dataset
    report = PdfReport(
        f"{dataset.name} {dataset.version}", words, datetime.now(UTC), subtitle=words("dataset_pdf.subtitle")
    )
    report.figures(
        [
            (words("datasets.samples"), words("unit.rows", n=number(dataset.total_samples))),
            *(
                (words.of(split), words("unit.rows", n=number(rows)), percent(_share(rows, dataset.total_samples)))
                for split, rows in (
                    (Split.TRAIN, dataset.train_samples),
                    (Split.VALIDATION, dataset.val_samples),
                    (Split.TEST, dataset.test_samples),
                )
            ),
            (words("datasets.quality"), number(dataset.quality_score, 3), words("dataset_pdf.of_one")),
            (words("datasets.removed"), words("unit.rows", n=number(sum(dataset.removed.values())))),
            (words("datasets.masked"), words("dataset_pdf.places", n=number(sum(dataset.masked.values())))),
            (words("dataset_pdf.content"), dataset.content_hash[:16]),
        ]
    )
    statistics = story.statistics or {}
    _checks(report, story.checks, words)
    _cleaning(report, story, words)
    _masking(report, statistics, words)
    if story.statistics is None:
        report.text(words("datasets.no_statistics"))
        return report.render()
    _shape(report, story, statistics, words)
    _duplicates(report, statistics, words)
    _groups(report, statistics, words)
    _removed_examples(report, statistics, words)
    return report.render()


def _checks(report: PdfReport, checks: QualityReport | None, words: Words) -> None:
    report.heading(words("datasets.checks"))
    if checks is None:
        report.text(words("datasets.checks_missing"), quiet=True)
        return
    lines = [
        [
            words.of(check.check_type),
            words("datasets.check_passed" if check.passed else "datasets.check_failed"),
            number(len(check.issues)),
        ]
        for check in checks.checks
    ]
    head = [words(f"dataset_pdf.{name}") for name in ("check", "outcome", "issues")]
    report.table(head, lines, numeric=(2,))


def _cleaning(report: PdfReport, story: DatasetStory, words: Words) -> None:
    report.heading(words("dataset_pdf.cleaning"))
    steps = story.made_by.get("steps")
    if isinstance(steps, list) and steps:
        lines = [
            [
                words.named("preparation_step", str(step["step"])),
                number(_whole(step.get("rows_in"))),
                number(_whole(step.get("rows_out"))),
                number(_whole(step.get("changed"))),
            ]
            for step in steps
            if isinstance(step, dict)
        ]
        head = [words(f"dataset_pdf.{name}") for name in ("step", "rows_in", "rows_out", "changed")]
        report.table(head, lines, numeric=(1, 2, 3))
    removed = _counted(story.dataset.removed, "removal_reason", words)
    if removed:
        report.bars(words("runs.removed_chart"), removed, words("chart.rows"), colour=ORANGE)
    else:
        report.text(words("runs.nothing_removed"), quiet=True)


def _masking(report: PdfReport, statistics: JsonObject, words: Words) -> None:
    told = statistics.get("masking")
    if not isinstance(told, dict):
        return
    masking = MaskingReport.model_validate(told)
    report.heading(words("dataset_pdf.masking"))
    report.text(
        words(
            "datasets.masked_rows",
            rows=number(masking.rows),
            masked=number(masking.masked_rows),
            dropped=number(masking.dropped_rows),
        )
    )
    replaced = _counted(masking.replaced, "personal_data_kind", words)
    if replaced:
        report.bars(words("runs.masked_chart"), replaced, words("chart.items"))
    report.points(
        f"{words.named('personal_data_kind', kind)}: {text}"
        for kind, texts in masking.examples.items()
        for text in texts[:EXAMPLES]
    )


def _shape(report: PdfReport, story: DatasetStory, statistics: JsonObject, words: Words) -> None:
    report.heading(words("datasets.statistics"))
    histograms = _mapping(statistics.get("histograms"))
    for measure in ("question_characters", "answer_characters", "quality_score", "toxicity"):
        _histogram(report, words(f"dataset_statistics.{measure}"), _mapping(histograms.get(measure)), measure, words)
    tokens = _mapping(_mapping(statistics.get("sample")).get("tokens"))
    if tokens:
        title = words("dataset_statistics.tokens", name=str(tokens.get("tokenizer")))
        _histogram(report, title, _mapping(tokens.get("histogram")), "tokens", words)
    else:
        report.text(words("dataset_statistics.no_tokens"), quiet=True)
    categories = sorted(story.dataset.categories.items(), key=lambda item: -item[1])[:LISTED]
    if categories:
        report.bars(words("datasets.categories"), categories, words("chart.samples"))
    sources = [(name, _whole(rows)) for name, rows in _mapping(statistics.get("largest_sources")).items()][:LISTED]
    if sources:
        report.bars(words("datasets.largest_sources"), sources, words("chart.rows"))


def _histogram(report: PdfReport, title: str, told: Mapping[str, Any], measure: str, words: Words) -> None:
    if told.get("counts"):
        report.histogram(title, told["edges"], told["counts"], words(f"chart.{measure}"), words("chart.rows"))


def _duplicates(report: PdfReport, statistics: JsonObject, words: Words) -> None:
    told = statistics.get("duplicates")
    if not isinstance(told, dict):
        return
    clusters = DuplicateClusters.model_validate(told)
    report.heading(words("dataset_parts.duplicates"))
    report.figures(
        [
            (words("dataset_duplicates.clusters"), number(clusters.clusters)),
            (words("dataset_duplicates.rows_removed"), words("unit.rows", n=number(clusters.rows_removed))),
            (words("dataset_duplicates.rows_compared"), words("unit.rows", n=number(clusters.rows_compared))),
        ]
    )
    lines = [
        [
            one.texts[0].question if one.texts else one.kept,
            number(one.rows),
            percent(one.similarity, 0),
            words(f"dataset_duplicates.kept_for_{one.kept_for}"),
        ]
        for one in clusters.largest
    ]
    if lines:
        head = [words(f"dataset_pdf.{name}") for name in ("cluster", "rows", "similarity", "why")]
        report.table(head, lines, numeric=(1, 2))


def _groups(report: PdfReport, statistics: JsonObject, words: Words) -> None:
    told = statistics.get("bias")
    if not isinstance(told, dict):
        return
    bias = BiasReport.model_validate(told)
    report.heading(words("datasets.groups"))
    report.text(groups_told(bias, words))
    columns = ("group", "rows", "share", "toxicity", "toxic")
    if lines := group_lines(bias, columns, words):
        report.table([words(f"datasets.groups_{name}") for name in columns], lines, numeric=(1, 2, 3, 4))


def groups_told(bias: BiasReport, words: Words) -> str:
    """How many rows speak of a group, in a sentence."""
    return words(
        "datasets.groups_told",
        rows=number(bias.rows),
        named=number(bias.rows_with_groups),
        mean=number(bias.mean_toxicity, 3),
    )


def group_lines(bias: BiasReport, columns: Sequence[str], words: Words) -> list[list[str]]:
    """Each group of whom rows speak, and these columns of it."""
    lines = []
    for attribute in bias.attributes:
        for group in attribute.groups:
            cells = {
                "attribute": words.of(attribute.attribute),
                "group": GROUPS[attribute.attribute][group.group].of(words.language),
                "rows": number(group.rows),
                "share": percent(group.share),
                "toxicity": number(group.mean_toxicity, 3),
                "toxic": number(group.toxic_rows),
                "biased": number(group.biased_rows),
                "generalising": number(group.generalising_rows),
            }
            lines.append([cells[name] for name in columns])
    return lines


def _removed_examples(report: PdfReport, statistics: JsonObject, words: Words) -> None:
    removed = _mapping(_mapping(statistics.get("examples")).get("removed"))
    lines = [
        [words.named("removal_reason", reason), str(line["question"]), detail(str(line["detail"]), words)]
        for reason, told in removed.items()
        for line in told[:EXAMPLES]
    ]
    if lines:
        report.heading(words("dataset_quality.removed_examples"))
        report.table([words(f"dataset_quality.{name}") for name in ("reason", "question", "detail")], lines)


def detail(text: str, words: Words) -> str:
    """Why exactly a row was taken out, in the reader's language."""
    return in_korean(text) if words.language.value == "ko" else text


def _counted(counts: Mapping[str, int], section: str, words: Words) -> list[tuple[str, float]]:
    named: list[tuple[str, float]] = [
        (words.named(section, name.strip("[]")), count) for name, count in counts.items() if count
    ]
    return sorted(named, key=lambda item: -item[1])[:LISTED]


def _share(rows: int, of: int) -> float:
    return rows / of if of else 0.0


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
