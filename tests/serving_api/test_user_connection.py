"""A connection that is kept for the next question."""

import socket
import threading
import time

import httpx
import uvicorn

from serving_api.__main__ import KEEP_ALIVE_SECONDS
from serving_api.user_connection import connections_to
from tests.ports import free_port

QUESTION = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


class Yes:
    """Answers everything at once."""

    def ask(self, reply):
        reply.whole(200, b"", b"yes")

    def send(self, reply, sent, *, is_last):
        reply.send(sent, is_last=is_last)


async def nobody(scope, receive, send):
    raise AssertionError("no question goes this way")


def answer_of(connection: socket.socket) -> bytes:
    connection.sendall(QUESTION)
    return connection.recv(65536)


def test_a_question_that_came_while_the_service_was_held_up_is_answered_and_an_idle_connection_closed():
    port = free_port()
    config = uvicorn.Config(
        nobody, port=port, http=connections_to(Yes()), lifespan="off", timeout_keep_alive=1, log_level="error"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        assert answer_of(connection).startswith(b"HTTP/1.1 200")
        (protocol,) = server.server_state.connections
        protocol.loop.call_soon_threadsafe(time.sleep, 2.5)
        time.sleep(0.5)
        assert answer_of(connection).endswith(b"yes")
        assert connection.recv(10) == b"", "one second without a question is enough"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_a_client_closes_a_connection_before_the_service_does():
    """Else a question can meet the closing, and is reset."""
    kept = httpx.Limits().keepalive_expiry
    assert kept is not None
    assert kept < KEEP_ALIVE_SECONDS
