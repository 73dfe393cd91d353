"""The /v1 door: a thin ASGI application that picks the model, passes bytes through and keeps what was said.

No framework here: this code runs for every request and every streamed piece. What a request needs is in memory (the
routing table) or computed (the arm); what it leaves goes to the event log's file.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from ab_testing.assignment import assign_arm, user_key
from contracts.enums import Arm
from contracts.models import ArmEndpoint
from serving_api.event_log import EventLog
from serving_api.request_ids import is_request_id, new_request_id
from serving_api.routing import VIRTUAL_MODEL, Routing, RoutingTable

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 8 * 1024**2
MAX_USER_CHARACTERS = 256
MAX_COMMENT_CHARACTERS = 4000
CONNECT_TIMEOUT_S = 2.0
# Between two pieces of an answer, and before the first: longer than a full queue of long prompts takes.
IDLE_TIMEOUT_S = 300.0
AWAY_STATUSES = frozenset({404, 500, 502, 503, 504})
"""Answers of a model server that say that it, or the model in it, is away."""
_DONE = b"data: [DONE]"


class _RequestError(Exception):
    """An answer in OpenAI's shape of an error."""

    def __init__(self, status: int, message: str, kind: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def _invalid(message: str, param: str | None = None, status: int = 400) -> _RequestError:
    return _RequestError(status, message, "invalid_request_error", "invalid_request", param)


class _UpstreamAwayError(Exception):
    """Nothing of an answer came; another server may be asked."""


@dataclass(slots=True)
class _Exchange:
    """One question on its way."""

    request_id: str
    body: dict[str, Any]
    started: float
    candidates: list[ArmEndpoint]
    """Who may answer, in order; the first is who should."""
    experiment_id: int | None
    assigned: Arm | None
    user_key: str | None
    session_id: str | None
    arms: dict[int, Arm]
    """Arm of each candidate's model in the experiment."""
    is_stream: bool
    served: ArmEndpoint | None = None
    received: list[bytes] | None = None
    is_complete: bool = False
    is_logged: bool = False


class DataPath:
    """The ASGI application under /v1."""

    def __init__(self, routing: Routing, events: EventLog, assignment_key: str) -> None:
        self._routing = routing
        self._events = events
        self._assignment_key = assignment_key
        self._id_key = assignment_key.encode()[:64]
        self._client: aiohttp.ClientSession | None = None
        self._in_flight: set[str] = set()

    async def start(self) -> None:
        """Open the connection pool to the model servers."""
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, use_dns_cache=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=IDLE_TIMEOUT_S),
            auto_decompress=False,
            trust_env=False,
        )

    async def stop(self) -> None:
        """Close the pool."""
        if self._client is not None:
            await self._client.close()

    @property
    def in_flight(self) -> int:
        """Questions being answered now."""
        return len(self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            handler = _ROUTES.get((scope["method"], scope["path"]))
            if handler is None:
                raise _unknown_path(scope)
            await handler(self, scope, receive, send)
        except _RequestError as error:
            await _send_whole(send, error.status, error.body)

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models."""
        table = self._table()
        entries = [{"id": VIRTUAL_MODEL, "object": "model", "created": 0, "owned_by": "tuneway"}]
        entries += [
            {"id": name, "object": "model", "created": 0, "owned_by": "tuneway", "root": endpoint.model_name}
            for name, endpoint in table.by_name.items()
        ]
        await _send_whole(send, 200, orjson.dumps({"object": "list", "data": entries}))

    async def feedback(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/feedback: taken once it is on the disk."""
        body = _parsed(await _read_body(receive))
        request_id, rating, comment = body.get("request_id"), body.get("rating"), body.get("comment")
        if type(rating) is not int or not 1 <= rating <= 5:
            raise _invalid(f"rating is {rating!r}, must be a whole number from 1 to 5", "rating")
        if comment is not None and (not isinstance(comment, str) or len(comment) > MAX_COMMENT_CHARACTERS):
            raise _invalid(f"comment must be a text of at most {MAX_COMMENT_CHARACTERS} characters", "comment")
        if not isinstance(request_id, str) or not is_request_id(self._id_key, request_id):
            raise _RequestError(
                404,
                "There is no answer with this request_id; give the X-Tuneway-Request-Id header of the answer",
                "invalid_request_error",
                "not_found",
                "request_id",
            )
        if request_id in self._in_flight:
            raise _RequestError(
                409,
                "The answer is still being written; rate it when it has ended",
                "invalid_request_error",
                "conflict",
                "request_id",
            )
        event = {"kind": "rating", "request_id": request_id, "rating": rating, "comment": comment}
        await asyncio.to_thread(self._events.append_durably, event)
        await _send_whole(send, 200, orjson.dumps({"request_id": request_id, "rating": rating, "stored": True}))

    async def chat_completions(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/chat/completions."""
        started = time.perf_counter()
        exchange = self._exchange(scope, _parsed(await _read_body(receive)), started)
        self._in_flight.add(exchange.request_id)
        answering = asyncio.create_task(self._answer(exchange, send))
        leaving = asyncio.create_task(_until_disconnected(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                # the user has gone: closing the connection makes the model server stop generating
                answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            if not answering.cancelled() and (error := answering.exception()) is not None:
                raise error
        finally:
            leaving.cancel()
            answering.cancel()
            self._keep(exchange)
            self._in_flight.discard(exchange.request_id)

    def _table(self) -> RoutingTable:
        table = self._routing.table
        if table is None:
            raise _RequestError(
                503, "The service is starting: the database has not answered yet", "server_error", "starting"
            )
        return table

    def _exchange(self, scope: Scope, body: dict[str, Any], started: float) -> _Exchange:
        """Who is to answer. Raises _RequestError when nobody can."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise _invalid("messages must be a list with at least one message", "messages")
        table = self._table()
        headers = _headers(scope)
        user = headers.get("x-tuneway-user") or body.get("user")
        if user is not None and (not isinstance(user, str) or len(user) > MAX_USER_CHARACTERS):
            raise _invalid(f"user must be a text of at most {MAX_USER_CHARACTERS} characters", "user")
        exchange = _Exchange(
            request_id=new_request_id(self._id_key),
            body=body,
            started=started,
            candidates=[],
            experiment_id=None,
            assigned=None,
            user_key=user_key(self._assignment_key, user) if user else None,
            session_id=headers.get("x-tuneway-session"),
            arms={},
            is_stream=bool(body.get("stream")),
        )
        model = body.get("model") or VIRTUAL_MODEL
        if model != VIRTUAL_MODEL:
            endpoint = table.by_name.get(model) if isinstance(model, str) else None
            if endpoint is None:
                known = ", ".join([VIRTUAL_MODEL, *table.by_name])
                raise _RequestError(
                    404,
                    f"The model {model!r} is not deployed. Deployed: {known}",
                    "invalid_request_error",
                    "model_not_found",
                    "model",
                )
            exchange.candidates = [endpoint]
        elif table.experiment is not None and table.arms:
            self._assign(exchange, table, user)
        elif table.default is not None:
            exchange.candidates = [table.default]
        else:
            raise _RequestError(503, "No model is deployed yet", "server_error", "no_model_deployed")
        return exchange

    def _assign(self, exchange: _Exchange, table: RoutingTable, user: str | None) -> None:
        experiment = table.experiment
        assert experiment is not None
        exchange.experiment_id = experiment.experiment_id
        key = exchange.user_key
        arm = None if key is None else table.pins.get(key)
        if arm is None:
            # a question of nobody in particular is assigned by itself
            arm = assign_arm(
                self._assignment_key, experiment.experiment_id, user or exchange.request_id, experiment.traffic_split
            )
            if key is not None:
                table.pins[key] = arm
                self._events.append(
                    {"kind": "pin", "experiment_id": experiment.experiment_id, "user_key": key, "arm": arm.value}
                )
        exchange.assigned = arm
        exchange.arms = {endpoint.model_id: side for side, endpoint in table.arms.items()}
        other = Arm.B if arm is Arm.A else Arm.A
        exchange.candidates = [table.arms[side] for side in (arm, other) if side in table.arms]

    async def _answer(self, exchange: _Exchange, send: Send) -> None:
        """Ask the candidates in order until one has begun to answer."""
        for endpoint in exchange.candidates:
            payload = orjson.dumps({**exchange.body, "model": endpoint.served_model_name})
            # twice: a connection kept open from before may have been closed by a server that was started anew
            for _ in range(2):
                try:
                    await self._pass_through(exchange, endpoint, payload, send)
                except _UpstreamAwayError as error:
                    log.warning("%s: %s did not answer: %s", exchange.request_id, endpoint.served_model_name, error)
                    if not isinstance(error.__cause__, aiohttp.ServerDisconnectedError):
                        break
                else:
                    return
        raise _RequestError(
            503,
            "The model server does not answer at the moment; try again in a minute",
            "server_error",
            "upstream_unavailable",
        )

    async def _pass_through(self, exchange: _Exchange, endpoint: ArmEndpoint, payload: bytes, send: Send) -> None:
        assert self._client is not None
        url = f"{endpoint.base_url}/chat/completions"
        try:
            response = await self._client.post(url, data=payload, headers={"Content-Type": "application/json"})
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _UpstreamAwayError(f"{type(error).__name__}: {error}") from error
        try:
            if response.status in AWAY_STATUSES:
                raise _UpstreamAwayError(f"status {response.status}: {(await response.content.read(500))!r}")
            try:
                first = await (response.content.readany() if exchange.is_stream else response.read())
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _UpstreamAwayError(f"{type(error).__name__}: {error}") from error
            headers = self._answer_headers(exchange, endpoint, response)
            is_answer = response.status == 200
            if is_answer:
                exchange.served = endpoint
                exchange.received = [first]
            if not exchange.is_stream:
                exchange.is_complete = is_answer
                self._keep(exchange)
                headers.append((b"content-length", str(len(first)).encode()))
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                await send({"type": "http.response.body", "body": first})
                return
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            await self._pass_stream(exchange, response, first, send)
        finally:
            # a response read to its end gives its connection back to the pool; any other is closed
            response.release() if response.content.at_eof() else response.close()

    async def _pass_stream(
        self, exchange: _Exchange, response: aiohttp.ClientResponse, piece: bytes, send: Send
    ) -> None:
        try:
            while piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await response.content.readany()
                if piece and exchange.received is not None:
                    exchange.received.append(piece)
        except (aiohttp.ClientError, TimeoutError) as error:
            # the first part has been sent: say that the rest is missing instead of ending as if it were whole
            log.warning("%s: the answer broke off: %s", exchange.request_id, error)
            event = orjson.dumps(
                {"error": {"message": "The answer broke off", "type": "server_error", "code": "upstream_broken"}}
            )
            await send({"type": "http.response.body", "body": b"\n\ndata: " + event + b"\n\n"})
            return
        exchange.is_complete = exchange.received is not None
        self._keep(exchange)
        await send({"type": "http.response.body", "body": b""})

    def _answer_headers(
        self, exchange: _Exchange, endpoint: ArmEndpoint, response: aiohttp.ClientResponse
    ) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", response.headers.get("Content-Type", "application/json").encode()),
            (b"x-tuneway-request-id", exchange.request_id.encode()),
            (b"x-tuneway-model", endpoint.served_model_name.encode()),
        ]
        arm = exchange.arms.get(endpoint.model_id)
        if arm is not None:
            headers.append((b"x-tuneway-arm", arm.value.encode()))
        return headers

    def _keep(self, exchange: _Exchange) -> None:
        """Write what was said to the event log, once, before the user has the end of it.

        An answer that broke off, or that the user did not wait for, is kept without its arm: it can be rated, and
        counts in no comparison.
        """
        if exchange.is_logged or exchange.served is None or exchange.received is None:
            return
        exchange.is_logged = True
        whole = b"".join(exchange.received)
        is_complete = exchange.is_complete or _DONE in whole[-200:]
        arm = exchange.arms.get(exchange.served.model_id) if is_complete else None
        self._events.append(
            {
                "kind": "answer",
                "request_id": exchange.request_id,
                "experiment_id": exchange.experiment_id,
                "user_key": exchange.user_key or "",
                "session_id": exchange.session_id,
                "variant": None if arm is None else arm.value,
                "assigned_variant": None if exchange.assigned is None else exchange.assigned.value,
                "model_id": exchange.served.model_id,
                "query": _question(exchange.body["messages"]),
                "body": whole.decode(errors="replace"),
                "is_stream": exchange.is_stream,
                "response_time_ms": round((time.perf_counter() - exchange.started) * 1000),
            }
        )


Handler = Callable[[DataPath, Scope, Receive, Send], Awaitable[None]]
_ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/v1/chat/completions"): DataPath.chat_completions,
    ("GET", "/v1/models"): DataPath.models,
    ("POST", "/v1/feedback"): DataPath.feedback,
}


def _unknown_path(scope: Scope) -> _RequestError:
    methods = [method for method, path in _ROUTES if path == scope["path"]]
    if methods:
        return _invalid(f"{scope['method']} is not allowed here; allowed: {', '.join(methods)}", status=405)
    known = ", ".join(f"{method} {path}" for method, path in _ROUTES)
    return _invalid(f"There is no {scope['method']} {scope['path']}; there are {known}", status=404)


def _headers(scope: Scope) -> dict[str, str]:
    return {
        name.decode("latin-1"): value.decode("utf-8", errors="replace")
        for name, value in scope["headers"]
        if name.startswith(b"x-tuneway-")
    }


async def _read_body(receive: Receive) -> bytes:
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _invalid("the request broke off")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _invalid(f"the body is larger than {MAX_BODY_BYTES} bytes", status=413)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except ValueError as error:
        raise _invalid(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _invalid("the body must be a JSON object")
    return value


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_whole(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _question(messages: list[Any]) -> str:
    """The last turn of the user."""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            if isinstance(content, list):
                return "\n".join(part["text"] for part in content if isinstance(part, dict) and "text" in part)
    return ""
