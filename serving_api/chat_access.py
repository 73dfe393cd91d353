"""Who may ask on /v1 and how often: looked up and counted in memory, so that a question costs no query.

Keys are a snapshot of PostgreSQL, renewed each second, as the routing table is: one that was revoked is refused a second
later. While PostgreSQL is away the last snapshot holds, and each key's own expiry with it. What is counted is counted in
this process: with several of them, each lets the limit through.
"""

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.record import utc_now
from security.identity.opaque_tokens import hash_token
from security.identity.scopes import covers
from serving_api.openai_errors import RequestError
from stages.services import Services

REFRESH_SECONDS = 1.0
PERIOD_SECONDS = 60.0
MOST_COUNTED = 100_000
SCOPE = ("chat", "ask")
_BEARER = "bearer "

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChatKey:
    """A key with which questions may be asked."""

    prefix: str
    expires_at: float
    """Seconds since 1970."""


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

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self._services = services
        self._keys: Mapping[str, ChatKey] | None = None
        self._needs_key = settings.chat_key_required
        self._by_user = Rate(settings.chat_user_per_minute)
        self._by_key = Rate(settings.chat_key_per_minute)
        self._reads_keys = self._needs_key or bool(settings.chat_key_per_minute)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the keys, then again each second; nothing where no key is asked for."""
        if self._reads_keys:
            await self._refresh()
            self._task = asyncio.create_task(self._refresh_forever())

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def admit(self, authorization: str, user: str) -> None:
        """Return where the question may be asked; `user`: who asks, empty for nobody in particular.

        Raises RequestError: 401 without a good key where one is needed, 429 with Retry-After, 503 before the keys are known.
        """
        if self._reads_keys:
            self._admit_key(authorization)
        if user and self._by_user.per_minute:
            _refuse(self._by_user.wait(user, time.monotonic()), "user", self._by_user.per_minute)

    def _admit_key(self, authorization: str) -> None:
        if self._keys is None:
            raise RequestError(503, "The service is starting: the keys are not known yet", "server_error", "starting")
        key = None
        if authorization[: len(_BEARER)].lower() == _BEARER:
            key = self._keys.get(hash_token(authorization[len(_BEARER) :].strip()))
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

    async def _refresh(self) -> None:
        try:
            self._keys = await asyncio.to_thread(read_chat_keys, self._services, utc_now())
        except Exception:
            # the edge of a background task: the last keys stay, and the next second tries again
            log.exception("the keys could not be read")

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._refresh()


def read_chat_keys(services: Services, now: datetime) -> dict[str, ChatKey]:
    """The good keys of active accounts that may ask, by their hash. Raises UnavailableError."""
    with services.unit_of_work() as uow:
        return {
            key.key_hash: ChatKey(key.details.prefix, key.details.expires_at.timestamp())
            for key in uow.api_keys.good(now)
            if covers(key.details.scopes, *SCOPE)
        }


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
