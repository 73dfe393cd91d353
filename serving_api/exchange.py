"""One question and its answer: asked of the servers of one model version, passed through, and kept."""

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from contracts.enums import AnswerStatus, Arm, Exposure
from contracts.models import ArmEndpoint
from serving_api.event_log import Event
from serving_api.openai_errors import RequestError, broken_off, unavailable
from serving_api.upstream import (
    Connection,
    ModelServer,
    ModelServers,
    StaleConnectionError,
    UpstreamError,
    UserLeftError,
)

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

AWAY_STATUSES = frozenset({404, 500, 502, 503, 504})
"""Answers of a model server that say that it, or the model in it, is away."""
_DONE = b"data: [DONE]"
_STREAM_HEADERS = [
    # proxies on the way must neither gather nor repack the pieces
    (b"x-accel-buffering", b"no"),
    (b"cache-control", b"no-cache, no-transform"),
]


class _AwayError(UpstreamError):
    """The server said that it, or the model in it, is away."""

    def __init__(self, status: int, said: bytes) -> None:
        super().__init__(f"status {status}: {said[:500]!r}")
        self.status = status
        # a server without the model is a healthy server
        self.is_fault = status != 404


@dataclass(slots=True)
class Exchange:
    """One question on its way."""

    request_id: str
    path: str
    """Of the endpoint, below the base URL."""
    body: dict[str, Any]
    query: str
    started: float
    asked_at: float
    """When it was asked, in seconds since 1970."""
    endpoint: ArmEndpoint
    """Who is to answer: this model version and no other."""
    table_version: str
    experiment_id: int | None
    exposure: Exposure
    assigned: Arm | None
    """Arm of the experiment whose model answers."""
    user_key: str
    session_id: str | None
    is_stream: bool
    status: AnswerStatus | None = None
    """None while it is on its way."""
    received: list[bytes] = field(default_factory=list)
    first_piece_at: float | None = None
    """When the first piece of a streamed answer came."""
    upstream_s: float = 0.0
    """Time from the question's sending to the last byte of its answer."""
    connection: Connection | None = None
    has_left: bool = False
    has_started: bool = False
    """The user has got a part of the answer."""

    def leave(self) -> None:
        """The user has gone: closing the connection makes the model server stop generating."""
        self.has_left = True
        if self.connection is not None:
            self.connection.close(UserLeftError("the user left"))

    def event(self) -> Event:
        """What is kept of it. Only a whole answer carries its arm: any other counts in no comparison."""
        whole = b"".join(self.received)
        is_complete = self.status is AnswerStatus.COMPLETE
        arm = self.assigned.value if self.exposure is Exposure.ASSIGNED and self.assigned is not None else None
        first = self.first_piece_at
        return {
            "kind": "answer",
            "request_id": self.request_id,
            "experiment_id": self.experiment_id,
            "user_key": self.user_key,
            "session_id": self.session_id,
            "variant": arm if is_complete else None,
            "assigned_variant": arm,
            "model_id": self.endpoint.model_id,
            "query": self.query,
            "body": whole.decode(errors="replace"),
            "is_stream": self.is_stream,
            "asked_at": self.asked_at,
            "response_time_ms": round((time.perf_counter() - self.started) * 1000),
            "first_token_ms": None if first is None else round((first - self.started) * 1000),
            "exposure": self.exposure.value,
            "status": None if self.status is None else self.status.value,
            "table_version": self.table_version,
        }


async def answer(exchange: Exchange, servers: ModelServers, keep: Callable[[Exchange], None], send: Send) -> None:
    """Ask the servers of the model version in turn until one has begun to answer, and pass its answer through.

    `keep` is called once, before the user has the end of the answer. Raises RequestError while nothing was sent.
    """
    payload = orjson.dumps({**exchange.body, "model": exchange.endpoint.served_model_name})
    tried: list[ModelServer] = []
    missing = 0
    while (server := servers.choose(exchange.endpoint.base_urls, tried)) is not None:
        try:
            await _pass_through(exchange, server, payload, keep, send)
        except UpstreamError as error:
            server.failed(error, time.monotonic())
            if exchange.has_left:
                _end(exchange, AnswerStatus.ABANDONED, keep)
                return
            if isinstance(error, StaleConnectionError):
                continue
            log.warning("%s: %s did not answer: %s", exchange.request_id, server.base_url, error)
            missing += isinstance(error, _AwayError) and error.status == 404
            tried.append(server)
        else:
            return
    _end(exchange, AnswerStatus.FAILED, keep)
    if missing and missing == len(tried) and exchange.path != "/chat/completions":
        name = exchange.endpoint.served_model_name
        raise RequestError(
            404, f"The model {name!r} does not offer {exchange.path}", "invalid_request_error", "not_offered", "model"
        )
    raise unavailable()


