"""The models of an A/B test that is designed: the present one, and up to nine new ones with their parts of the users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.arms import arm_label
from contracts.experiments import TrafficSplit
from contracts.several_arms import MOST_CHALLENGERS
from dashboard.formats import model_label

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from dashboard.texts import Words

CONTROL = "a"
LETTERS = "bcdefghij"
"""A new model's row in the form, and its name where nobody gives another."""
ROWS = "design-rows"
OWN_SHARES = "design-own-shares"


def arms_fields(models: dict[int, ModelVersion], words: Words) -> dict[str, object]:
    """The part of the request that says which models are compared, and by which shares."""
    rows = _rows(len(models) - 1)
    several = len(rows) > 1
    columns = [st.container()] if several else st.columns(2)
    with columns[0]:
        control, named = _arm(CONTROL, list(models), models, words, several=several, removable=False)
    challengers: list[tuple[int, str]] = []
    left = [found for found in models if found != control]
    for row in rows:
        with columns[-1]:
            challengers.append(_arm(row, left, models, words, several=several, removable=several))
        left.remove(challengers[-1][0])
    most = min(MOST_CHALLENGERS, len(models) - 1)
    st.button(
        words("ab_design_arms.add"),
        key="design-add",
        icon=":material/add:",
        on_click=_add,
        disabled=len(rows) >= most,
        help=words("ab_design_arms.add_help" if len(rows) < most else "ab_design_arms.no_more", most=MOST_CHALLENGERS),
    )
    if not several:
        split = _split_of_two(words)
        return {"model_a_id": control, "model_b_id": challengers[0][0], "traffic_split": split}
    arms = [(control, named), *challengers]
    shares = _shares([CONTROL, *rows], [name for _, name in arms], words)
    return {
        "arms": [
            {"name": name, "model_id": model_id, "share": share}
            for (model_id, name), share in zip(arms, shares, strict=True)
        ]
    }


def _arm(
    row: str, offered: list[int], models: dict[int, ModelVersion], words: Words, *, several: bool, removable: bool
) -> tuple[int, str]:
    """The model that is chosen, and the arm's name."""
    label = words("ab_tests.arm_a" if row == CONTROL else "ab_tests.arm_b")
    if several:
        label = words("ab_arms.present_model" if row == CONTROL else "ab_design_arms.new_model")
    places = st.columns([6, 3, 2], vertical_alignment="bottom") if several else [st.container()]
    with places[0]:
        chosen = st.selectbox(label, offered, format_func=lambda found: model_label(models[found]), key=f"design-{row}")
    name = row
    if several:
        with places[1]:
            name = st.text_input(
                words("ab_design_arms.name"),
                value=row,
                key=f"design-name-{row}",
                max_chars=32,
                help=words("ab_design_arms.name_help"),
            ).strip()
    if removable:
        with places[2]:
            st.button(
                words("ab_design_arms.remove", arm=arm_label(name)),
                key=f"design-remove-{row}",
                icon=":material/delete:",
                on_click=_remove,
                args=(row,),
            )
    return chosen, name


def _split_of_two(words: Words) -> TrafficSplit:
    share_b = st.slider(
        words("ab_design.share_b"),
        5,
        95,
        50,
        5,
        format="%d %%",
        help=words("ab_design.share_b_help"),
        key="design-share",
    )
    return TrafficSplit(a=1 - share_b / 100, b=share_b / 100)


def _shares(rows: list[str], names: list[str], words: Words) -> list[float | None]:
    """Each arm's part; none for the split that needs fewest samples."""
    if not st.toggle(words("ab_design_arms.own_shares"), key=OWN_SHARES, help=words("ab_design_arms.own_shares_help")):
        return [None] * len(rows)
    shares: list[float | None] = []
    # five of them stay readable beside the planner's word
    for first in range(0, len(rows), 5):
        columns = st.columns(5)
        for column, row, name in zip(columns, rows[first : first + 5], names[first : first + 5], strict=False):
            with column:
                label = words("ab_design_arms.share", arm=arm_label(name))
                shares.append(st.number_input(label, 1, 1000, 1, key=f"design-share-{row}"))
    return shares


# The rows


def _rows(most: int) -> list[str]:
    """Those of the new models; a model that is gone since takes its row with it."""
    rows: list[str] = st.session_state.get(ROWS, [LETTERS[0]])
    return rows[:most]


def _add() -> None:
    rows: list[str] = st.session_state.get(ROWS, [LETTERS[0]])
    st.session_state[ROWS] = [*rows, next(letter for letter in LETTERS if letter not in rows)]


def _remove(row: str) -> None:
    st.session_state[ROWS] = [one for one in st.session_state[ROWS] if one != row]
