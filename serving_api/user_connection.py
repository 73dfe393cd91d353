"""The connections of users: uvicorn's, but a question goes to the data path without a task or a cycle of ASGI.

What was not asked under one of QUESTION_PATHS goes uvicorn's ordinary way. A question has its turn among the requests of
its connection like any other: to uvicorn a Reply is a cycle of its own kind. A question with the head of the one before it on
its connection does not pass through the parser.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving_api.known_heads import KnownHead, remembered
from serving_api.openai_errors import RequestError, invalid

QUESTION_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
MAX_BODY_BYTES = 8 * 1024**2
MAX_BUFFERED_BYTES = 256 * 1024
"""Of an answer that its user does not read; the model server waits from there on."""
_OWN_HEADERS = (b"authorization", b"x-tuneway-user", b"x-tuneway-session")
_PATHS = {path.encode(): path for path in QUESTION_PATHS}


class Asked(Protocol):
    """A question that is being answered."""

    def leave(self) -> None:
        """The user has gone."""

    def go_on(self) -> None:
        """The user reads again."""


class Door(Protocol):
    """Who answers questions."""

    def ask(self, reply: "Reply") -> None:
        """Answer the question, now or later."""

    def send(self, reply: "Reply", sent: bytes, *, is_last: bool) -> None:
        """Call `reply.send` once the user may see these bytes."""


class _NobodyWaits:
    """uvicorn wakes here the application that waits for a body."""

    def set(self) -> None:
        """Nothing waits."""


@dataclass(frozen=True, slots=True, eq=False)
class QuestionHead:
    """What a question says before its body; empty what it does not say."""

    path: str
    authorization: str
    user: str
    session: str
    keep_alive: bool


class Reply:
    """A question as it came, and the way back to its user."""

    __slots__ = (
        "_connection",
        "asked",
        "disconnected",
        "has_turn",
        "head",
        "is_read",
        "parts",
        "response_complete",
        "size",
    )
    message_event = _NobodyWaits()

    def __init__(self, connection: "UserConnection", head: QuestionHead) -> None:
        self._connection = connection
        self.head = head
        self.parts: list[bytes] = []
        """Of the body."""
        self.size = 0
        self.is_read = False
        """The body is whole, or known to be too large."""
        self.has_turn = False
        """All that was asked before on this connection is answered."""
        self.asked: Asked | None = None
        self.disconnected = False
        self.response_complete = False

    @property
    def body(self) -> bytes:
        """Of the question."""
        parts = self.parts
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def is_held_back(self) -> bool:
        """The user does not read what was sent."""
        return self._connection.flow.write_paused

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        """Send an answer; `headers` end with a line break."""
        sent = b"%b%bcontent-length: %d\r\n\r\n%b" % (self._head(status), headers, len(body), body)
        self._connection.door.send(self, sent, is_last=True)

    def begin(self, status: int, headers: bytes, piece: bytes, *, is_last: bool) -> None:
        """Send the first piece of an answer whose length is not known."""
        head = self._head(status)
        sent = b"%b%btransfer-encoding: chunked\r\n\r\n%b" % (head, headers, _chunk(piece, is_last=is_last))
        self._connection.door.send(self, sent, is_last=is_last)

    def piece(self, piece: bytes, *, is_last: bool) -> None:
        """Send a further piece."""
        self._connection.door.send(self, _chunk(piece, is_last=is_last), is_last=is_last)

    def refuse(self, error: RequestError) -> None:
        """Send an error instead of an answer."""
        headers = b"".join([b"%b: %b\r\n" % header for header in error.headers if header[0] != b"content-length"])
        self.whole(error.status, headers, error.body)

    def _head(self, status: int) -> bytes:
        head = STATUS_LINE[status] + self._connection.common_headers()
        return head if self.head.keep_alive else head + b"connection: close\r\n"

    def send(self, sent: bytes, *, is_last: bool) -> None:
        """Put these bytes on the wire."""
        if not self.disconnected:
            self._connection.transport.write(sent)
        if is_last:
            self.response_complete = True
            self.asked = None
            self.parts = []
            if not self.disconnected:
                self._connection.answered(self)


class UserConnection(HttpToolsProtocol):
    """One connection of a user."""

    door: ClassVar[Door]
    _common: ClassVar[tuple[list[tuple[bytes, bytes]], bytes]] = ([], b"")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._parsed: Reply | None = None
        """The question that is being read."""
        self._current: Reply | None = None
        """The question that is being answered."""
        self._is_between = True
        """The parser has taken all of what it has begun."""
        self._begun = 0
        """Messages in what came last."""
        self._known: KnownHead[QuestionHead] | None = None
        """The head of the last question that came in one piece."""
        self._idle_since: float | None = None

    # what a Reply needs

    def common_headers(self) -> bytes:
        """Headers that every answer has: uvicorn makes them anew each second."""
        made_of, made = self._common
        headers = self.server_state.default_headers
        if made_of is not headers:
            made = b"".join([b"%b: %b\r\n" % header for header in headers])
            type(self)._common = headers, made
        return made

    def answered(self, reply: Reply) -> None:
        """The answer is on its way, and the next may follow."""
        self._current = None
        if not reply.head.keep_alive:
            self.transport.close()
        self.on_response_complete()

    # what the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Say how much may wait for the user."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=MAX_BUFFERED_BYTES)

    def data_received(self, data: bytes) -> None:
        """Answer a question whose head is known at once; the parser takes anything else."""
        self._idle_since = None
        cycle = self.cycle
        if not self._is_between or not (cycle is None or cycle.response_complete):
            super().data_received(data)
            return
        known = self._known
        body = None if known is None else known.body_of(data)
        if known is not None and body is not None:
            reply = Reply(self, known.found)
            reply.has_turn = reply.is_read = True
            reply.parts.append(body)
            reply.size = len(body)
            self.cycle = cast("RequestResponseCycle", reply)
            self._answer(reply)
            return
        self._begun = 0
        super().data_received(data)
        if self._begun == 1:
            self._remember(data)

    def _remember(self, data: bytes) -> None:
        """The parser has found one message in what came: the head of a question holds for the next."""
        reply = self._parsed
        if (
            reply is not None
            and reply.is_read
            and reply.head.keep_alive
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
        ):
            self._known = remembered(data, reply.body, reply.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """The user has left."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        reply = self._current
        if reply is not None:
            reply.disconnected = True
            if reply.asked is not None:
                reply.asked.leave()

    def resume_writing(self) -> None:
        """The user reads again."""
        super().resume_writing()
        if self._current is not None and self._current.asked is not None:
            self._current.asked.go_on()

    # what the parser calls

    def on_message_begin(self) -> None:
        """A request comes; whose it is, its head will tell."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._parsed = None
        self._is_between = False
        self._begun += 1

    def on_headers_complete(self) -> None:
        """Take a question, and leave the rest to uvicorn."""
        path = _question_path(self.url) if self.parser.get_method() == b"POST" else None
        if path is None:
            self._to_uvicorn()
            return
        # of a header that was sent twice the last one holds
        own = {name: value for name, value in self.headers if name in _OWN_HEADERS}
        authorization, user, session = (own.get(name, b"").decode(errors="replace") for name in _OWN_HEADERS)
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        reply = self._parsed = Reply(self, QuestionHead(path, authorization, user, session, keep_alive))
        before = self.cycle
        cycle = self.cycle = cast("RequestResponseCycle", reply)
        if before is None or before.response_complete:
            reply.has_turn = True
            if self.expect_100_continue:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _to_uvicorn(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        # the list is already in the scope
        self.headers.extend(headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the question."""
        reply = self._parsed
        if reply is None:
            super().on_body(body)
        elif not reply.is_read:
            reply.parts.append(body)
            reply.size += len(body)
            if reply.size > MAX_BODY_BYTES and reply.has_turn and not reply.is_read:
                reply.is_read = True
                reply.refuse(invalid(f"the body is larger than {MAX_BODY_BYTES} bytes", status=413))

    def on_message_complete(self) -> None:
        """The question is whole."""
        self._is_between = True
        reply = self._parsed
        if reply is None:
            super().on_message_complete()
        elif not reply.is_read:
            reply.is_read = True
            if reply.has_turn:
                self._answer(reply)

    # what uvicorn calls

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """The next of several requests has its turn."""
        reply: object = cycle
        if not isinstance(reply, Reply):
            super()._start_asgi_task(cycle, app)
            return
        reply.has_turn = True
        if reply.is_read:
            self._answer(reply)

    def on_response_complete(self) -> None:
        """Answer what waits, else wait for the next request.

        uvicorn sets a timer for each answer; here one goes on for as long as the connection is there.
        """
        if self.pipeline:
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _close_if_idle(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _answer(self, reply: Reply) -> None:
        self._current = reply
        if reply.size > MAX_BODY_BYTES:
            reply.refuse(invalid(f"the body is larger than {MAX_BODY_BYTES} bytes", status=413))
        else:
            self.door.ask(reply)


def connections_to(door: Door) -> type[UserConnection]:
    """The class of connections whose questions go through this door, for uvicorn's `http`."""
    return type("ConnectionOfThisDoor", (UserConnection,), {"door": door})


def _question_path(url: bytes) -> str | None:
    path = _PATHS.get(url)
    if path is None and b"v1/" in url:
        # with a query, as a whole URL, or with escapes
        path = _PATHS.get(unquote(httptools.parse_url(url).path.decode("ascii")).encode())
    return path


def _chunk(piece: bytes, *, is_last: bool) -> bytes:
    """A piece in the framing of HTTP/1.1's chunks."""
    if not piece:
        return b"0\r\n\r\n" if is_last else b""
    return (b"%x\r\n%b\r\n0\r\n\r\n" if is_last else b"%x\r\n%b\r\n") % (len(piece), piece)
