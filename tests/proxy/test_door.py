"""The proxy lets through what the platform needs, as it comes, and says who asks. nginx itself runs here."""

import asyncio
import json
import socket
import ssl
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from aiohttp import WSMsgType, web
from websockets.sync.client import connect

from contracts.enums import Arm
from stages.services import Services
from tests.proxy.door import NGINX, PROXY, checked, own_folder, running_door, written_configuration
from tests.serving_api.running import add_model, running_service, start_experiment, stored_answers, wait_until
from tests.serving_api.test_router import QUESTION, running_experiments
from tests.serving_api.upstream import running_upstream

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)")

NOBODY = "127.0.0.1:1"
PLACES = dict.fromkeys(
    ("serving-api:18001", "serving-api-2:18001", "dashboard:18085", "airflow-api-server:18080"), NOBODY
)


class Service:
    """Answers by what it was asked; a stream goes on when the test says so."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.address = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if size and "X-Announced" in request.headers:
                self.go_on.set()
        return web.json_response({"path": request.path_qs, "size": size, "headers": dict(request.headers)})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write("data: 첫 조각\n\n".encode())
        await asyncio.to_thread(self.go_on.wait, 20)
        await response.write(b"data: [DONE]\n\n")
        return response

    async def socket(self, request: web.Request) -> web.StreamResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        async for message in connection:
            if message.type is WSMsgType.TEXT:
                await connection.send_str(f"{request.headers['Origin']} {request.headers['Host']} {message.data}")
        return connection


@contextmanager
def running(service: Service):
    listener = socket.create_server(("127.0.0.1", 0))
    service.address = f"127.0.0.1:{listener.getsockname()[1]}"
    loop = asyncio.new_event_loop()
    application = web.Application(client_max_size=1 << 30)
    application.add_routes(
        [
            web.post("/v1/chat/completions", service.stream),
            web.get("/api/v1/admin/jobs/1/events", service.stream),
            web.get("/_stcore/stream", service.socket),
            web.route("*", "/{rest:.*}", service.answer),
        ]
    )
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.SockSite(runner, listener).start()

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.go_on.set()
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


@pytest.fixture(scope="module")
def service():
    with running(Service()) as service:
        yield service


@pytest.fixture(scope="module")
def door(service):
    with running_door(dict.fromkeys(PLACES, service.address)) as door:
        yield door


@pytest.mark.parametrize("site", sorted(path.name for path in PROXY.glob("site-*.conf")))
def test_nginx_takes_the_configuration(site):
    with own_folder() as folder:
        written_configuration(folder, site, PLACES)
        ended = checked(folder)
    assert ended.returncode == 0, ended.stderr
    assert "warn" not in ended.stderr


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/api/v1/admin/jobs/1/events")])
def test_an_answer_goes_out_piece_by_piece(door, service, method, path):
    service.go_on.clear()
    with door.client() as client, client.stream(method, path) as response:
        pieces = response.iter_text()
        # the service waits until this piece is here: a proxy that collects would never get it
        assert next(pieces) == "data: 첫 조각\n\n"
        service.go_on.set()
        assert "".join(pieces) == "data: [DONE]\n\n"


def test_a_large_file_arrives_while_it_is_sent(door, service):
    service.go_on.clear()

    def content():
        yield b"a" * 1_000_000
        assert service.go_on.wait(20), "nothing has arrived"
        yield b"b" * 20_000_000

    with door.client() as client:
        answer = client.post("/api/v1/admin/training/datasets", content=content(), headers={"X-Announced": "1"}).json()
    assert answer["size"] == 21_000_000


def test_the_dashboards_websocket_sees_the_address_that_the_browser_sees(door):
    with connect(f"wss://localhost:{door.port}/_stcore/stream", ssl=door.trust, origin=door.url) as connection:
        connection.send("안녕")
        assert connection.recv() == f"{door.url} localhost:{door.port} 안녕"


@pytest.mark.parametrize("path", ["/v1/models", "/api/v1/admin/models?limit=2", "/?page=models", "/ready"])
def test_who_asks_is_told_by_the_proxy_and_by_nobody_else(door, path):
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Tuneway-Client": "203.0.113.9"}
    with door.client() as client:
        answer = client.get(path, headers=forged).json()
    assert answer["path"] == path
    assert answer["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert answer["headers"]["X-Forwarded-Proto"] == "https"
    assert answer["headers"]["Host"] == f"localhost:{door.port}"
    assert "X-Tuneway-Client" not in answer["headers"]


def test_airflow_has_its_own_door_and_metrics_have_none(door):
    with door.client() as client:
        assert client.get("/metrics").status_code == 404
        response = client.get(f"https://localhost:{door.airflow_port}/dags")
    assert response.json()["path"] == "/dags"
    assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_old_tls_and_no_tls_are_refused(door):
    old = ssl.create_default_context(cafile=str(door.folder / "certificate.pem"))
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with socket.create_connection(("localhost", door.port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")
    assert httpx.get(f"http://localhost:{door.port}/", trust_env=False).status_code == 400


def test_the_log_has_the_path_and_never_what_was_asked(door):
    with door.client() as client:
        client.get("/v1/models?key=secret", headers={"Authorization": "Bearer twk_secret"})
    wait_until(lambda: "/v1/models" in door.log)
    for line in door.log.splitlines():
        assert json.loads(line)["from"] == "127.0.0.1"
    assert "secret" not in door.log


def beside(services: Services, folder) -> Services:
    """A second process of the same installation, as in docker-compose.yaml: its own sockets and journal, all else shared."""
    own = folder / "data-2"
    own.mkdir()
    services.settings.keyring_dir.mkdir(parents=True, exist_ok=True)
    for path in services.settings.data_dir.iterdir():
        if path.name not in {"run", "serving"}:
            (own / path.name).symlink_to(path)
    return Services(settings=services.settings.model_copy(update={"data_dir": own}))


@pytest.mark.slow
def test_two_processes_answer_a_user_alike_and_when_one_ends_the_other_one_takes_its_users(services, tmp_path):
    users = [f"user-{number}" for number in range(24)]
    with ExitStack() as stack, ExitStack() as stack_of_second:
        upstreams = [stack.enter_context(running_upstream(name)) for name in ("old", "new")]
        old = add_model(services, "base", "base", "base-aaaa", upstreams[0].url, Arm.A)
        new = add_model(services, "rules", "1", "rules-v1-bbbb", upstreams[1].url, Arm.B)
        first, app = stack.enter_context(running_service(services))
        second, other_app = stack_of_second.enter_context(running_service(beside(services, tmp_path)))
        addresses = [url.removeprefix("http://") for url in (first, second)]
        experiment = start_experiment(services, old, new)
        wait_until(lambda: all(experiment in running_experiments(one) for one in (app, other_app)))
        places = {**PLACES, "serving-api:18001": addresses[0], "serving-api-2:18001": addresses[1]}
        door = stack.enter_context(running_door(places))
        client = stack.enter_context(door.client())

        def arm_of(user: str) -> str:
            answer = client.post("/v1/chat/completions", json={"messages": QUESTION}, headers={"X-Tuneway-User": user})
            assert answer.status_code == 200, answer.text
            return str(answer.headers["x-tuneway-arm"])

        arms = {user: arm_of(user) for user in users}
        assert set(arms.values()) == {"a", "b"}
        asked = Counter(json.loads(line)["upstream"] for line in door.log.splitlines() if "chat" in line)
        assert set(asked) == set(addresses)
        assert {user: arm_of(user) for user in users} == arms
        again = Counter(json.loads(line)["upstream"] for line in door.log.splitlines() if "chat" in line)
        # the same users at the same process
        assert again == {address: 2 * count for address, count in asked.items()}

        stack_of_second.close()
        assert {user: arm_of(user) for user in users} == arms
        wait_until(lambda: len(stored_answers(services)) == 3 * len(users))
