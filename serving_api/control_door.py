"""The way to the control process: requests go through a Unix socket as they are, and so does what is answered, as it comes.

Only this account may open the socket. A user's request carries that user's address in CLIENT_HEADER, which is taken from nobody
else; a request without it comes from the service itself.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Collection
from pathlib import Path

import orjson
from httptools import HttpParserError, HttpResponseParser

from contracts.errors import UnavailableError
from serving_api.asgi import Receive, Scope, Send
from serving_api.problem_details import MEDIA_TYPE, problem_details
from serving_api.serving_state import ServingState

log = logging.getLogger(__name__)

CLIENT_HEADER = b"x-tuneway-client"
ALIVE_PATH = "/alive"
SOCKET_NAME = "serving-control.sock"
STATE_SECONDS = 5.0
WAITING_CONNECTIONS = 1024
"""While the control process starts, which takes it some seconds."""
READ_BYTES = 64 * 1024
RETRY_AFTER_S = 2
_OF_ONE_CONNECTION = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", CLIENT_HEADER})


def listener(folder: Path) -> socket.socket:
    """The socket at which the control process answers; it outlives that process, so that its successor finds who waits."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SOCKET_NAME).unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    os.fchmod(made.fileno(), 0o600)
    _at(folder, made.bind)
    made.listen(WAITING_CONNECTIONS)
    return made


class ControlDoor:
    """Passes on what is not for the data path."""

    def __init__(self, folder: Path) -> None:
        """The folder of the socket."""
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            connection = self._connected()
        except OSError as error:
            log.warning("the control process cannot be reached: %s", error)
            await _send_away(send)
            return
        with connection:
            await _Passing(connection, scope, receive, send).run()

    async def state(self, known: Collection[int]) -> ServingState:
        """What the data path needs to know; `known`: experiments whose pins it has. Raises UnavailableError."""
        try:
            async with asyncio.timeout(STATE_SECONDS):
                status, body = await self._asked("/?known=" + ",".join(map(str, known)))
        except (OSError, TimeoutError, HttpParserError) as error:
            raise UnavailableError(
                "The control process does not answer",
                value=f"{type(error).__name__}: {error}",
                next_step="it is started again by itself; see `tuneway logs serving-api`",
            ) from error
        if status != 200:
            raise UnavailableError("The control process cannot tell what is deployed", value=body.decode())
        return ServingState.model_validate_json(body)

    async def is_alive(self) -> bool:
        """The control process answers, whatever PostgreSQL does."""
        try:
            async with asyncio.timeout(STATE_SECONDS):
                status, _ = await self._asked(ALIVE_PATH)
        except (OSError, TimeoutError, HttpParserError):
            return False
        return status == 200

    async def _asked(self, path: str) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        with self._connected() as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n"
            await loop.sock_sendall(connection, request.encode())
            answer = _Answer("GET")
            while not answer.is_ended:
                answer.feed(await loop.sock_recv(connection, READ_BYTES))
            return answer.status, b"".join(answer.pieces)

    def _connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.setblocking(False)
        try:
            # at once, or not at all where too many wait
            _at(self._folder, made.connect)
        except OSError:
            made.close()
            raise
        return made


