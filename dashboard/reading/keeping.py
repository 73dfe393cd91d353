"""Answers that are kept for a second or two, so that a page that draws itself again, and a second reader of it, cost nothing."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import streamlit as st

from dashboard.sessions import installation_of
from dashboard.visits import Visit
from stages.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from database.unit_of_work import UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")
FRESH_SECONDS = 1.5
"""Progress is at most one refresh behind."""
HEALTH_SECONDS = 5.0
LISTED = 100


def kept(seconds: float) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep a function's answers for so long, separately for each installation and reader. Errors are never kept."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        told_apart_by = {Services: installation_of, Visit: _reader}
        remember = st.cache_data(ttl=seconds, max_entries=256, show_spinner=False, hash_funcs=told_apart_by)
        remembered: Callable[P, R] = remember(function)

        @wraps(function)
        def keep(*args: P.args, **kwargs: P.kwargs) -> R:
            for visit in args:
                if isinstance(visit, Visit):
                    # said here, a session's end is our error; within the cache it would be Streamlit's
                    _reader(visit)
            return remembered(*args, **kwargs)

        return keep

    return decorate


def _reader(visit: Visit) -> str:
    """Two readers share an answer where the policies see the same in them."""
    who = visit.principal
    return f"{installation_of(visit)}|{who.username}|{who.role.value}|{','.join(sorted(who.projects))}"


def ask(services: Services, question: Callable[[UnitOfWork], R]) -> R:
    """The answer of one short transaction."""
    with services.unit_of_work() as uow:
        return question(uow)
