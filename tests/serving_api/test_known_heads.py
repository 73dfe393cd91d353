"""Messages that need no parser because their head came before: the same ones, and no others."""

import asyncio
import socket
import threading
from typing import Any

import pytest
import uvicorn

from serving_api.known_heads import KnownHead, remembered
from serving_api.upstream import Connection, ModelServer
from serving_api.user_connection import Reply, connections_to
from tests.serving_api.running import wait_until

HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Tuneway-User: kim\r\nContent-Length: %d\r\nAccept: */*\r\n\r\n"
)


def message(body: bytes, head: bytes = HEAD) -> bytes:
    return head % len(body) + body


def known() -> KnownHead[str]:
    found = remembered(message(b"{}"), b"{}", "what was found")
    assert found is not None
    return found


def test_a_message_under_the_same_head_is_known_whatever_its_length():
    assert known().body_of(message(b"x" * 12345)) == b"x" * 12345
    assert known().found == "what was found"


@pytest.mark.parametrize(
    "other",
    [
        message(b"{}")[:-1],
        message(b"{}") + b"x",
        message(b"{}") * 2,
        message(b"{}").replace(b"kim", b"lee"),
        message(b"{}").replace(b"Accept: */*", b"Transfer-Encoding: chunked"),
        message(b"{}").replace(b"th: 2", b"th: +2"),
        message(b"{}").replace(b"th: 2", b"th: 2, 2"),
        message(b"{}").replace(b"th: 2", b"th: "),
        message(b"{}").replace(b"th: 2", b"th: 0000000002"),
        HEAD[:20],
        b"",
    ],
)
def test_anything_else_is_left_to_the_parser(other):
    assert known().body_of(other) is None


@pytest.mark.parametrize("head", [HEAD.replace(b"Content-Length: %d\r\n", b""), HEAD.replace(b"Length: ", b"Length:")])
def test_a_head_that_does_not_tell_its_length_so_that_it_can_be_found_is_not_remembered(head):
    whole = head % ((2,) if b"%d" in head else ()) + b"{}"
    assert remembered(whole, b"{}", None) is None


class Heard:
    """A door that keeps what it was asked, and answers when it is told."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.bodies: list[bytes] = []

    def ask(self, reply: Reply) -> None:
        self.replies.append(reply)
        self.bodies.append(reply.body)

    def send(self, reply: Reply, sent: bytes, *, is_last: bool) -> None:
        reply.send(sent, is_last=is_last)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


async def nobody(scope, receive, send):
    raise AssertionError("no question goes this way")


def user_connection(door: Heard) -> tuple[Any, Wire]:
    config = uvicorn.Config(nobody, http=connections_to(door), lifespan="off", log_config=None)
    config.load()
    connection = connections_to(door)(config, uvicorn.server.ServerState(), {}, asyncio.get_running_loop())
    wire = Wire()
    connection.connection_made(wire)
    return connection, wire


async def test_the_second_question_of_a_connection_is_asked_without_the_parser_as_the_first_was():
    door = Heard()
    connection, wire = user_connection(door)
    connection.data_received(message(b"{}"))
    door.replies[0].whole(200, b"", b"first")
    connection.parser = None
    connection.data_received(message(b"[1, 2]"))
    door.replies[1].whole(200, b"", b"second")
    assert door.bodies == [b"{}", b"[1, 2]"]
    assert door.replies[1].head is door.replies[0].head
    assert (door.replies[0].head.user, door.replies[0].head.path) == ("kim", "/v1/chat/completions")
    assert [sent[-6:] for sent in wire.written] == [b"\nfirst", b"second"]


async def test_a_question_in_pieces_and_one_before_the_answer_have_their_turn_as_ever():
    door = Heard()
    connection, _ = user_connection(door)
    connection.data_received(message(b"{}"))
    # sent before the answer to the first
    connection.data_received(message(b"[2]"))
    assert door.bodies == [b"{}"]
    door.replies[0].whole(200, b"", b"yes")
    door.replies[1].whole(200, b"", b"yes")
    third = message(b"[3, 3]")
    connection.data_received(third[:40])
    # what follows looks like a question of its own
    connection.data_received(third[40:-1])
    connection.data_received(third[-1:])
    assert door.bodies == [b"{}", b"[2]", b"[3, 3]"]


@pytest.mark.parametrize(
    "first",
    [
        # two messages at once, the first of which must not become a part of the head
        message(b"{}") * 2,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\r\n" + message(b"{}"),
        message(b"{}", HEAD.replace(b"Accept: */*", b"Connection: close")),
        message(b"{}", HEAD.replace(b"Accept: */*", b"Expect: 100-continue")),
        message(b"{}", HEAD.replace(b"HTTP/1.1", b"HTTP/1.0")),
    ],
)
async def test_what_is_more_than_a_question_and_its_head_is_not_remembered(first):
    door = Heard()
    connection, _ = user_connection(door)
    connection.data_received(first)
    for place in range(2):
        if place < len(door.replies):
            door.replies[place].whole(200, b"", b"yes")
    assert door.replies
    assert connection._known is None


class Asked:
    """Who waits for an answer."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, bytes]] = []

    def came(self, connection: Connection) -> None:
        assert connection.is_ended
        self.answers.append((connection.status, connection.content_type, connection.taken()))

    def failed(self, error: Exception) -> None:
        raise error


ANSWER = b"HTTP/1.1 %b\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n%b"


async def test_answers_of_a_server_under_one_head_are_taken_as_the_parser_takes_them():
    server, asked = ModelServer("http://x/v1"), Asked()
    connection = Connection(server)
    connection.connection_made(Wire())
    bodies = [b"one", b"another", b"one", b"refused"]
    statuses = [b"200 OK", b"200 OK", b"200 OK", b"400 Bad Request"]
    for status, body in zip(statuses, bodies, strict=True):
        connection.ask(b"question", asked)
        connection.data_received(ANSWER % (status, len(body), body))
        assert connection.let_go(), "another question may follow"
    assert asked.answers == [
        (int(status[:3]), b"application/json", body) for status, body in zip(statuses, bodies, strict=True)
    ]


async def test_an_answer_after_a_100_is_not_remembered_under_its_head():
    server, asked = ModelServer("http://x/v1"), Asked()
    connection = Connection(server)
    connection.connection_made(Wire())
    connection.ask(b"question", asked)
    connection.data_received(b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER % (b"200 OK", 3, b"one"))
    assert asked.answers == [(200, b"application/json", b"one")]
    assert server.known_head is None


def test_a_connection_serves_questions_with_other_heads_between_those_that_it_knows(served):
    for user in (b"kim", b"kim", b"lee", b"kim", b"lee", b"lee"):
        served.sendall(message(b"{}").replace(b"kim", user))
        assert served.recv(65536).endswith(user)


@pytest.fixture
def served():
    class TellsUser:
        def ask(self, reply: Reply) -> None:
            reply.whole(200, b"", reply.head.user.encode())

        def send(self, reply: Reply, sent: bytes, *, is_last: bool) -> None:
            reply.send(sent, is_last=is_last)

    config = uvicorn.Config(nobody, http=connections_to(TellsUser()), lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        with socket.create_connection(listening.getsockname(), timeout=60) as connection:
            yield connection
        server.should_exit = True
        thread.join(20)
