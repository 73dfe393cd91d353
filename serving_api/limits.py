"""What is refused before it costs anything: too many calls of one address, too large a body, JSON nested too deep."""

import logging
import math
import time
from collections.abc import Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.audit import acting_from
from contracts.errors import InvalidRequestError, TooManyRequestsError, TunewayError, UnavailableError
from security.limits.addresses import bucket_of, client_address
from security.limits.json_depth import json_depth
from serving_api.problems import problem
from stages.services import Services

PERIOD_SECONDS = 60.0
DEEPEST_JSON = 32
LOGIN_PATHS = frozenset(
    {
        "/api/v1/auth/login",
        "/api/v1/auth/refresh",
        "/api/v1/auth/password",
        "/api/v1/auth/oidc/login",
        "/api/v1/auth/oidc/callback",
    }
)
UPLOAD_PATH, PARTS_PATH = "/api/v1/admin/training/datasets", "/api/v1/admin/training/uploads/"
UNCOUNTED = frozenset({"/health"})
"""What monitoring asks all the time; it looks nothing up."""
TIDY_EVERY = 1000
MOST_REMEMBERED = 10_000

_log = logging.getLogger(__name__)


class Limits:
    """An ASGI middleware; paths that do not exist count like all others."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._blocked_until: dict[str, float] = {}
        self._hits = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413, 422, 429 or 503."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
        address = self._address(scope, headers)
        # whoever is written into the audit trail is whoever is counted
        scope["client"] = (address, 0)
        try:
            wait = await self._wait(scope["path"], bucket_of(address))
        except UnavailableError as error:
            await problem(error)(scope, receive, send)
            return
        if wait > 0:
            await problem(_too_many(wait), retry_after_seconds=math.ceil(wait))(scope, receive, send)
            return
        if _is_streamed(scope):
            try:
                _refuse_nul(scope, b"")
            except _RefusedBodyError as refused:
                await problem(refused.error, refused.status)(scope, receive, send)
                return
            with acting_from(address):
                await self._app(scope, receive, send)
            return
        try:
            body = await self._body(headers, receive)
            _refuse_nul(scope, body or b"")
        except _RefusedBodyError as refused:
            await problem(refused.error, refused.status)(scope, receive, send)
            return
        if body is None:
            return
        with acting_from(address):
            await self._app(scope, _replayed(body, receive), send)

    def _address(self, scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> str:
        peer = scope["client"][0] if scope.get("client") else "unknown"
        forwarded = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
        return client_address(peer, forwarded, self._services.settings.trusted_proxies)

    async def _wait(self, path: str, address: str) -> float:
        """Seconds to wait, 0 for none. Raises UnavailableError for a login that cannot be counted."""
        settings = self._services.settings
        is_login = path in LOGIN_PATHS
        bucket = f"{'login' if is_login else 'call'}:{address}"
        now = time.monotonic()
        # refused requests move nothing in the database: until then the answer is known, and a flood costs no query
        remembered = self._blocked_until.get(bucket, 0.0) - now
        if remembered > 0:
            return remembered
        limit = settings.logins_per_minute if is_login else settings.requests_per_minute
        try:
            wait = await run_in_threadpool(self._hit, bucket, limit)
        except UnavailableError:
            if is_login:
                raise
            _log.warning("requests are not counted: PostgreSQL does not answer")
            return 0.0
        self._blocked_until.pop(bucket, None)
        if wait > 0:
            if len(self._blocked_until) >= MOST_REMEMBERED:
                self._blocked_until.clear()
            self._blocked_until[bucket] = now + wait
        return wait

    def _hit(self, bucket: str, limit: int) -> float:
        self._hits += 1
        with self._services.unit_of_work() as uow:
            if self._hits % TIDY_EVERY == 0:
                uow.limits.forget_idle()
            return uow.limits.hit(bucket, limit, PERIOD_SECONDS)

    async def _body(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> bytes | None:
        """The whole body; None where the caller left before its end."""
        most = int(self._services.settings.max_body_mb * 1_000_000)
        declared = next((value for name, value in headers if name == b"content-length"), b"0")
        if not declared.isdigit() or len(declared) > 15 or int(declared) > most:
            raise _too_large(declared[:20].decode("latin-1"), most)
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if len(body) > most:
                raise _too_large(f"more than {most}", most)
            if not message.get("more_body", False):
                break
        if (depth := json_depth(bytes(body))) > DEEPEST_JSON:
            error = InvalidRequestError(
                "The JSON is nested too deep",
                value=depth,
                allowed=f"{DEEPEST_JSON} levels",
                next_step="send it flatter",
            )
            raise _RefusedBodyError(error, 422)
        return bytes(body)


def _is_streamed(scope: Scope) -> bool:
    """A file: its endpoint reads it as it comes, and counts its bytes."""
    return (scope["method"], scope["path"]) == ("POST", UPLOAD_PATH) or (
        scope["method"] == "PATCH" and scope["path"].startswith(PARTS_PATH)
    )


def _refuse_nul(scope: Scope, body: bytes) -> None:
    """PostgreSQL's texts hold no NUL: no such text can name anything here."""
    in_address = "\0" in scope["path"] or b"%00" in scope.get("query_string", b"")
    if in_address or b"\0" in body or b"\\u0000" in body:
        error = InvalidRequestError("The request has a NUL character", next_step="send the text without it")
        raise _RefusedBodyError(error, 422)


class _RefusedBodyError(Exception):
    def __init__(self, error: TunewayError, status: int) -> None:
        super().__init__(error.what)
        self.error = error
        self.status = status


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then what comes after it."""
    pending: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _too_large(value: str, most: int) -> _RefusedBodyError:
    error = InvalidRequestError(
        "The body is too large", value=f"{value} bytes", allowed=f"{most} bytes", next_step="send less at a time"
    )
    return _RefusedBodyError(error, 413)


def _too_many(wait: float) -> TooManyRequestsError:
    return TooManyRequestsError(
        "This address asks too often",
        allowed="see TUNEWAY_REQUESTS_PER_MINUTE and TUNEWAY_LOGINS_PER_MINUTE",
        next_step=f"try again in {math.ceil(wait)} s",
    )
