"""Who is logged in. A browser holds the random name of its session in a cookie; the API's tokens never leave this process."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from contracts.errors import UnauthorizedError
from security.identity.access_tokens import refused
from security.identity.opaque_tokens import hash_token
from stages.logins import identify, log_out, open_tokens, refresh
from stages.services import Services

if TYPE_CHECKING:
    from contracts.identity import Principal, TokenPair

REFRESH_BEFORE_SECONDS = 60.0
SEEN_SECONDS = 1.0
"""A page asks many times who its reader is; what changes an account is seen a second later, and by every action at once."""


def cookie_name(services: Services) -> str:
    """Browsers send a cookie to every port of a host: two installations on one keep theirs apart by the name."""
    return f"tuneway_session_{services.settings.ports['dashboard']}"


@dataclass(slots=True)
class Login:
    """One session with its newest tokens."""

    pair: TokenPair
    refresh_at: float
    ends_at: float
    seen: tuple[float, Principal] | None = None
    shelf: dict[str, object] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, pair: TokenPair) -> Login:
        """The session that begins with these tokens; times on the clock of `monotonic`."""
        now = monotonic()
        return cls(pair, now + pair.expires_in - REFRESH_BEFORE_SECONDS, now + pair.refresh_expires_in)


class Sessions:
    """The sessions of one installation's dashboard. They end with the process: everybody logs in again."""

    def __init__(self, services: Services) -> None:
        """Raises NotFoundError before the first `tuneway up`."""
        self._services = services
        self._tokens = open_tokens(services.settings)
        self._logins: dict[str, Login] = {}

    def open(self, pair: TokenPair) -> str:
        """Begin a session; its name, for the browser alone."""
        now = monotonic()
        for name, login in list(self._logins.items()):
            if login.ends_at <= now:
                self._logins.pop(name, None)
        name = secrets.token_urlsafe(32)
        self._logins[hash_token(name)] = Login.of(pair)
        return name

    def holds(self, name: str) -> bool:
        """There is such a session, as far as this process knows: for what needs no decision."""
        login = self._logins.get(hash_token(name))
        return login is not None and login.ends_at > monotonic()

    def principal(self, name: str, *, now: bool = False) -> Principal:
        """Whose session it is, as the database has it `now`, or had it a second ago; its tokens are refreshed by the way.

        Raises UnauthorizedError where the session ended or was ended.
        """
        login = self._logins.get(hash_token(name))
        if login is None:
            raise refused("no session")
        with login.lock:
            if not now and login.seen is not None and login.seen[0] > monotonic():
                return login.seen[1]
            try:
                if login.refresh_at <= monotonic():
                    renewed = Login.of(refresh(login.pair.refresh_token, self._tokens, self._services))
                    login.pair, login.refresh_at, login.ends_at = renewed.pair, renewed.refresh_at, renewed.ends_at
                principal = identify(login.pair.access_token, self._tokens, self._services)
            except UnauthorizedError:
                self._logins.pop(hash_token(name), None)
                raise
            login.seen = (monotonic() + SEEN_SECONDS, principal)
            return principal

    def shelf(self, name: str) -> dict[str, object]:
        """What pages put aside for the session: a reload finds it again, a logout ends it. Raises UnauthorizedError."""
        login = self._logins.get(hash_token(name))
        if login is None:
            raise refused("no session")
        return login.shelf

    def close(self, name: str, services: Services) -> None:
        """End the session with all its tokens; nothing where it has ended already."""
        try:
            principal = self.principal(name, now=True)
        except UnauthorizedError:
            return
        log_out(principal, services)
        self._logins.pop(hash_token(name), None)


def installation_of(services: Services) -> str:
    """What tells one installation from another within a process."""
    settings = services.settings
    return f"{settings.data_dir}|{settings.database_url}|{settings.port_base}"


def sessions_of(services: Services) -> Sessions:
    """The sessions of this installation, the same for every page of the process."""
    name = installation_of(services)
    with _opening:
        if name not in _open:
            _open[name] = Sessions(Services(services.settings))
        return _open[name]


_open: dict[str, Sessions] = {}
_opening = Lock()
