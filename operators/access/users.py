"""Whoever uses Airflow: an account of the platform, or the platform itself."""

from __future__ import annotations

import hmac
import threading
import time
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

from contracts.errors import UnauthorizedError
from contracts.identity import PLATFORM_USER, Principal
from security.identity.access_tokens import refused
from security.identity.opaque_tokens import key_prefix
from settings import SecretName, read_secret
from stages.logins import count_login, identify, log_in, open_tokens, still_admitted, wrong_login

if TYPE_CHECKING:
    from stages.services import Services

REMEMBERED_SECONDS = 2.0
"""For so long a disabled account or an ended session may still be let in; a page makes dozens of requests."""
MOST_REMEMBERED = 1000


class AirflowUser(BaseUser):
    """Somebody who has logged in to Airflow."""

    def __init__(self, principal: Principal | None) -> None:
        """`principal`: None for the platform itself."""
        self.principal = principal

    def get_id(self) -> str:
        """The user name."""
        return PLATFORM_USER if self.principal is None else self.principal.username

    def get_name(self) -> str:
        """The user name."""
        return self.get_id()


def admit(username: str, password: str, services: Services, *, source: str) -> AirflowUser:
    """Let in by a person's password, by a service account's key in its place, or by the platform's own secret.

    Raises UnauthorizedError, TooManyRequestsError, UnavailableError.
    """
    if username == PLATFORM_USER:
        known = read_secret(services.settings.secrets_dir, SecretName.AIRFLOW_PLATFORM_PASSWORD)
        if not hmac.compare_digest(password.encode(), known.encode()):
            count_login(source, services)
            raise wrong_login()
        return AirflowUser(None)
    count_login(source, services)
    tokens = open_tokens(services.settings)
    if key_prefix(password) is not None:
        principal = identify(password, tokens, services)
        if principal.username != username:
            raise wrong_login()
        return AirflowUser(principal)
    pair = log_in(username, password, tokens, services, source=source)
    return AirflowUser(identify(pair.access_token, tokens, services))


def to_claims(user: AirflowUser) -> dict[str, Any]:
    """What Airflow's token keeps of a user: by what they were let in. What they may do is looked up at each request."""
    principal = user.principal
    if principal is None:
        return {"sub": PLATFORM_USER, "by": "platform"}
    if principal.session_id is not None:
        return {"sub": principal.username, "by": "session", "session": principal.session_id}
    return {"sub": principal.username, "by": "key", "key": principal.token_id}


class Admitted:
    """Users by the claims of their tokens, as the database has them now."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._remembered: dict[tuple[str, str], tuple[float, AirflowUser]] = {}

    def user(self, claims: dict[str, Any]) -> AirflowUser:
        """Raises UnauthorizedError where whoever it was is let in no more."""
        by, username = str(claims.get("by")), str(claims.get("sub"))
        if by == "platform" and username == PLATFORM_USER:
            return AirflowUser(None)
        proof = str(claims.get(by) or "") if by in {"session", "key"} else ""
        if not proof:
            raise refused("a token of another kind")
        now = time.monotonic()
        with self._lock:
            until, user = self._remembered.get((by, proof), (0.0, None))
        if user is not None and until > now:
            return user
        user = AirflowUser(self._looked_up(username, by, proof))
        with self._lock:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[by, proof] = now + REMEMBERED_SECONDS, user
        return user

    def forget(self, claims: dict[str, Any]) -> None:
        """What was remembered of these claims counts no more."""
        by = str(claims.get("by"))
        with self._lock:
            self._remembered.pop((by, str(claims.get(by) or "")), None)

    def _looked_up(self, username: str, by: str, proof: str) -> Principal:
        if by == "session":
            return still_admitted(username, self._services, session_id=proof)
        principal = still_admitted(username, self._services, key=proof)
        if principal.username != username:
            raise UnauthorizedError("The key belongs to somebody else", value=username)
        return principal
