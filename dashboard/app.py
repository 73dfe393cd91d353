"""The dashboard's pages; `python -m dashboard` serves them behind the login.

The language comes from the query parameter `lang`, else from the session, else from the settings.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.errors import TunewayError
from dashboard import parts
from dashboard.texts import Language, Words
from dashboard.theme import STYLES
from dashboard.views import (
    ab_tests,
    administration,
    datasets,
    experiments,
    jobs,
    models,
    overview,
    rating,
    review,
    runs,
    test_cases,
)
from dashboard.visits import Visit, arrive
from stages.services import open_services

if TYPE_CHECKING:
    from collections.abc import Callable


# pages that not everybody has
READ_BY = {
    "review": ResourceKind.GENERATION,
    "rating": ResourceKind.RATING_TASK,
    "administration": ResourceKind.AUDIT,
}

LEFT = "left"
PAGES: dict[str, tuple[Callable[[Visit, Words], None], str]] = {
    "overview": (overview.show, ":material/dashboard:"),
    "runs": (runs.show, ":material/account_tree:"),
    "datasets": (datasets.show, ":material/database:"),
    "review": (review.show, ":material/rate_review:"),
    "rating": (rating.show, ":material/star_half:"),
    "test-cases": (test_cases.show, ":material/quiz:"),
    "jobs": (jobs.show, ":material/model_training:"),
    "experiments": (experiments.show, ":material/stacked_line_chart:"),
    "models": (models.show, ":material/deployed_code:"),
    "ab-tests": (ab_tests.show, ":material/compare_arrows:"),
    "administration": (administration.show, ":material/admin_panel_settings:"),
}


def chosen_language(default: str) -> Language:
    """The language of this session; a deep link may name another."""
    asked = st.query_params.get("lang")
    if asked in set(Language):
        st.session_state["language"] = Language(asked)
    return Language(st.session_state.setdefault("language", Language(default)))


def switch_language(language: Language) -> None:
    """Take the other language from here on, in the address too."""
    st.session_state["language"] = language
    st.query_params["lang"] = language.value


def draw_page(name: str, page: Callable[[Visit, Words], None], visit: Visit, words: Words) -> None:
    """A page under its title and the language button."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(words(f"{name.replace('-', '_')}.title"), width="content", anchor=False)
        other = words.language.other
        st.button(
            other.own_name,
            key="switch-language",
            icon=":material/translate:",
            type="tertiary",
            help=words("app.switch_help"),
            on_click=switch_language,
            args=(other,),
        )
    parts.tell_refusal(words)
    parts.guarded(lambda: page(visit, words), words)
    st.caption(words("app.times"))


def leave(visit: Visit) -> None:
    """Log out."""
    visit.leave()
    st.session_state.clear()
    st.session_state[LEFT] = True


def draw_pages(visit: Visit, words: Words) -> None:
    """Navigation, who is logged in, and the page."""
    who = visit.principal
    offered = {name: page for name, page in PAGES.items() if name not in READ_BY or visit.may(READ_BY[name], "read")}
    pages = [
        st.Page(
            partial(draw_page, name, page, visit, words),
            title=words(f"navigation.{name.replace('-', '_')}"),
            icon=icon,
            url_path=name if position else None,
            default=position == 0,
        )
        for position, (name, (page, icon)) in enumerate(offered.items())
    ]
    st.session_state["pages"] = dict(zip(offered, pages, strict=True))
    current = st.navigation(pages)
    st.query_params["lang"] = words.language.value
    with st.sidebar:
        st.caption(f"{words('app.name')} · {words('app.tagline')}")
        st.caption(words("app.logged_in", name=parts.plain(who.username), role=words.of(who.role)))
        st.button(words("app.log_out"), key="log-out", icon=":material/logout:", on_click=leave, args=(visit,))
    current.run()


def main() -> None:
    """One run of the script: language, who it is, page."""
    st.set_page_config(page_title="Tuneway", page_icon=str(Path(__file__).with_name("icon.png")), layout="wide")
    st.html(STYLES)
    try:
        services = open_services()
    except TunewayError as error:
        parts.unavailable(error, Words(chosen_language(Language.KOREAN)))
        return
    words = Words(chosen_language(services.settings.language))
    if st.session_state.get(LEFT):
        st.html(
            f"<script>window.location.assign('/login?lang={words.language.value}')</script>",
            unsafe_allow_javascript=True,
        )
        parts.logged_out(words)
        return
    parts.guarded(lambda: draw_pages(arrive(services), words), words)


main()