async def _pass_through(
    exchange: Exchange, server: ModelServer, payload: bytes, keep: Callable[[Exchange], None], send: Send
) -> None:
    connection = await server.ask(exchange.path, exchange.request_id, payload)
    sent_at = time.perf_counter()
    exchange.connection = connection
    try:
        if exchange.has_left:
            raise UserLeftError("the user left")
        if exchange.is_stream:
            await connection.head()
            if connection.status in AWAY_STATUSES:
                raise _AwayError(connection.status, await connection.body())
            await _pass_stream(exchange, server, connection, sent_at, keep, send)
            return
        body = await connection.body()
        if connection.status in AWAY_STATUSES:
            raise _AwayError(connection.status, body)
        server.succeeded()
        exchange.received.append(body)
        exchange.upstream_s = connection.answered_at - sent_at
        _end(exchange, AnswerStatus.COMPLETE if connection.status == 200 else AnswerStatus.REFUSED, keep)
        headers = _headers(exchange, connection)
        headers.append((b"content-length", str(len(body)).encode()))
        exchange.has_started = True
        await send({"type": "http.response.start", "status": connection.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    finally:
        exchange.connection = None
        server.release(connection)


async def _pass_stream(
    exchange: Exchange,
    server: ModelServer,
    connection: Connection,
    sent_at: float,
    keep: Callable[[Exchange], None],
    send: Send,
) -> None:
    """Pass on each piece as it comes; what fails after the first one becomes an event of the stream."""
    received = exchange.received
    piece = await connection.piece()
    exchange.first_piece_at = time.perf_counter()
    if server.is_open:
        # a probe that has begun to answer need not end before others may ask
        server.succeeded()
    start = {
        "type": "http.response.start",
        "status": connection.status,
        "headers": _headers(exchange, connection) + _STREAM_HEADERS,
    }
    try:
        while True:
            received.append(piece)
            is_whole = connection.is_whole
            if is_whole:
                server.succeeded()
                exchange.upstream_s = connection.answered_at - sent_at
                _end(exchange, AnswerStatus.COMPLETE if connection.status == 200 else AnswerStatus.REFUSED, keep)
            if not exchange.has_started:
                exchange.has_started = True
                await send(start)
            await send({"type": "http.response.body", "body": piece, "more_body": not is_whole})
            if is_whole:
                return
            piece = await connection.piece()
    except UpstreamError as error:
        server.failed(error, time.monotonic())
        exchange.upstream_s = time.perf_counter() - sent_at
        if _DONE in b"".join(received[-4:])[-200:]:
            # a user may close as soon as the last event is there
            status = AnswerStatus.COMPLETE
        else:
            status = AnswerStatus.ABANDONED if exchange.has_left else AnswerStatus.BROKEN
        _end(exchange, status, keep)
        if not exchange.has_left:
            log.warning("%s: the answer broke off: %s", exchange.request_id, error)
            said = b"" if status is AnswerStatus.COMPLETE else broken_off()
            await send({"type": "http.response.body", "body": said})


def _end(exchange: Exchange, status: AnswerStatus, keep: Callable[[Exchange], None]) -> None:
    if exchange.status is None:
        exchange.status = status
        keep(exchange)


def _headers(exchange: Exchange, connection: Connection) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", connection.content_type),
        (b"x-tuneway-request-id", exchange.request_id.encode()),
        (b"x-tuneway-model", exchange.endpoint.served_model_name.encode()),
    ]
    if exchange.assigned is not None:
        headers.append((b"x-tuneway-arm", exchange.assigned.value.encode()))
    if connection.retry_after is not None:
        headers.append((b"retry-after", connection.retry_after))
    return headers
