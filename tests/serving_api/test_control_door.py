"""What is not for the data path reaches the control process as it was sent, and so does its answer."""

import socket
import subprocess
import sys
import threading
from contextlib import ExitStack

import httpx
import pytest
import uvicorn

from serving_api.control_door import CLIENT_HEADER, ControlDoor, listener
from tests.conftest import REPOSITORY_ROOT
from tests.serving_api.running import running_server

HEAVY = {"fastapi", "starlette", "sqlalchemy", "psycopg", "alembic", "kiwipiepy", "numpy", "scipy", "jwt", "airflow"}


class Behind:
    """Stands for the control process: tells what it got, piece by piece."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, list[tuple[bytes, bytes]]]] = []
        self.bodies: list[bytes] = []
        self.left = threading.Event()

    async def __call__(self, scope, receive, send) -> None:
        self.asked.append(
            (scope["method"], f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}", scope["headers"])
        )
        if scope["path"] == "/refused":
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": b"large"})
            return
        body, more_body = b"", True
        while more_body:
            message = await receive()
            body, more_body = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-type", b"text/event-stream")]
        if scope["method"] == "HEAD":
            headers.append((b"content-length", b"4"))
        await send({"type": "http.response.start", "status": 207, "headers": headers})
        await send({"type": "http.response.body", "body": b"one,", "more_body": True})
        if scope["path"] == "/broken":
            raise RuntimeError("on purpose")
        if scope["path"] == "/events":
            assert (await receive())["type"] == "http.disconnect"
            self.left.set()
            return
        await send({"type": "http.response.body", "body": b"two"})


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    # longer than an address of a Unix socket may be
    folder = tmp_path_factory.mktemp("x" * 120)
    behind = Behind()
    with ExitStack() as stack:
        for app, listening in (
            (behind, listener(folder)),
            (ControlDoor(folder), socket.create_server(("127.0.0.1", 0))),
        ):
            config = uvicorn.Config(app, lifespan="off", loop="uvloop", ws="none", log_config=None)
            stack.enter_context(listening)
            stack.enter_context(running_server(uvicorn.Server(config), listening))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", behind, folder


def test_a_request_and_its_answer_pass_as_they_are(door):
    url, behind, _ = door
    sent = b"\x00\xff" * 400_000
    answer = httpx.post(f"{url}/a%20b/%2F?x=1&x=%ED%86%B5", content=sent, headers={"X-Own": "kept"})
    method, target, headers = behind.asked[-1]
    assert (method, target) == ("POST", "/a%20b/%2F?x=1&x=%ED%86%B5")
    assert behind.bodies[-1] == sent
    assert dict(headers)[b"x-own"] == b"kept"
    assert (answer.status_code, answer.text) == (207, "one,two")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "content-length" not in answer.headers


def test_a_body_without_a_length_passes_piece_by_piece(door):
    url, behind, _ = door
    httpx.put(f"{url}/parts", content=iter([b"one", b"two" * 100_000]))
    assert behind.bodies[-1] == b"one" + b"two" * 100_000


def test_the_head_of_an_answer_passes_without_a_body(door):
    answer = httpx.head(f"{door[0]}/head")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (207, "4", b"")


def test_nobody_can_say_under_which_address_he_asks(door):
    url, behind, _ = door
    name = CLIENT_HEADER.decode()
    httpx.get(url, headers=[(name, "10.0.0.1"), (name.upper(), "10.0.0.2")])
    assert [value for header, value in behind.asked[-1][2] if header == CLIENT_HEADER] == [b"127.0.0.1"]


def test_a_body_that_nobody_wants_is_not_sent(door):
    url, behind, _ = door
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = b"POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\nexpect: 100-continue\r\n\r\n"
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.replace(b"/refused", b"/wanted").replace(b"9000000", b"5"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(b"12345")
        assert connection.recv(65536).startswith(b"HTTP/1.1 207")
    assert behind.bodies[-1] == b"12345"


def test_a_refusal_in_the_middle_of_a_large_body_is_told(door):
    answer = httpx.post(f"{door[0]}/refused", content=b"x" * 3_000_000)
    assert (answer.status_code, answer.text) == (413, "large")


def test_events_come_at_once_and_who_leaves_ends_them(door):
    url, behind, _ = door
    with httpx.stream("GET", f"{url}/events") as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"one,"
        assert not behind.left.is_set()
    assert behind.left.wait(10)


def test_an_answer_that_broke_off_is_not_told_as_whole(door):
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{door[0]}/broken")


def test_without_the_control_process_the_answer_says_so(tmp_path):
    listener(tmp_path).close()
    config = uvicorn.Config(ControlDoor(tmp_path), lifespan="off", loop="uvloop", log_config=None)
    with socket.create_server(("127.0.0.1", 0)) as listening, running_server(uvicorn.Server(config), listening):
        answer = httpx.get(f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1/admin/models")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "does not answer" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "2"


def test_only_this_account_may_open_the_socket(door):
    (path,) = door[2].glob("*.sock")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_process_that_answers_questions_is_light():
    code = (
        "import sys; import serving_api.__main__;"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules} | {name for name in sys.modules if name.startswith('database')})))"
    )
    found = set(
        subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert {"serving_api", "uvicorn", "orjson"} <= found
    assert found & (HEAVY | {"database"}) == set()
