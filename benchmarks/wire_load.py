"""Questions over plain sockets, so that asking costs little beside what is measured."""

import asyncio
import socket
import time
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit

import orjson
import uvloop
from httptools import HttpResponseParser

from contracts.errors import JobFailedError

USERS = 1000


@dataclass(slots=True)
class WireLoad:
    """What a round took."""

    seconds: float = 0.0
    requests: int = 0
    pieces: int = 0
    """Reads that brought a part of a streamed answer."""
    other_bodies: int = 0
    """Answers that were not, byte for byte, what the model server said."""
    failures: list[str] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float | int]:
        """Of all its answers."""
        return {
            "requests": self.requests,
            "requests_per_second": round(self.requests / self.seconds, 1),
            "median_ms": round(median(self.latencies_ms), 3),
            "failures": len(self.failures),
            "other_bodies": self.other_bodies,
        }


def question(model: str, number: int, *, stream: bool = False) -> bytes:
    """The body of a question of about 900 bytes by one of many users."""
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": "한국도로공사 상담원으로서 정확하고 짧게 답합니다. " * 4},
            {"role": "user", "content": "하이패스 통행료를 두 번 냈습니다. 환급은 어떻게 받습니까? " * 5},
        ],
        "max_tokens": 64,
        "temperature": 0,
        "user": f"user-{number % USERS}",
    }
    return orjson.dumps(body | ({"stream": True} if stream else {}))


class _User(asyncio.Protocol):
    """Asks again as soon as the answer is whole."""

    def __init__(self, round_: "_Round") -> None:
        self._round = round_
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._body: list[bytes] = []
        self._asked = 0.0
        self._has_piece = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        self._body = []
        self._has_piece = False
        self._asked = time.perf_counter()
        self._transport.write(self._round.next_request())

    def data_received(self, data: bytes) -> None:
        before = len(self._body)
        self._parser.feed_data(data)
        if len(self._body) > before:
            self._round.load.pieces += 1

    def on_body(self, body: bytes) -> None:
        if not self._has_piece:
            self._has_piece = True
            self._round.load.first_ms.append((time.perf_counter() - self._asked) * 1000)
        self._body.append(body)

    def on_message_complete(self) -> None:
        load, status = self._round.load, self._parser.get_status_code()
        load.requests += 1
        load.latencies_ms.append((time.perf_counter() - self._asked) * 1000)
        body = b"".join(self._body)
        if status != 200:
            load.failures.append(f"{status}: {body[:200].decode(errors='replace')}")
        load.other_bodies += body != self._round.expected
        assert self._transport is not None
        if time.perf_counter() < self._round.until and len(load.failures) < 10:
            # not from within the parser's own callback
            asyncio.get_running_loop().call_soon(self._ask)
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self._round.until and not self._round.load.failures:
            self._round.load.failures.append(f"connection closed: {error}")
        self._round.left()


class _Round:
    def __init__(self, url: str, model: str, concurrency: int, seconds: float, expected: bytes, stream: bool) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.expected, self.concurrency = expected, concurrency
        self.load = WireLoad()
        head = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        )
        self._requests = [
            f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            for body in (question(model, number, stream=stream) for number in range(USERS))
        ]
        self._number = 0
        self._seconds = seconds
        self._users = concurrency
        self.until = 0.0
        self.ended = asyncio.Event()

    def next_request(self) -> bytes:
        self._number += 1
        return self._requests[self._number % USERS]

    def left(self) -> None:
        self._users -= 1
        if not self._users:
            self.ended.set()

    async def run(self) -> WireLoad:
        began = time.perf_counter()
        self.until = began + self._seconds
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.create_connection(lambda: _User(self), self.host, self.port) for _ in range(self.concurrency))
        )
        async with asyncio.timeout(self._seconds + 60):
            await self.ended.wait()
        self.load.seconds = time.perf_counter() - began
        return self.load


def ask_on_the_wire(
    url: str, model: str, *, concurrency: int, seconds: float, expected: bytes, stream: bool = False
) -> WireLoad:
    """Ask for `seconds` with so many questions in flight. Raises JobFailedError where none is answered."""

    async def run() -> WireLoad:
        return await _Round(url, model, concurrency, seconds, expected, stream).run()

    load = uvloop.run(run())
    if load.failures and len(load.failures) * 10 > load.requests:
        raise JobFailedError(
            "The questions were not answered", value=f"{url}: {load.failures[0]}", next_step="look at its log"
        )
    return load


def sequential_us(urls: dict[str, tuple[str, str]], count: int, *, in_a_row: int) -> dict[str, float]:
    """Median microseconds of one question after the other; name -> (URL, model).

    Each URL is asked `in_a_row` times, then the next: with 1, every router has slept while the others answered, and finds
    its memory in no cache.
    """
    latencies: dict[str, list[float]] = {name: [] for name in urls}
    sockets = {}
    for name, (url, model) in urls.items():
        parts = urlsplit(url)
        connected = socket.create_connection((parts.hostname or "", parts.port or 80))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = question(model, 7)
        head = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        )
        sockets[name] = connected, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    for begins in range(0, count, in_a_row):
        for name, (connected, request) in sockets.items():
            for _ in range(min(in_a_row, count - begins)):
                began = time.perf_counter()
                connected.sendall(request)
                _read_answer(connected)
                latencies[name].append((time.perf_counter() - began) * 1e6)
    for connected, _ in sockets.values():
        connected.close()
    return {name: round(median(found[len(found) // 10 :]), 1) for name, found in latencies.items()}


class _Ended:
    def __init__(self) -> None:
        self.is_ended = False

    def on_message_complete(self) -> None:
        self.is_ended = True


def _read_answer(connected: socket.socket) -> None:
    ended = _Ended()
    parser = HttpResponseParser(ended)
    while not ended.is_ended:
        parser.feed_data(connected.recv(65536))
