"""Model servers as the data path sees them: kept connections, and a circuit breaker for each server.

A client of our own, because it runs for every streamed piece: an asyncio protocol under llhttp's parser costs a tenth
of what a general HTTP client does. It speaks to servers inside the site only.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 2.0
# From the question to the first byte; of an answer that is not streamed this is all of it, behind a full queue.
FIRST_BYTE_TIMEOUT_S = 600.0
# Between two pieces of an answer that has begun.
IDLE_TIMEOUT_S = 120.0
# Less than the 60 s or more after which model servers close a connection that nobody uses.
KEEP_ALIVE_S = 30.0
SWEEP_S = 0.25
MAX_BUFFERED_BYTES = 256 * 1024
"""Of an answer that its user does not read; the model server waits from there on."""

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


class Connection(asyncio.Protocol):
    """One connection, for one question at a time."""

    def __init__(self, server: "ModelServer") -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._is_used = False
        self._is_stale = False
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
        self.error: UpstreamError | None = None
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._wants_all = True
        self._has_length = False
        self._is_kept = False
        self._has_begun = False
        self._is_ended = False
        self._deadline = 0.0

    def ask(self, request: bytes) -> None:
        """Send a question."""
        assert self._transport is not None, "asked after it was connected"
        self._is_stale = self._is_used
        self._is_used = True
        self._begin()
        self._deadline = self._loop.time() + FIRST_BYTE_TIMEOUT_S
        self._transport.write(request)

    async def head(self) -> None:
        """Wait for the status and the headers. Raises UpstreamError."""
        self._wants_all = False
        while not self.status:
            await self._wait()

    async def body(self) -> bytes:
        """The whole answer. Raises UpstreamError."""
        self._wants_all = True
        while not self._is_ended:
            await self._wait()
        return self._taken()

    async def piece(self) -> bytes:
        """What has come since the last call, at least a byte; empty at the end. Raises UpstreamError."""
        self._wants_all = False
        while not self._pieces and not self._is_ended:
            await self._wait()
        return self._taken()

    def close(self, error: UpstreamError) -> None:
        """Close at once, and with it the work at the other end; who waits gets the error."""
        if self.error is None and not self._is_ended:
            self.error = error
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def close_if_late(self, now: float) -> None:
        """End an answer that has taken too long."""
        if self._deadline and now > self._deadline and not self._is_paused:
            self.close(UpstreamError("no first byte in time" if not self._has_begun else "no further byte in time"))

    @property
    def is_whole(self) -> bool:
        """The end has come, and everything before it was taken."""
        return self._is_ended and not self._pieces

    @property
    def is_reusable(self) -> bool:
        """The answer was read to its end and the server keeps the connection open."""
        return (
            self._is_ended
            and self.error is None
            and self._transport is not None
            and self._is_kept
            and not self._transport.is_closing()
        )

    async def _wait(self) -> None:
        if self.error is not None:
            raise self.error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        self._raise_unless_pieces()

    def _raise_unless_pieces(self) -> None:
        # what came before the error is still the user's
        if self.error is not None and not self._pieces:
            raise self.error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _taken(self) -> bytes:
        pieces = self._pieces
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        if self._is_paused:
            self._is_paused = False
            self._deadline = self._loop.time() + IDLE_TIMEOUT_S
            assert self._transport is not None
            self._transport.resume_reading()
        return taken

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send small writes at once."""
        # uvloop's transports are not of asyncio's class
        self._transport = cast("asyncio.Transport", transport)
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Take what came apart, and wake who waits."""
        self._has_begun = True
        self._deadline = self._loop.time() + IDLE_TIMEOUT_S
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self.close(UpstreamError(f"no HTTP: {error}"))
            return
        if self._is_ended:
            self.answered_at = time.perf_counter()
            self._deadline = 0.0
            self._wake()
        elif not self._wants_all:
            self._wake()
            if self._buffered > MAX_BUFFERED_BYTES and not self._is_paused:
                assert self._transport is not None
                self._is_paused = True
                self._transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """End what was under way."""
        self._server.forget(self)
        self._deadline = 0.0
        if not self._is_ended and self.error is None:
            if self.status and not self._has_length and error is None:
                # without a length the end of the connection is the end of the answer
                self._is_ended = True
                self.answered_at = time.perf_counter()
            elif self._is_stale and not self._has_begun:
                self.error = StaleConnectionError("a kept connection was closed")
            else:
                self.error = UpstreamError(f"the connection broke: {error or 'closed'}")
        self._wake()

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that matter."""
        match name.lower():
            case b"content-type":
                self.content_type = value
            case b"content-length" | b"transfer-encoding":
                self._has_length = True
            case b"retry-after":
                self.retry_after = value

    def on_headers_complete(self) -> None:
        """The head is here."""
        status = self._parser.get_status_code()
        # 1xx says that the answer is still to come
        self.status = status if status >= 200 else 0
        # asked after the end, the parser knows nothing of this answer any more
        self._is_kept = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the answer."""
        self._pieces.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._is_ended = bool(self.status)


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
        self.asked = 0
        """Questions so far."""
        self._failures = 0
        self._open_s = OPEN_S
        self._open_until = 0.0
        self._is_probing = False

    @property
    def in_flight(self) -> int:
        """Questions that it answers now."""
        return len(self._busy)

    def is_available(self, now: float) -> bool:
        """The breaker lets a question through."""
        return not self._open_until or (now >= self._open_until and not self._is_probing)

    @property
    def is_open(self) -> bool:
        """The breaker is open, or half open."""
        return bool(self._open_until)

    async def ask(self, path: str, request_id: str, payload: bytes) -> Connection:
        """Send the question over a kept connection or a new one. Raises UpstreamError."""
        self._is_probing = bool(self._open_until)
        self.asked += 1
        connection = self._idle.pop() if self._idle else await self._connected()
        self._busy.add(connection)
        head = f"X-Request-Id: {request_id}\r\nContent-Length: {len(payload)}\r\n\r\n".encode()
        connection.ask(self._heads[path] + head + payload)
        return connection

    async def _connected(self) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=self._is_tls or None
                )
        except (OSError, TimeoutError) as error:
            raise UpstreamError(f"no connection: {type(error).__name__}: {error}") from error
        return connection

    def release(self, connection: Connection) -> None:
        """Keep the connection of an answer that was read to its end; close any other."""
        self._busy.discard(connection)
        if connection.is_reusable:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close(UserLeftError("given up"))

    def forget(self, connection: Connection) -> None:
        """The connection has ended."""
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def succeeded(self) -> None:
        """It answered."""
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
            connection.close(UserLeftError("not used"))

    def close(self) -> None:
        """Close every connection."""
        for connection in [*self._idle, *self._busy]:
            connection.close(UpstreamError("the router stops"))


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
