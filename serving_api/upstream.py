"""Model servers as the data path sees them: kept connections, and a circuit breaker for each server.

A client of our own, because it runs for every streamed piece: an asyncio protocol under llhttp's parser costs a tenth
of what a general HTTP client does. It speaks to servers inside the site only.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from serving_api.known_heads import KnownHead, remembered

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 2.0
# From the question to the first byte; of an answer that is not streamed this is all of it, behind a full queue.
FIRST_BYTE_TIMEOUT_S = 600.0
# Between two pieces of an answer that has begun.
IDLE_TIMEOUT_S = 120.0
# Less than the 60 s or more after which model servers close a connection that nobody uses.
KEEP_ALIVE_S = 30.0
SWEEP_S = 0.25
RECEIVE_BUFFER_BYTES = 512 * 1024
_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})

FAILURES_TO_OPEN = 3
OPEN_S = 1.0
MAX_OPEN_S = 8.0


class UpstreamError(Exception):
    """The model server did not answer, or not to the end."""

    is_fault = True
    """Whether it counts against the server."""


class StaleConnectionError(UpstreamError):
    """A connection kept from before was closed as the question came: a new one may well be answered."""

    is_fault = False


class UserLeftError(UpstreamError):
    """The user did not wait for the answer."""

    is_fault = False


class Asker(Protocol):
    """Who put a question to a model server; called from the event loop, never from within its own calls."""

    def came(self, connection: "Connection") -> None:
        """A further part of the answer is there, or its end."""

    def failed(self, error: UpstreamError) -> None:
        """Nothing more comes; the connection is closed."""


@dataclass(frozen=True, slots=True, eq=False)
class AnswerHead:
    """What an answer says before its body."""

    status: int
    content_type: bytes
    retry_after: bytes | None
    is_kept: bool


class Connection(asyncio.Protocol):
    """One connection, for one question at a time."""

    def __init__(self, server: "ModelServer") -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._asker: Asker | None = None
        self._is_used = False
        self._is_stale = False
        self._is_closed = False
        self._is_paused = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        """0 before the headers have come."""
        self.content_type = b"application/json"
        self.retry_after: bytes | None = None
        self.answered_at = 0.0
        """When the last byte came, by time.perf_counter."""
        self.is_ended = False
        """The answer is whole."""
        self._pieces: list[bytes] = []
        self._heads = 0
        self._has_length = False
        self._is_kept = False
        self._has_begun = False
        self._deadline = 0.0

    def ask(self, request: bytes, asker: Asker) -> None:
        """Send a question."""
        assert self._transport is not None, "asked after it was connected"
        self._is_stale = self._is_used
        if self._is_used:
            self._begin()
        self._is_used = True
        self._asker = asker
        self._deadline = self._loop.time() + FIRST_BYTE_TIMEOUT_S
        self._transport.write(request)

    def taken(self) -> bytes:
        """What has come since the last call."""
        pieces = self._pieces
        if len(pieces) == 1:
            return pieces.pop()
        self._pieces = []
        return b"".join(pieces)

    def pause(self) -> None:
        """Let the server wait: what it has sent is not read by anyone."""
        if self._transport is not None and not self._is_paused and not self.is_ended:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and self._is_paused:
            self._is_paused = False
            self._deadline = self._loop.time() + IDLE_TIMEOUT_S
            self._transport.resume_reading()

    def close(self) -> None:
        """Close at once, and with it the work at the other end."""
        self._asker = None
        self._is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def give_up(self, error: UpstreamError) -> None:
        """Close at once; who waits for the answer gets the error."""
        asker = self._asker
        self.close()
        if asker is not None:
            asker.failed(error)

    def let_go(self) -> bool:
        """Nobody waits for this answer any more; whether another question can be asked here."""
        self._asker = None
        self._deadline = 0.0
        return self.is_ended and self._is_kept and not self._is_closed and not self._is_paused

    def close_if_late(self, now: float) -> None:
        """End an answer that has taken too long."""
        if self._deadline and now > self._deadline and not self._is_paused:
            self.give_up(UpstreamError("no first byte in time" if not self._has_begun else "no further byte in time"))

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send small writes at once, and hold back a model server whose user does not read."""
        # uvloop's transports are not of asyncio's class
        self._transport = cast("asyncio.Transport", transport)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # left to itself, Linux lets a connection that nobody reads from take up to tcp_rmem: 32 MiB and more
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Take what came apart, and tell who asked."""
        is_first = not self._has_begun
        self._has_begun = True
        if is_first and (known := self._server.known_head) is not None and self._asker is not None:
            body = known.body_of(data)
            if body is not None:
                self._take(known.found, body)
                return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if self._pieces and self._asker is not None:
                # what came before is still the user's
                self._asker.came(self)
            self.give_up(UpstreamError(f"no HTTP: {error}"))
            return
        asker = self._asker
        if asker is None:
            # nobody asked for this
            self._server.forget(self)
            self.close()
        elif self.is_ended:
            self.answered_at = time.perf_counter()
            self._deadline = 0.0
            if is_first and self._heads == 1 and self._pieces:
                found = AnswerHead(self.status, self.content_type, self.retry_after, self._is_kept)
                self._server.known_head = remembered(data, self._pieces[0], found)
            asker.came(self)
        else:
            self._deadline = self._loop.time() + IDLE_TIMEOUT_S
            if self._pieces:
                asker.came(self)

    def _take(self, head: AnswerHead, body: bytes) -> None:
        """A whole answer under a known head."""
        self.status, self.content_type, self.retry_after = head.status, head.content_type, head.retry_after
        self._is_kept = head.is_kept
        self._has_length = self.is_ended = True
        self._pieces.append(body)
        self._deadline = 0.0
        self.answered_at = time.perf_counter()
        if self._asker is not None:
            self._asker.came(self)

    def connection_lost(self, error: Exception | None) -> None:
        """End what was under way."""
        self._is_closed = True
        self._deadline = 0.0
        self._server.forget(self)
        asker = self._asker
        if asker is None:
            return
        if self.status and not self._has_length and error is None:
            # without a length the end of the connection is the end of the answer
            self.is_ended = True
            self.answered_at = time.perf_counter()
            asker.came(self)
            return
        self._asker = None
        if self._is_stale and not self._has_begun:
            asker.failed(StaleConnectionError("a kept connection was closed"))
        else:
            asker.failed(UpstreamError(f"the connection broke: {error or 'closed'}"))

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that matter."""
        name = name.lower()
        if name == b"content-type":
            self.content_type = value
        elif name in _LENGTHS:
            self._has_length = True
        elif name == b"retry-after":
            self.retry_after = value

    def on_headers_complete(self) -> None:
        """The head is here, or that of a 1xx before it."""
        self._heads += 1
        status = self._parser.get_status_code()
        # 1xx says that the answer is still to come
        self.status = status if status >= 200 else 0
        # asked after the end, the parser knows nothing of this answer any more
        self._is_kept = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the answer."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self.is_ended = bool(self.status)


