"""One question and its answer: asked of the servers of one model version, passed through, and kept."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.enums import AnswerStatus
from serving_api.destinations import Destination
from serving_api.event_log import line_with_body
from serving_api.openai_errors import RequestError, broken_off, unavailable
from serving_api.upstream import (
    Connection,
    ModelServer,
    ModelServers,
    StaleConnectionError,
    UpstreamError,
    UserLeftError,
)
from serving_api.user_connection import Reply

log = logging.getLogger(__name__)

AWAY_STATUSES = frozenset({404, 500, 502, 503, 504})
"""Answers of a model server that say that it, or the model in it, is away."""
_DONE = b"data: [DONE]"
# proxies on the way must neither gather nor repack the pieces
_STREAM_HEADERS = b"x-accel-buffering: no\r\ncache-control: no-cache, no-transform\r\n"


class _AwayError(UpstreamError):
    """The server said that it, or the model in it, is away."""

    def __init__(self, status: int, said: bytes) -> None:
        super().__init__(f"status {status}: {said[:500]!r}")
        self.status = status
        # a server without the model is a healthy server
        self.is_fault = status != 404


@dataclass(slots=True, eq=False)
class Exchange:
    """One question on its way: no task of its own, it goes on when its connection or its user has something for it."""

    request_id: str
    path: str
    """Of the endpoint, below the base URL."""
    payload: bytes
    """The question as the model server gets it."""
    query: str
    started: float
    asked_at: float
    """When it was asked, in seconds since 1970."""
    destination: Destination
    user_key: str
    session_id: str | None
    is_stream: bool
    reply: Reply
    servers: ModelServers
    keep: Callable[["Exchange"], None]
    """Called once, when `status` is set: before the user has the end of the answer."""
    status: AnswerStatus | None = None
    """None while it is on its way."""
    received: list[bytes] = field(default_factory=list)
    """Pieces of the answer."""
    answer: bytes = b""
    """All of it, once `status` is set."""
    first_piece_at: float | None = None
    """When the first piece of a streamed answer came."""
    upstream_s: float = 0.0
    """Time from the question's sending to the last byte of its answer."""
    total_s: float = 0.0
    """Time that all of it took, once `status` is set."""
    has_started: bool = False
    """The user has got a part of the answer."""
    _tried: list[ModelServer] = field(default_factory=list)
    _missing: int = 0
    """Servers that do not have the model, or not the path."""
    _server: ModelServer | None = None
    _connection: Connection | None = None
    _connecting: asyncio.Task[None] | None = None
    _sent_at: float = 0.0

    def begin(self) -> None:
        """Ask the servers of the model version in turn until one has begun to answer, and pass its answer through."""
        self.reply.asked = self
        self._ask_next()

    # what the user does

    def leave(self) -> None:
        """The user has gone: closing the connection makes the model server stop generating."""
        if self.status is not None:
            return
        if self._connecting is not None:
            self._connecting.cancel()
        whole = _DONE in b"".join(self.received[-4:])[-200:]
        self._let_go(UserLeftError("the user left"))
        # a user may close as soon as the last event is there
        self._end(AnswerStatus.COMPLETE if whole else AnswerStatus.ABANDONED)

    def go_on(self) -> None:
        """The user reads again."""
        if self._connection is not None:
            self._connection.resume()

    # what the connection does

    def came(self, connection: Connection) -> None:
        """Pass on what is there."""
        if connection.status in AWAY_STATUSES:
            if connection.is_ended:
                self.failed(_AwayError(connection.status, connection.taken()))
        elif self.is_stream:
            self._pass_piece(connection)
        elif connection.is_ended:
            self._pass_whole(connection)

    def failed(self, error: UpstreamError) -> None:
        """Ask another server while the user has nothing yet; else what follows is an event of the stream."""
        server = self._server
        self._let_go(error)
        if self.has_started:
            self._break_off(error)
            return
        if not isinstance(error, StaleConnectionError) and server is not None:
            log.warning("%s: %s did not answer: %s", self.request_id, server.base_url, error)
            self._missing += isinstance(error, _AwayError) and error.status == 404
            self._tried.append(server)
        self._ask_next()

    def line(self) -> bytes:
        """What is kept of it, for the journal. Only a whole answer carries its arm: any other counts in no comparison."""
        first = self.first_piece_at
        varying = {
            "request_id": self.request_id,
            "user_key": self.user_key,
            "session_id": self.session_id,
            "variant": self.destination.kept_arm if self.status is AnswerStatus.COMPLETE else None,
            "is_stream": self.is_stream,
            "asked_at": self.asked_at,
            "response_time_ms": round(self.total_s * 1000),
            "first_token_ms": None if first is None else round((first - self.started) * 1000),
            "status": self.status,
        }
        return line_with_body(self.destination.line, varying, self.answer, self.query)

    def _ask_next(self) -> None:
        server = self._server = self.servers.choose(self.destination.endpoint.base_urls, self._tried)
        if server is None:
            self._give_up()
            return
        server.chosen()
        connection = server.kept_connection()
        if connection is None:
            self._connecting = asyncio.create_task(self._connect(server))
        else:
            self._send(server, connection)

    async def _connect(self, server: ModelServer) -> None:
        try:
            connection = await server.new_connection()
        except UpstreamError as error:
            self._connecting = None
            self.failed(error)
        else:
            self._connecting = None
            self._send(server, connection)

    def _send(self, server: ModelServer, connection: Connection) -> None:
        self._connection = connection
        self._sent_at = time.perf_counter()
        server.ask(connection, self.path, self.request_id, self.payload, self)

    def _pass_whole(self, connection: Connection) -> None:
        body = connection.taken()
        self.received.append(body)
        self._ended_well(connection)
        self.reply.whole(connection.status, self._headers(connection), body)

    def _pass_piece(self, connection: Connection) -> None:
        piece = connection.taken()
        self.received.append(piece)
        is_last = connection.is_ended
        if self.has_started:
            if is_last:
                self._ended_well(connection)
            self.reply.piece(piece, is_last=is_last)
        else:
            self.has_started = True
            self.first_piece_at = time.perf_counter()
            server = self._server
            if server is not None and server.is_open:
                # a probe that has begun to answer need not end before others may ask
                server.succeeded()
            if is_last:
                self._ended_well(connection)
            self.reply.begin(connection.status, self._headers(connection) + _STREAM_HEADERS, piece, is_last=is_last)
        if not is_last and self.reply.is_held_back:
            connection.pause()

    def _ended_well(self, connection: Connection) -> None:
        self.upstream_s = connection.answered_at - self._sent_at
        server = self._server
        if server is not None:
            server.succeeded()
            server.release(connection)
        self._connection = None
        self._end(AnswerStatus.COMPLETE if connection.status == 200 else AnswerStatus.REFUSED)

    def _break_off(self, error: UpstreamError) -> None:
        self.upstream_s = time.perf_counter() - self._sent_at
        is_whole = _DONE in b"".join(self.received[-4:])[-200:]
        self._end(AnswerStatus.COMPLETE if is_whole else AnswerStatus.BROKEN)
        log.warning("%s: the answer broke off: %s", self.request_id, error)
        self.reply.piece(b"" if is_whole else broken_off(), is_last=True)

    def _give_up(self) -> None:
        self._end(AnswerStatus.FAILED)
        tried = len(self._tried)
        if tried and self._missing == tried and self.path != "/chat/completions":
            name = self.destination.served_model_name
            self.reply.refuse(
                RequestError(
                    404,
                    f"The model {name!r} does not offer {self.path}",
                    "invalid_request_error",
                    "not_offered",
                    "model",
                )
            )
        else:
            self.reply.refuse(unavailable())

    def _let_go(self, error: UpstreamError) -> None:
        server, connection = self._server, self._connection
        self._connection = None
        if server is not None:
            server.failed(error, time.monotonic())
            if connection is not None:
                server.release(connection)

    def _end(self, status: AnswerStatus) -> None:
        received, first = self.received, self.first_piece_at
        self.status = status
        self.answer = received[0] if len(received) == 1 else b"".join(received)
        self.total_s = time.perf_counter() - self.started
        self.destination.counts.ended(
            status,
            total_s=self.total_s,
            upstream_s=self.upstream_s,
            first_s=None if first is None else first - self.started,
            answer=self.answer,
        )
        self.keep(self)

    def _headers(self, connection: Connection) -> bytes:
        headers = b"content-type: %b\r\nx-tuneway-request-id: %b\r\n%b" % (
            connection.content_type,
            self.request_id.encode(),
            self.destination.headers,
        )
        return headers if connection.retry_after is None else headers + b"retry-after: %b\r\n" % connection.retry_after
