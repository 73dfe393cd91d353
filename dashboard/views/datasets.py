"""Dataset versions: which there are, and one of them in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from dashboard import parts, reading
from dashboard.dataset_report import dataset_pdf
from dashboard.formats import number
from dashboard.links import choose, kept_in_address, link, pick
from dashboard.views import (
    dataset_duplicates,
    dataset_history,
    dataset_lineage,
    dataset_quality,
    dataset_rows,
    dataset_split,
    dataset_statistics,
    importing,
    uploading,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.datasets import DatasetVersion
    from dashboard.reading import DatasetStory
    from dashboard.texts import Words
    from dashboard.visits import Visit


LISTED_VERSIONS, TABLE_PIXELS = 9, 390
"""A longer table scrolls in itself."""


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
    listed = _filtered(versions, words)
    _table(listed, words)
    by_id = {version.dataset_id: version for version in versions}

    def describe(dataset_id: int) -> str:
        version = by_id.get(dataset_id)
        return f"#{dataset_id}" if version is None else f"{version.name} {version.version}"

    if not listed:
        st.caption(words("dataset_list.none"))
        return
    shown = [version.dataset_id for version in listed]
    others = [dataset_id for dataset_id in by_id if dataset_id not in shown]
    dataset_id = choose("dataset", words("datasets.choose"), shown, describe, filtered_out=others)
    _detail(visit, reading.dataset_story(visit, dataset_id), words)


def _filtered(versions: list[DatasetVersion], words: Words) -> list[DatasetVersion]:
    """Those that the search names; it stands in the address."""
    st.session_state.setdefault("dataset-search", st.query_params.get("find", ""))
    text: str = st.text_input(
        words("dataset_list.search"),
        max_chars=100,
        type="search",
        icon=":material/search:",
        placeholder=words("dataset_list.search_example"),
        key="dataset-search",
    )
    kept_in_address("find", text, "")
    wanted = text.casefold().split()
    return [version for version in versions if all(word in _searched(version) for word in wanted)]


def _searched(version: DatasetVersion) -> str:
    return " ".join((version.name, version.version, version.content_hash[:12], *version.categories)).casefold()


def _table(versions: list[DatasetVersion], words: Words) -> None:
    """Numbers as numbers, so that the table sorts by them."""
    of_rows = st.column_config.NumberColumn(format="localized")
    counted = ("samples", "train", "validation", "test", "removed", "masked")
    config = {words(f"datasets.{name}"): of_rows for name in counted}
    config[words("datasets.quality")] = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        [_line(version, words) for version in versions],
        hide_index=True,
        width="stretch",
        height="auto" if len(versions) <= LISTED_VERSIONS else TABLE_PIXELS,
        column_config=config,
    )


def _line(version: DatasetVersion, words: Words) -> dict[str, str | int | float | None]:
    return {
        words("datasets.name"): version.name,
        words("datasets.version"): version.version,
        words("datasets.samples"): version.total_samples,
        words("datasets.train"): version.train_samples,
        words("datasets.validation"): version.val_samples,
        words("datasets.test"): version.test_samples,
        words("datasets.quality"): version.quality_score,
        words("datasets.removed"): sum(version.removed.values()),
        words("datasets.masked"): sum(version.masked.values()),
    }


PARTS: dict[str, Callable[[Visit, DatasetStory, Words], None]] = {
    "quality": dataset_quality.show,
    "statistics": lambda _, story, words: dataset_statistics.show(story, words),
    "rows": dataset_rows.show,
    "duplicates": lambda _, story, words: dataset_duplicates.show(story, words),
    "split": dataset_split.show,
    "history": lambda visit, story, words: dataset_history.show(story.dataset, visit, words),
    "lineage": dataset_lineage.show,
}


def _detail(visit: Visit, story: DatasetStory, words: Words) -> None:
    dataset = story.dataset
    st.header(f"{dataset.name} {dataset.version}")
    parts.html(
        parts.figures(
            [
                (words("datasets.samples"), words("unit.rows", n=number(dataset.total_samples))),
                (words("datasets.train"), words("unit.rows", n=number(dataset.train_samples))),
                (words("datasets.validation"), words("unit.rows", n=number(dataset.val_samples))),
                (words("datasets.test"), words("unit.rows", n=number(dataset.test_samples))),
                (words("datasets.quality"), number(dataset.quality_score, 3), words("dataset_pdf.of_one")),
            ]
        )
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            words("dataset_pdf.download"),
            data=lambda: dataset_pdf(story, words),
            file_name=f"{dataset.name}-{dataset.version}.pdf",
            mime="application/pdf",
            icon=":material/picture_as_pdf:",
            on_click="ignore",
            key=f"dataset-pdf-{dataset.dataset_id}",
        )
        if visit.may(ResourceKind.JOB, "create"):
            link("jobs", words("datasets.train_with_it"), words, new=1, dataset=dataset.dataset_id)
    # a difference that the address names stands in the history
    usual = "history" if "from" in st.query_params else "quality"
    part = pick("part", words("dataset_parts.part"), list(PARTS), lambda name: words(f"dataset_parts.{name}"), usual)
    parts.guarded(lambda: PARTS[part](visit, story, words), words)
