"""The control process: `python -m serving_api.control SOCKET`, started by the public one, `python -m serving_api`.

It has what would hold up answers: the admin API, the storing of events, and the looks at A/B tests. It answers at the socket,
whose number is its argument, and ends when its standard input is closed.
"""

import logging
import os
import socket
import sys
import threading
from functools import partial
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from contracts.errors import TunewayError
from contracts.record import utc_now
from serving_api.app import create_app
from serving_api.asgi import Receive, Scope, Send
from serving_api.control_door import ALIVE_PATH, CLIENT_HEADER
from serving_api.guardrail_watch import GuardrailWatch
from serving_api.memory import settle_memory
from serving_api.serving_state import read_state
from settings.logs import start_logging
from stages.ab_tests import control_of
from stages.services import Services, open_services

SHUTDOWN_SECONDS = 2

log = logging.getLogger(__name__)


class Control:
    """The admin API for users, whose addresses the public process tells, and the state for that process itself."""

    def __init__(self, services: Services, admin: FastAPI) -> None:
        self._services = services
        self.admin = admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "http":
            headers = [header for header in scope["headers"] if header[0] != CLIENT_HEADER]
            if len(headers) == len(scope["headers"]):
                if scope["path"] == ALIVE_PATH:
                    await _answer(send, 200, b"{}")
                else:
                    await self._tell_state(scope, send)
                return
            client = next(value for name, value in scope["headers"] if name == CLIENT_HEADER)
            scope = {**scope, "headers": headers, "client": (client.decode("latin-1"), 0)}
        await self.admin(scope, receive, send)

    async def _tell_state(self, scope: Scope, send: Send) -> None:
        known = {
            int(number)
            for number in parse_qs(scope["query_string"].decode()).get("known", [""])[0].split(",")
            if number
        }
        try:
            state = await run_in_threadpool(read_state, self._services, utc_now(), known)
        except TunewayError as error:
            status, body = 503, error.sentence().encode()
        else:
            is_behind = self.admin.state.mover.is_behind
            status, body = 200, state.model_copy(update={"is_behind": is_behind}).model_dump_json().encode()
        await _answer(send, status, body)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def control_server(control: Control) -> uvicorn.Server:
    """What answers at the socket."""
    config = uvicorn.Config(
        control,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        # the public process adds these
        server_header=False,
        date_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def main() -> None:
    """Serve until standard input is closed."""
    start_logging("serving-api")
    try:
        services = open_services()
        control = Control(services, create_app(services, GuardrailWatch(partial(control_of, services))))
    except TunewayError as error:
        sys.exit(error.sentence())
    server = control_server(control)
    threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
    settle_memory()
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


def _end_with_input(server: uvicorn.Server) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    server.should_exit = True


if __name__ == "__main__":
    main()
