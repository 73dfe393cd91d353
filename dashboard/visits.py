"""The installation as one logged-in person may see and change it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from contracts.audit import acting_from
from dashboard.sessions import cookie_name, sessions_of
from security.access.decisions import PolicyDecisions
from security.limits.addresses import client_address
from stages.permissions import allowed_actions, readable, require, visible
from stages.services import Services

if TYPE_CHECKING:
    from contracts.access import ResourceKind, Visibility
    from contracts.identity import Principal
    from database.unit_of_work import UnitOfWork

T = TypeVar("T")

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Visit(Services):
    """The services, and whose page uses them. Every decision is made anew by the same policies as the admin API's."""

    session: str = ""
    """The name of the session; empty for nobody."""
    address: str = ""
    """Where the browser is, for the audit trail."""

    @property
    def principal(self) -> Principal:
        """Who it is. Raises UnauthorizedError where the session has ended."""
        return sessions_of(self).principal(self.session)

    @property
    def shelf(self) -> dict[str, object]:
        """What pages put aside for this session, in all its tabs and over reloads. Raises UnauthorizedError."""
        return sessions_of(self).shelf(self.session)

    def require(self, kind: ResourceKind, action: str, row_id: int | None = None) -> Principal:
        """Who it is, where they may do it at this moment.

        Raises UnauthorizedError, ForbiddenError (which is audited), NotFoundError, UnavailableError without a decision.
        """
        principal = sessions_of(self).principal(self.session, now=True)
        policies = self._policies()
        policies.ask(require(principal, kind, action, row_id, decisions=policies.decisions, services=self))
        return principal

    def may(self, kind: ResourceKind, action: str, row_id: int | None = None) -> bool:
        """A button for it is worth showing."""
        return action in self.allowed(kind, [action], row_id)

    def allowed(self, kind: ResourceKind, actions: Collection[str], row_id: int | None = None) -> frozenset[str]:
        """Those of the actions for which a button is worth showing."""
        policies = self._policies()
        asked = allowed_actions(self.principal, kind, actions, row_id, decisions=policies.decisions, services=self)
        return policies.ask(asked)

    def visible(self, kind: ResourceKind) -> Visibility:
        """Which rows of a list may be read."""
        policies = self._policies()
        return policies.ask(visible(self.principal, kind, decisions=policies.decisions))

    def readable(self, kind: ResourceKind, row_ids: Iterable[int]) -> frozenset[int]:
        """Those of the rows that may be read."""
        policies = self._policies()
        return policies.ask(readable(self.principal, kind, row_ids, decisions=policies.decisions, services=self))

    @contextmanager
    def unit_of_work(self, *, holding: bool = False) -> Iterator[UnitOfWork]:
        """As that of every service; what it audits comes from the browser's address."""
        with acting_from(self.address), super().unit_of_work(holding=holding) as uow:
            yield uow

    def leave(self) -> None:
        """Log out."""
        sessions_of(self).close(self.session, self)

    def _policies(self) -> _Policies:
        return _policies_of(self.settings.policy_url, self.settings.policy_timeout_seconds)


@dataclass(frozen=True, slots=True)
class Browser:
    """What opened the page."""

    session: str
    address: str


def arrive(services: Services) -> Visit:
    """The visit of whoever opened this page, logged in or not."""
    browser = browser_of(services)
    return Visit(services.settings, session=browser.session, address=browser.address)


def browser_of(services: Services) -> Browser:
    """As its connection tells: the cookie, and the address, for which a proxy's word counts where it is trusted."""
    forwarded = ",".join(st.context.headers.get_all("x-forwarded-for"))
    # Streamlit calls the loopback address None
    address = client_address(st.context.ip_address or LOOPBACK, forwarded, services.settings.trusted_proxies)
    return Browser(str(st.context.cookies.get(cookie_name(services), "")), address)


class _Policies:
    """The decision point, asked from threads that wait for the answer: Streamlit runs each page in one of its own."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.decisions = PolicyDecisions(url, timeout_seconds)
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, name="policy-decisions", daemon=True).start()

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(question, self._loop).result()


@cache
def _policies_of(url: str, timeout_seconds: float) -> _Policies:
    return _Policies(url, timeout_seconds)
