"""Links between the pages, with the chosen item and the language in the address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import TypeVar

    from dashboard.texts import Words

    T = TypeVar("T", int, str)


def link(page: str, label: str, words: Words, **item: int | str) -> None:
    """A link to another page of the dashboard, e.g. to one run: `link("runs", label, words, run=run_id)`."""
    address = {"lang": words.language.value, **{name: str(value) for name, value in item.items()}}
    st.page_link(st.session_state["pages"][page], label=label, icon=":material/arrow_forward:", query_params=address)


def choose(
    name: str, label: str, options: Sequence[T], describe: Callable[[T], str], filtered_out: Collection[T] = ()
) -> T:
    """The item to look at: chosen here, or named by the address, or the first. The address follows the choice.

    An item that the address names but that is not among the options is offered too: its page says that it is missing.
    Not so one that only a filter of this page has taken away.
    """
    key = chosen_key(name)
    asked = _asked(name, options)
    offered = list(options)
    if asked in filtered_out:
        asked = None
    if asked is not None and asked not in offered:
        offered.insert(0, asked)
    if st.session_state.get(key) not in offered:
        st.session_state[key] = offered[0] if asked is None else asked
    chosen: T = st.selectbox(label, offered, format_func=describe, key=key)
    st.query_params[name] = str(chosen)
    return chosen


def pick(name: str, label: str, options: Sequence[str], describe: Callable[[str], str], default: str = "") -> str:
    """One of a few, shown side by side: chosen here, or named by the address, or the default. The address follows."""
    key = f"pick-{name}"
    asked = st.query_params.get(name)
    if st.session_state.get(key) not in options:
        st.session_state[key] = asked if asked in options else default or options[0]
    chosen = st.segmented_control(
        label, options, format_func=describe, key=key, label_visibility="collapsed", required=True
    )
    picked = chosen or default or options[0]
    st.query_params[name] = picked
    return picked


def choose_several(
    name: str, label: str, options: Sequence[int], describe: Callable[[int], str], *, at_first: Sequence[int], most: int
) -> list[int]:
    """The items to look at, as `choose` finds one: the address holds their numbers, `name=3,4,7`."""
    key, told = chosen_key(name), f"told-{name}"
    given = st.query_params.get(name)
    if key not in st.session_state or given not in {None, st.session_state.get(told)}:
        numbers = at_first if given is None else [int(part) for part in given.split(",") if part.isdecimal()]
        st.session_state[key] = list(dict.fromkeys(numbers))[:most]
    offered = [*options, *(number for number in st.session_state[key] if number not in options)]
    chosen: list[int] = st.multiselect(label, offered, format_func=describe, key=key, max_selections=most)
    st.session_state[told] = st.query_params[name] = ",".join(map(str, chosen))
    return chosen


def chosen_key(name: str) -> str:
    """Where the session keeps what `choose` and `choose_several` were told; a button's callback may set it."""
    return f"choose-{name}"


def kept_in_address(name: str, value: str, usual: str) -> None:
    """The address says how the page is looked at, where that is not the usual way."""
    if value == usual:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def _asked(name: str, options: Sequence[T]) -> T | None:
    given: str | None = st.query_params.get(name)
    if given is None:
        return None
    kind = type(options[0])
    if kind is int and not given.isdecimal():
        return None
    return kind(given)