class ModelServer:
    """One server: its kept connections and its circuit breaker.

    The breaker opens after failures in a row and lets one question through when its time is over (half open): an
    answer closes it, a failure opens it again for twice as long.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self.base_url = base_url
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._is_tls = parts.scheme == "https"
        self._heads = {
            path: f"POST {parts.path}{path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n".encode()
            for path in ("/chat/completions", "/completions", "/embeddings")
        }
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._connecting = 0
        self.known_head: KnownHead[AnswerHead] | None = None
        """Of its last answer that came in one piece."""
        self.asked = 0
        """Questions so far."""
        self._failures = 0
        self._open_s = OPEN_S
        self._open_until = 0.0
        self._is_probing = False

    @property
    def in_flight(self) -> int:
        """Questions that it answers now."""
        return len(self._busy) + self._connecting

    def is_available(self, now: float) -> bool:
        """The breaker lets a question through."""
        return not self._open_until or (now >= self._open_until and not self._is_probing)

    @property
    def is_open(self) -> bool:
        """The breaker is open, or half open."""
        return bool(self._open_until)

    def kept_connection(self) -> Connection | None:
        """One that an earlier question left."""
        return self._idle.pop() if self._idle else None

    async def new_connection(self) -> Connection:
        """Raises UpstreamError."""
        self._connecting += 1
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=self._is_tls or None
                )
        except (OSError, TimeoutError) as error:
            raise UpstreamError(f"no connection: {type(error).__name__}: {error}") from error
        finally:
            self._connecting -= 1
        return connection

    def ask(self, connection: Connection, path: str, request_id: str, payload: bytes, asker: Asker) -> None:
        """Send the question; what becomes of it the asker is told."""
        self._busy.add(connection)
        request = b"%bX-Request-Id: %b\r\nContent-Length: %d\r\n\r\n%b"
        connection.ask(request % (self._heads[path], request_id.encode(), len(payload), payload), asker)

    def chosen(self) -> None:
        """A question is about to be asked of it: while the breaker is open this is the one that may."""
        self._is_probing = bool(self._open_until)
        self.asked += 1

    def release(self, connection: Connection) -> None:
        """Keep the connection of an answer that was read to its end; close any other."""
        self._busy.discard(connection)
        if connection.let_go():
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()

    def forget(self, connection: Connection) -> None:
        """The connection has ended."""
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def succeeded(self) -> None:
        """It answered."""
        if not self._failures and not self._open_until:
            return
        if self._open_until:
            log.info("%s answers again", self.base_url)
        self._failures, self._open_s, self._open_until, self._is_probing = 0, OPEN_S, 0.0, False

    def failed(self, error: UpstreamError, now: float) -> None:
        """It did not; an error that is not its fault only ends the probe."""
        self._is_probing = False
        if not error.is_fault:
            return
        self._failures += 1
        if self._open_until:
            self._open_s = min(2 * self._open_s, MAX_OPEN_S)
            self._open_until = now + self._open_s
        elif self._failures >= FAILURES_TO_OPEN:
            log.warning("%s failed %d times in a row and is left alone: %s", self.base_url, self._failures, error)
            self._open_until = now + self._open_s

    def sweep(self, loop_now: float, now: float) -> None:
        """End answers that take too long, and connections that nobody uses."""
        for connection in list(self._busy):
            connection.close_if_late(loop_now)
        for connection in [kept for kept in self._idle if now - kept.idle_since > KEEP_ALIVE_S]:
            self._idle.remove(connection)
            connection.close()

    def close(self) -> None:
        """Close every connection."""
        for connection in self._idle:
            connection.close()
        for connection in list(self._busy):
            connection.give_up(UpstreamError("the router stops"))


class ModelServers:
    """Every server by its base URL, and the clock that ends what takes too long."""

    def __init__(self) -> None:
        self._by_url: dict[str, ModelServer] = {}
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the clock."""
        self._sweeping = asyncio.create_task(self._sweep_forever())

    async def stop(self) -> None:
        """Close every connection."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        for server in self.all():
            server.close()

    def all(self) -> list[ModelServer]:
        """Every server that was asked so far."""
        return list(self._by_url.values())

    def server(self, base_url: str) -> ModelServer:
        """The server at the URL."""
        found = self._by_url.get(base_url)
        if found is None:
            found = self._by_url[base_url] = ModelServer(base_url)
        return found

    def choose(self, base_urls: Sequence[str], tried: Sequence[ModelServer]) -> ModelServer | None:
        """The least busy of those not tried yet whose breaker lets a question through."""
        if len(base_urls) == 1:
            # most model versions have one server
            only = self.server(base_urls[0])
            if tried or (only.is_open and not only.is_available(time.monotonic())):
                return None
            return only
        now = time.monotonic()
        free = [server for server in map(self.server, base_urls) if server not in tried and server.is_available(now)]
        if len(free) < 2:
            return free[0] if free else None
        return min(free, key=lambda server: (server.in_flight, server.asked))

    async def _sweep_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            loop_now, now = loop.time(), time.monotonic()
            for server in self.all():
                server.sweep(loop_now, now)