class _Answer:
    """What the control process answers, as far as it has come."""

    def __init__(self, method: str) -> None:
        self._has_no_body = method == "HEAD"
        self._parser = HttpResponseParser(self)
        self.status = 0
        """0 before the headers have come."""
        self.may_go_on = asyncio.Event()
        """Who expects to be told to go on with the body has been told, or answered."""
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.is_ended = False

    def feed(self, received: bytes) -> None:
        """Take it apart. Raises ConnectionResetError at an end that comes too early, and HttpParserError."""
        if not received:
            raise ConnectionResetError("the connection ended before the answer")
        self._parser.feed_data(received)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is here, or that of a 1xx before it."""
        self.may_go_on.set()
        status = self._parser.get_status_code()
        if status < 200:
            self.headers = []
            return
        self.status = status
        self.is_ended = self._has_no_body

    def on_body(self, body: bytes) -> None:
        """Keep it."""
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self.is_ended = bool(self.status)


class _Passing:
    """One request and its answer, both on their way at once."""

    def __init__(self, connection: socket.socket, scope: Scope, receive: Receive, send: Send) -> None:
        self._connection, self._scope, self._receive, self._send = connection, scope, receive, send
        self._loop = asyncio.get_running_loop()
        self._answer = _Answer(scope["method"])
        self._has_started = False
        self._has_left = False

    async def run(self) -> None:
        """Until the answer is whole or the user has left."""
        asking = asyncio.create_task(self._ask())
        try:
            while not self._answer.is_ended:
                self._answer.feed(await self._loop.sock_recv(self._connection, READ_BYTES))
                await self._pass_on()
        except (OSError, HttpParserError) as error:
            if self._has_left:
                return
            log.warning("%s: the control process broke off: %s", self._scope["path"], error)
            # after a part of the answer uvicorn breaks off the connection
            if not self._has_started:
                await _send_away(self._send)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _pass_on(self) -> None:
        answer = self._answer
        if not answer.status:
            return
        if not self._has_started:
            self._has_started = True
            headers = [header for header in answer.headers if header[0] not in _OF_ONE_CONNECTION]
            await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body, answer.pieces = b"".join(answer.pieces), []
        if body or answer.is_ended:
            await self._send({"type": "http.response.body", "body": body, "more_body": not answer.is_ended})

    async def _ask(self) -> None:
        try:
            await self._loop.sock_sendall(self._connection, self._head())
            headers = dict(self._scope["headers"])
            if headers.get(b"expect", b"").lower() == b"100-continue":
                await self._answer.may_go_on.wait()
            is_chunked = b"transfer-encoding" in headers
            more_body = True
            while more_body:
                message = await self._receive()
                if message["type"] != "http.request":
                    self._leave()
                    return
                body, more_body = message.get("body", b""), message.get("more_body", False)
                if is_chunked:
                    body = b"%b%b" % (_chunk(body), b"" if more_body else b"0\r\n\r\n")
                await self._loop.sock_sendall(self._connection, body)
            # the next message says that the user has left, or has all of the answer
            await self._receive()
            self._leave()
        except OSError:
            # it does not read the rest: what it has answered says why
            return

    def _head(self) -> bytes:
        scope = self._scope
        query = b"?%b" % scope["query_string"] if scope["query_string"] else b""
        client = scope["client"][0] if scope.get("client") else "unknown"
        lines = [b"%b %b%b HTTP/1.1" % (scope["method"].encode(), scope["raw_path"], query)]
        is_chunked = False
        for name, value in scope["headers"]:
            is_chunked |= name == b"transfer-encoding"
            if name not in _OF_ONE_CONNECTION:
                lines.append(b"%b: %b" % (name, value))
        lines += [b"%b: %b" % (CLIENT_HEADER, client.encode()), b"connection: close"]
        if is_chunked:
            lines.append(b"transfer-encoding: chunked")
        return b"\r\n".join([*lines, b"", b""])

    def _leave(self) -> None:
        self._has_left = True
        self._connection.shutdown(socket.SHUT_RDWR)


async def _send_away(send: Send) -> None:
    error = UnavailableError(
        "The control process does not answer",
        next_step="try again in some seconds: it is started again by itself; see `tuneway logs serving-api`",
    )
    body = orjson.dumps(problem_details(error, 503))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(RETRY_AFTER_S).encode()),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


def _at(folder: Path, call: Callable[[str], None]) -> None:
    """Call with the socket's address, which may be 107 bytes long only: the folder is named by its descriptor."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        call(f"/proc/self/fd/{descriptor}/{SOCKET_NAME}")
    finally:
        os.close(descriptor)
