"""How a version is split, what each side holds, and the same rows split otherwise as a new version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.enums import Split
from contracts.errors import TunewayError
from dashboard import charts, parts
from dashboard.formats import number, percent
from dashboard.links import chosen_key
from dashboard.writing import split_dataset

if TYPE_CHECKING:
    from contracts.datasets import DatasetVersion
    from dashboard.reading import DatasetStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

_DONE = "dataset-split-done"


def show(visit: Visit, story: DatasetStory, words: Words) -> None:
    """The sides with their categories, and the form."""
    dataset = story.dataset
    sides = _sides(dataset)
    parts.html(
        parts.rows(
            [words("dataset_split.side"), words("dataset_split.rows"), words("dataset_split.share")],
            [[words.of(split), number(rows), percent(_share(rows, dataset.total_samples))] for split, rows in sides],
            numeric=(1, 2),
        )
    )
    splits = (story.statistics or {}).get("splits")
    told = {
        split: categories
        for split, _ in sides
        if isinstance(splits, dict)
        and isinstance(side := splits.get(split.value), dict)
        and isinstance(categories := side.get("categories"), dict)
    }
    if any(told.values()):
        st.subheader(words("dataset_split.by_category"))
        counts = {words.of(split): {name: int(str(n)) for name, n in told[split].items()} for split in told}
        figure = charts.shares_chart(counts, words("chart.share_of_side"))
        parts.chart(figure, f"split-{dataset.dataset_id}", words("dataset_split.by_category"), picture="split")
        st.caption(words("dataset_split.by_category_told"))
    if visit.may(ResourceKind.DATASET, "split", dataset.dataset_id):
        _again(visit, dataset, words)


def _sides(dataset: DatasetVersion) -> list[tuple[Split, int]]:
    return [
        (Split.TRAIN, dataset.train_samples),
        (Split.VALIDATION, dataset.val_samples),
        (Split.TEST, dataset.test_samples),
    ]


def _again(visit: Visit, dataset: DatasetVersion, words: Words) -> None:
    st.subheader(words("dataset_split.again"))
    st.caption(words("dataset_split.again_told"))
    number_ = dataset.dataset_id
    with st.container(horizontal=True, vertical_alignment="bottom"):
        validation = st.number_input(
            words("dataset_split.validation"), 0, 90, value=10, step=1, key=f"split-validation-{number_}", width=190
        )
        test = st.number_input(
            words("dataset_split.test"), 0, 90, value=10, step=1, key=f"split-test-{number_}", width=190
        )
        train = 100 - validation - test
        pressed = st.button(
            words("dataset_split.start", train=train, validation=validation, test=test),
            key=f"split-start-{number_}",
            type="primary",
            disabled=train < 1,
        )
    if train < 1:
        st.warning(words("dataset_split.no_train", sum=validation + test), icon=":material/edit:")
    if pressed and train >= 1:
        from data_prep.versions.splitting import Ratios

        try:
            with st.spinner(words("dataset_split.working"), show_time=True):
                made = split_dataset(visit, number_, Ratios(train / 100, validation / 100, test / 100))
            st.session_state[_DONE] = (number_, made)
        except TunewayError as error:
            parts.error_parts(error.as_record(), words("dataset_split.refused"), words)
            return
    done: tuple[int, DatasetVersion] | None = st.session_state.get(_DONE)
    if done is not None and done[0] == number_:
        made = done[1]
        st.success(
            words(
                "dataset_split.done",
                version=f"{made.name} {made.version}",
                train=number(made.train_samples),
                validation=number(made.val_samples),
                test=number(made.test_samples),
            ),
            icon=":material/task_alt:",
        )
        st.button(
            words("dataset_upload.look"),
            key=f"split-look-{made.dataset_id}",
            icon=":material/arrow_forward:",
            on_click=_look_at,
            args=(made.dataset_id,),
        )


def _look_at(dataset_id: int) -> None:
    st.session_state[chosen_key("dataset")] = dataset_id
    st.query_params["dataset"] = str(dataset_id)


def _share(rows: int, of: int) -> float:
    return rows / of if of else 0.0
