"""Who may ask on /v1 and how often: looked up and counted in memory, so that a question costs no query.

Keys are a snapshot of PostgreSQL, renewed each second with the routing table: one that was revoked is refused a second later.
While PostgreSQL or the control process is away the last snapshot holds, and each key's own expiry with it; a router that starts
begins with the one of minutes before, if there is such (remembered_state.py). What is counted is counted in this process: with
several of them, each lets the limit through.
"""

import math
import time
from collections.abc import Mapping

from security.identity.opaque_tokens import hash_token
from serving_api.openai_errors import RequestError
from serving_api.serving_state import ChatKey
from settings import Settings

PERIOD_SECONDS = 60.0
MOST_COUNTED = 100_000
_BEARER = "bearer "


class Rate:
    """So many at once, then one each 60 s / limit: the generic cell rate algorithm, as for the admin API."""

    def __init__(self, per_minute: int) -> None:
        """0 limits nothing."""
        self.per_minute = per_minute
        self._interval = PERIOD_SECONDS / per_minute if per_minute else 0.0
        self._arrivals: dict[str, float] = {}

    def wait(self, who: str, now: float) -> float:
        """Count a question: 0 where it may go on, else the seconds until the next one may. A refused one costs nothing."""
        arrivals = self._arrivals
        before = arrivals.get(who, now)
        arrival = (before if before > now else now) + self._interval
        if arrival > now + PERIOD_SECONDS:
            return arrival - now - PERIOD_SECONDS
        if len(arrivals) >= MOST_COUNTED and who not in arrivals:
            self._arrivals = arrivals = {one: until for one, until in arrivals.items() if until > now}
        arrivals[who] = arrival
        return 0.0


class ChatAccess:
    """The keys and rates of /v1."""

    def __init__(self, settings: Settings) -> None:
        self.keys: Mapping[str, ChatKey] | None = None
        """Those with which questions may be asked, by their hash; None before PostgreSQL was first read."""
        self._needs_key = settings.chat_key_required
        self._by_user = Rate(settings.chat_user_per_minute)
        self._by_key = Rate(settings.chat_key_per_minute)
        self._looks_at_keys = self._needs_key or bool(settings.chat_key_per_minute)

    def admit(self, authorization: str, user: str) -> None:
        """Return where the question may be asked; `user`: who asks, empty for nobody in particular.

        Raises RequestError: 401 without a good key where one is needed, 429 with Retry-After, 503 before the keys are known.
        """
        if self._looks_at_keys:
            self._admit_key(authorization)
        if user and self._by_user.per_minute:
            _refuse(self._by_user.wait(user, time.monotonic()), "user", self._by_user.per_minute)

    def _admit_key(self, authorization: str) -> None:
        if self.keys is None:
            raise RequestError(503, "The service is starting: the keys are not known yet", "server_error", "starting")
        key = None
        if authorization[: len(_BEARER)].lower() == _BEARER:
            key = self.keys.get(hash_token(authorization[len(_BEARER) :].strip()))
        if key is None or key.expires_at <= time.time():
            if self._needs_key:
                raise RequestError(
                    401,
                    "Give a key of this service with the scope chat:ask: Authorization: Bearer twk_...",
                    "invalid_request_error",
                    "invalid_api_key",
                )
            # OpenAI's clients send some text or other where no key is asked for
            return
        if self._by_key.per_minute:
            _refuse(self._by_key.wait(key.prefix, time.monotonic()), "key", self._by_key.per_minute)


def _refuse(wait: float, whose: str, per_minute: int) -> None:
    if wait > 0:
        seconds = math.ceil(wait)
        raise RequestError(
            429,
            f"This {whose} asks too often: at most {per_minute} questions a minute. Try again in {seconds} s",
            "requests",
            "rate_limit_exceeded",
            retry_after_s=seconds,
        )
