"""The way to the model servers: replicas, breakers, timeouts, users who leave or do not read."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, cast

import httpx
import orjson
import pytest
import uvicorn

from benchmarks.wire_load import ask_on_the_wire
from contracts.enums import Arm, ServerBackend
from contracts.models import ArmEndpoint
from serving_api import upstream, user_connection
from serving_api.chat_access import ChatAccess
from serving_api.data_path import DataPath
from serving_api.event_log import EventLog
from serving_api.event_mover import EventMover
from serving_api.routing import Routing, RoutingTable
from serving_api.user_connection import connections_to
from settings import Settings
from tests.serving_api.running import wait_until

pytestmark = pytest.mark.slow

CHUNKS = [b"data: \xed\x86\xb5", b"\xed\x96\x89", b"\n\n", b"data: [DO", b"NE]\n\n"]
"""Cut where no event and no letter ends."""


ANSWER = b'{"choices":[{"message":{"content":"ok"}}]}'


class Server:
    """A model server that speaks bytes: what it is to do is set in `mode`."""

    def __init__(self) -> None:
        self.mode = "answer"
        self.questions: list[bytes] = []
        self.left_at: list[float] = []
        """When the connections of questions ended that were not answered, by time.perf_counter."""
        self.sent = 0
        self.answers_after_s = 0.0
        self.answering = 0
        """Questions that have come and whose answer has not been written yet."""
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = orjson.loads(await reader.readexactly(length))
                self.questions.append(head)
                self.answering += 1
                try:
                    await self._answer(body, reader, writer)
                finally:
                    self.answering -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "away":
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\nloading")
            return
        if self.mode == "silent":
            await self._until_left(reader)
            return
        if self.answers_after_s:
            await asyncio.sleep(self.answers_after_s)
        if not body.get("stream"):
            answer = ANSWER
            if self.mode == "close":
                # no length: the end of the connection is the end of the answer
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + answer)
                writer.close()
                return
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
            if self.mode == "half":
                writer.write(head + answer[:10])
                await writer.drain()
                writer.transport.abort()
                return
            writer.write(head + answer)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        if self.mode == "flood":
            piece = b"data: " + b"x" * 16_000 + b"\n\n"
            for _ in range(4_000):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                self.sent += len(piece)
        for chunk in CHUNKS:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
            await asyncio.sleep(0.002)
            if self.mode == "stall":
                await self._until_left(reader)
                return
        writer.write(b"0\r\n\r\n")

    async def _until_left(self, reader: asyncio.StreamReader) -> None:
        if not await reader.read(1):
            self.left_at.append(time.perf_counter())


class Router:
    """The data path on a port, in front of servers, without a database."""

    def __init__(
        self, url: str, data_path: DataPath, events: list[dict[str, Any]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.url, self.data_path, self.events, self._loop = url, data_path, events, loop

    def run(self, coroutine) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=20)

    def ask(self, *, stream: bool = False, read_s: float = 10.0) -> httpx.Response:
        return httpx.post(
            f"{self.url}/v1/chat/completions",
            json={"messages": [{"role": "user", "content": "q"}], "stream": stream},
            timeout=httpx.Timeout(10, read=read_s),
        )

    def kept(self, count: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.events) >= count)
        return self.events


class FixedRouting:
    """A routing table that never changes."""

    def __init__(self, table: RoutingTable) -> None:
        self.table = table


@pytest.fixture
def servers() -> Iterator[tuple[asyncio.AbstractEventLoop, list[Server]]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = [Server(), Server()]
    for server in made:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(timeout=10)
    try:
        yield loop, made
    finally:
        for server in made:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)


@contextmanager
def running_router(folder, loop: asyncio.AbstractEventLoop, servers: list[Server]) -> Iterator[Router]:
    endpoint = ArmEndpoint(
        arm=Arm.A,
        model_id=1,
        model_name="base",
        version="1",
        served_model_name="base-v1",
        base_url=servers[0].url,
        backend=ServerBackend.VLLM,
        replicas=[server.url for server in servers[1:]],
    )
    table = RoutingTable({"base-v1": endpoint}, endpoint, (), "version")
    events: list[dict[str, Any]] = []
    journal, mover = (
        EventLog(folder / "events"),
        EventMover(folder / "events", lambda chunks: events.extend(chain.from_iterable(chunks))),
    )
    data_path = DataPath(cast(Routing, FixedRouting(table)), journal, "a key of the test", ChatAccess(Settings()))

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            journal.start()
            mover.start()
            data_path.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await data_path.stop()
            journal.close()
            mover.close()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await data_path(scope, receive, send)

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            loop="uvloop",
            http=connections_to(data_path),
            log_config=None,
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield Router(f"http://127.0.0.1:{listener.getsockname()[1]}", data_path, events, loop)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


@pytest.fixture
def one(servers, tmp_path):
    loop, (server, _) = servers
    with running_router(tmp_path, loop, [server]) as router:
        yield router, server


@pytest.fixture
def two(servers, tmp_path):
    loop, made = servers
    with running_router(tmp_path, loop, made) as router:
        yield router, *made


def test_a_stream_is_passed_on_byte_for_byte_over_one_kept_connection(one):
    router, server = one
    for _ in range(3):
        assert router.ask(stream=True).content == b"".join(CHUNKS)
    assert server.connections == 1
    events = router.kept(3)
    assert [event["status"] for event in events] == ["complete"] * 3
    assert events[0]["body"] == b"".join(CHUNKS)
    assert events[0]["request_id"].encode() in server.questions[0]


def test_an_answer_without_a_length_ends_with_its_connection(one):
    router, server = one
    server.mode = "close"
    assert [router.ask().json()["choices"][0]["message"]["content"] for _ in range(2)] == ["ok", "ok"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["away", "gone", "half"])
def test_another_replica_answers_while_nothing_was_sent(two, mode, stream):
    router, first, second = two
    if mode == "gone":
        router.run(first.stop())
    first.mode = "away" if (mode, stream) == ("half", True) else mode
    assert [router.ask(stream=stream).status_code for _ in range(4)] == [200] * 4
    assert len(second.questions) == 4
    assert [event["status"] for event in router.kept(4)] == ["complete"] * 4
    if mode == "gone":
        router.run(first.start())


def test_what_was_asked_is_counted_for_prometheus(one):
    router, server = one
    router.ask()
    router.ask(stream=True)
    server.mode = "away"
    router.ask()
    lines = router.data_path.metrics({}).splitlines()
    labels = 'arm="none",model="base-v1"'
    assert f'tuneway_answers_total{{{labels},status="complete"}} 2' in lines
    assert f'tuneway_answers_total{{{labels},status="failed"}} 1' in lines
    assert f'tuneway_overhead_seconds_bucket{{{labels},le="+Inf"}} 2' in lines
    assert f"tuneway_first_token_seconds_count{{{labels}}} 1" in lines
    assert f"tuneway_token_seconds_count{{{labels}}} 1" in lines
    assert f"tuneway_in_flight{{{labels}}} 0" in lines
    assert f'tuneway_server_breaker_open{{server="{server.url}"}} 0' in lines
    sums = {line.split("{")[0]: float(line.split()[-1]) for line in lines if "_sum{" in line}
    assert 0 < sums["tuneway_overhead_seconds_sum"] < sums["tuneway_answer_seconds_sum"]


def test_a_whole_answer_leaves_its_connection_to_the_next(one):
    router, server = one
    for _ in range(3):
        router.ask()
    assert server.connections == 1


def test_questions_are_spread_over_the_replicas(two):
    router, first, second = two
    for _ in range(10):
        router.ask()
    assert (len(first.questions), len(second.questions)) == (5, 5)


def test_a_kept_connection_that_the_server_closed_is_no_failure(one):
    router, server = one
    assert router.ask().status_code == 200
    router.run(server.stop())
    router.run(server.start())
    assert router.ask().status_code == 200


def test_a_server_that_fails_three_times_is_left_alone_and_tried_again_later(one, monkeypatch):
    monkeypatch.setattr(upstream, "OPEN_S", 60.0)
    router, server = one
    server.mode = "away"
    for _ in range(3):
        response = router.ask()
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        assert response.json()["error"]["code"] == "upstream_unavailable"
    assert router.ask().status_code == 503
    assert len(server.questions) == 3
    server.mode = "answer"
    router.data_path._servers.server(server.url)._open_until = time.monotonic()
    assert router.ask().status_code == 200
    assert [event["status"] for event in router.kept(4)][:4] == ["failed"] * 4
    assert [router.ask().status_code for _ in range(3)] == [200] * 3


def test_a_replica_killed_under_load_fails_no_question_that_had_no_answer_yet(two):
    router, first, second = two
    for server in (first, second):
        server.answers_after_s = 0.02  # so that questions are with the replica when it dies

    async def kill() -> None:
        # in the loop of the replica, so that it still holds a question when it dies
        while len(first.questions) <= 16 or not first.answering:
            await asyncio.sleep(0.001)
        await first.stop()

    killing = threading.Thread(target=router.run, args=[kill()])
    killing.start()
    load = ask_on_the_wire(f"{router.url}/v1", "auto", concurrency=16, seconds=2.0, expected=ANSWER)
    killing.join()
    assert (load.failures, load.other_bodies) == ([], 0)
    before, after = len(first.questions), len(second.questions)
    # each question that the dead replica left was asked again, of the other
    assert load.requests < before + after <= load.requests + 16
    assert {event["status"] for event in router.kept(load.requests)} == {"complete"}
    router.run(first.start())


@pytest.mark.parametrize(("mode", "stream"), [("silent", False), ("silent", True), ("stall", True)])
def test_users_who_leave_end_the_work_upstream_ten_times_of_ten(one, mode, stream):
    router, server = one
    server.mode = mode

    gone_at: list[float] = []

    def leave() -> None:
        with pytest.raises(httpx.ReadTimeout):
            router.ask(stream=stream, read_s=0.3)
        gone_at.append(time.perf_counter())

    users = [threading.Thread(target=leave) for _ in range(10)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    wait_until(lambda: len(server.left_at) == 10)
    assert all(left - gone < 0.5 for gone, left in zip(sorted(gone_at), sorted(server.left_at), strict=True))
    assert [event["status"] for event in router.kept(10)] == ["abandoned"] * 10
    wait_until(lambda: router.data_path.in_flight == 0)


def test_a_first_byte_that_does_not_come_is_asked_of_the_other_replica(two, monkeypatch):
    monkeypatch.setattr(upstream, "FIRST_BYTE_TIMEOUT_S", 1.0)
    router, first, second = two
    first.mode = "silent"
    assert router.ask().status_code == 200
    assert (len(first.questions), len(second.questions)) == (1, 1)


def test_a_stream_that_stalls_ends_with_an_error_event(one, monkeypatch):
    monkeypatch.setattr(upstream, "IDLE_TIMEOUT_S", 0.2)
    router, server = one
    server.mode = "stall"
    answer = router.ask(stream=True)
    assert answer.status_code == 200
    assert answer.content.startswith(CHUNKS[0])
    last = answer.content.decode(errors="replace").strip().splitlines()[-1]
    assert orjson.loads(last.removeprefix("data: "))["error"]["code"] == "upstream_broken"
    assert b"[DONE]" not in answer.content
    assert router.kept(1)[0]["status"] == "broken"


def test_a_user_who_does_not_read_holds_back_the_model_server(one):
    router, server = one
    server.mode = "flood"
    body = orjson.dumps({"messages": [{"role": "user", "content": "q"}], "stream": True})
    with socket.create_connection(("127.0.0.1", int(router.url.rpartition(":")[2]))) as user:
        user.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        user.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        wait_until(lambda: server.sent > 0)
        before = -1
        while before != server.sent:
            before = server.sent
            time.sleep(0.3)
        # the kernel's buffers on both ways, and a quarter of a mebibyte here
        assert server.sent < 16 * 1024**2
        assert router.data_path.in_flight == 1
    wait_until(lambda: router.data_path.in_flight == 0)


def test_draining_ends_what_is_on_its_way_and_refuses_what_comes(one, monkeypatch, caplog):
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(upstream, "IDLE_TIMEOUT_S", 1.0)
    router, server = one
    server.mode = "stall"
    answers: list[httpx.Response] = []
    user = threading.Thread(target=lambda: answers.append(router.ask(stream=True)))
    user.start()
    wait_until(lambda: router.data_path.in_flight == 1)
    router.data_path.drain()
    refused = router.ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping")
    assert refused.headers["retry-after"] == "2"
    user.join()
    assert answers[0].status_code == 200


def test_the_head_and_the_body_of_an_answer_leave_in_one_packet(one):
    router, _ = one
    body = orjson.dumps({"messages": [{"role": "user", "content": "q"}]})
    with socket.create_connection(("127.0.0.1", int(router.url.rpartition(":")[2]))) as user:
        for _ in range(2):
            user.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            assert user.recv(65536).endswith(b'{"choices":[{"message":{"content":"ok"}}]}')


def question(**body: Any) -> bytes:
    asked = orjson.dumps({"messages": [{"role": "user", "content": "q"}], **body})
    return b"POST /v1/chat/completions?of=us HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(asked) + asked


@pytest.mark.parametrize("stream", [False, True])
def test_nobody_has_the_end_of_an_answer_before_it_is_in_the_journal(one, monkeypatch, stream):
    router, _ = one
    journal = router.data_path._events
    write = journal.append_all
    written: list[int] = []

    def write_slowly(events: Any) -> None:
        time.sleep(0.2)
        write(events)
        written.append(len(events))

    monkeypatch.setattr(journal, "append_all", write_slowly)
    assert router.ask(stream=stream).status_code == 200
    assert written == [1]


def test_requests_sent_without_waiting_are_answered_in_their_order(one):
    router, server = one
    server.answers_after_s = 0.05
    models = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    closing = question().replace(b"Host: x", b"Host: x\r\nConnection: close")
    with socket.create_connection(("127.0.0.1", int(router.url.rpartition(":")[2]))) as user:
        user.sendall(question() + models + question(stream=True) + closing)
        received = b""
        while part := user.recv(65536):
            received += part
    assert received.count(b"HTTP/1.1 200 OK") == 4
    assert -1 < received.find(ANSWER) < received.find(b'"object":"list"') < received.find(CHUNKS[0])
    assert received.endswith(ANSWER)


def test_a_user_who_asks_whether_to_send_the_body_is_told_to(one):
    router, _ = one
    head, _, body = question().partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", int(router.url.rpartition(":")[2]))) as user:
        user.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert user.recv(65536).startswith(b"HTTP/1.1 100 Continue")
        user.sendall(body)
        assert user.recv(65536).endswith(ANSWER)


def test_a_body_that_is_too_large_is_refused_and_the_connection_goes_on(one, monkeypatch):
    monkeypatch.setattr(user_connection, "MAX_BODY_BYTES", 1000)
    router, _ = one
    with httpx.Client() as client:
        large = client.post(f"{router.url}/v1/chat/completions", content=b" " * 2000)
        assert (large.status_code, large.json()["error"]["code"]) == (413, "invalid_request")
        asked = {"messages": [{"role": "user", "content": "q"}]}
        assert client.post(f"{router.url}/v1/chat/completions", json=asked).content == ANSWER
    assert router.data_path.in_flight == 0
