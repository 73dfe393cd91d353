"""The /v1 door: picks the model, passes bytes through and keeps what was said.

No framework here: this code runs for every request. What a request needs is in memory (the routing table) or computed
(the arm); what it leaves goes to the event log's file. Questions come from a user's connection straight to `ask`; the
rest of /v1 is an ASGI application.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import orjson

from ab_testing.assignment import exposure_of, user_key
from contracts.enums import Exposure
from serving_api.asgi import Receive, Scope, Send
from serving_api.chat_access import ChatAccess
from serving_api.destinations import Destination, Destinations
from serving_api.event_log import Event, EventLog
from serving_api.exchange import Exchange
from serving_api.held_events import PatientEventLog
from serving_api.metrics import Metrics
from serving_api.openai_errors import RequestError, invalid
from serving_api.request_ids import is_request_id, new_request_id
from serving_api.routing import VIRTUAL_MODEL, Routing, RoutingTable, RunningExperiment
from serving_api.upstream import ModelServers
from serving_api.user_connection import MAX_BODY_BYTES, QUESTION_PATHS, Reply

log = logging.getLogger(__name__)

MAX_USER_CHARACTERS = 256
MAX_SESSION_CHARACTERS = 255
MAX_COMMENT_CHARACTERS = 4000
KNOWN_USERS = 4096
"""Whose pseudonym is not computed anew for each question."""


class DataPath:
    """What answers under /v1."""

    def __init__(self, routing: Routing, events: EventLog, assignment_key: str, access: ChatAccess) -> None:
        self._routing = routing
        self._access = access
        self._events = events
        self._patient = PatientEventLog(events)
        self._assignment_key = assignment_key
        self._id_key = assignment_key.encode()[:64]
        self._key_of = lru_cache(KNOWN_USERS)(partial(user_key, assignment_key))
        self._servers = ModelServers()
        self._metrics = Metrics()
        self._destinations: Destinations | None = None
        self._in_flight: set[str] = set()
        self._unwritten: list[Event | bytes] = []
        self._unsent: list[tuple[Reply, bytes, bool]] = []
        self._is_draining = False

    def start(self) -> None:
        """Start the clock of the connections to the model servers."""
        self._servers.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self._servers.stop()
        self._write_events()
        self._patient.close()

    def drain(self) -> None:
        """Take no more questions; those on their way end as ever."""
        self._is_draining = True

    @property
    def is_draining(self) -> bool:
        """No more questions are taken."""
        return self._is_draining

    @property
    def events(self) -> PatientEventLog:
        """What is written of the answers."""
        return self._patient

    @property
    def in_flight(self) -> int:
        """Questions being answered now."""
        return len(self._in_flight)

    def metrics(self, gauges: Mapping[str, float]) -> str:
        """What was counted, and the gauges, in Prometheus' text format."""
        return self._metrics.text(self._servers.all(), gauges)

    def ask(self, reply: Reply) -> None:
        """Answer a question; its answer, or why there is none, goes to the reply."""
        started = time.perf_counter()
        try:
            self._ask(reply, started)
        except RequestError as error:
            reply.refuse(error)
        except Exception:
            # the edge of a request: the user is told, and the others go on
            log.exception("a question could not be answered")
            reply.refuse(RequestError(500, "The service failed; its log says why", "server_error", "internal_error"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request that is no question."""
        try:
            handler = _ROUTES.get((scope["method"], scope["path"]))
            if handler is None:
                raise _unknown_path(scope)
            self._access.admit(_authorization(scope), "")
            await handler(self, scope, receive, send)
        except RequestError as error:
            await send({"type": "http.response.start", "status": error.status, "headers": error.headers})
            await send({"type": "http.response.body", "body": error.body})

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /v1/models."""
        table = self._table()
        entries = [{"id": VIRTUAL_MODEL, "object": "model", "created": 0, "owned_by": "tuneway"}]
        entries += [
            {"id": name, "object": "model", "created": 0, "owned_by": "tuneway", "root": endpoint.model_name}
            for name, endpoint in table.by_name.items()
        ]
        await _send_json(send, orjson.dumps({"object": "list", "data": entries}))

    async def feedback(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/feedback: taken once it is on the disk."""
        body = _parsed(await _read_body(receive))
        request_id, rating, comment = body.get("request_id"), body.get("rating"), body.get("comment")
        if type(rating) is not int or not 1 <= rating <= 5:
            raise invalid(f"rating is {rating!r}, must be a whole number from 1 to 5", "rating")
        if comment is not None and (not isinstance(comment, str) or len(comment) > MAX_COMMENT_CHARACTERS):
            raise invalid(f"comment must be a text of at most {MAX_COMMENT_CHARACTERS} characters", "comment")
        if not isinstance(request_id, str) or not is_request_id(self._id_key, request_id):
            raise RequestError(
                404,
                "There is no answer with this request_id; give the X-Tuneway-Request-Id header of the answer",
                "invalid_request_error",
                "not_found",
                "request_id",
            )
        if request_id in self._in_flight:
            raise RequestError(
                409,
                "The answer is still being written; rate it when it has ended",
                "invalid_request_error",
                "conflict",
                "request_id",
            )
        # the rating follows its answer
        self._write_events()
        if not self._patient.flush():
            raise _disk_full()
        event = {"kind": "rating", "request_id": request_id, "rating": rating, "comment": comment}
        try:
            await asyncio.to_thread(self._events.append_durably, event)
        except OSError as error:
            raise _disk_full() from error
        await _send_json(send, orjson.dumps({"request_id": request_id, "rating": rating, "stored": True}))

    def _ask(self, reply: Reply, started: float) -> None:
        body = _parsed(reply.body)
        head = reply.head
        path = head.path.removeprefix("/v1")
        query = _query(path, body)
        if self._is_draining:
            raise RequestError(503, "The service is stopping; ask again", "server_error", "stopping")
        user = head.user or body.get("user")
        if user is not None and (not isinstance(user, str) or len(user) > MAX_USER_CHARACTERS):
            raise invalid(f"user must be a text of at most {MAX_USER_CHARACTERS} characters", "user")
        destinations = self._known_destinations()
        self._access.admit(head.authorization, user or "")
        request_id = new_request_id(self._id_key)
        key = self._key_of(user) if user else ""
        model = body.get("model") or VIRTUAL_MODEL
        if model != VIRTUAL_MODEL:
            destination: Destination | None = _named(destinations, model)
        elif path == "/embeddings":
            # vectors of two models have nothing in common: embeddings take part in no experiment
            destination = destinations.default
        else:
            destination = self._assigned(destinations, user or request_id, key)
        if destination is None:
            raise RequestError(503, "No model is deployed yet", "server_error", "no_model_deployed")
        body["model"] = destination.served_model_name
        exchange = Exchange(
            request_id=request_id,
            path=path,
            payload=orjson.dumps(body),
            query=query,
            started=started,
            asked_at=time.time(),
            destination=destination,
            user_key=key,
            session_id=head.session[:MAX_SESSION_CHARACTERS] or None,
            is_stream=bool(body.get("stream")),
            reply=reply,
            servers=self._servers,
            keep=self._keep,
        )
        self._in_flight.add(request_id)
        destination.counts.in_flight += 1
        exchange.begin()

    def _table(self) -> RoutingTable:
        table = self._routing.table
        if table is None:
            raise RequestError(
                503, "The service is starting: the database has not answered yet", "server_error", "starting"
            )
        return table

    def _known_destinations(self) -> Destinations:
        """Of the newest table."""
        table, known = self._routing.table, self._destinations
        if known is None or known.table is not table:
            known = self._destinations = Destinations(self._table(), self._metrics)
        return known

    def _assigned(self, destinations: Destinations, unit: str, key: str) -> Destination | None:
        """Of a user, or a question of nobody in particular: in an experiment, or outside."""
        running = destinations.table.experiment_of(self._assignment_key, unit, key)
        if running is None:
            return destinations.default
        found = destinations.by_experiment[running.experiment.experiment_id]
        if key in running.testers:
            return found.by_tester_arm[running.testers[key]]
        arm = running.pins.get(key) if key else None
        if arm is None or arm not in running.arms:
            # who was in an arm that was dropped takes part already
            if arm is None and (exposure := self._exposure(running, unit)) is not Exposure.ASSIGNED:
                return found.outside[exposure]
            arm = running.assign(self._assignment_key, unit)
            if key:
                running.pins[key] = arm
                experiment_id = running.experiment.experiment_id
                self._append({"kind": "pin", "experiment_id": experiment_id, "user_key": key, "arm": arm})
        return found.by_arm[arm]

    def _exposure(self, running: RunningExperiment, unit: str) -> Exposure:
        """Whether someone new takes part."""
        experiment, exposed = running.experiment, running.exposed
        holdout = experiment.traffic.holdout
        if not holdout and exposed >= 1:
            return Exposure.ASSIGNED
        return exposure_of(self._assignment_key, experiment.experiment_id, unit, holdout=holdout, exposed=exposed)

    def _keep(self, exchange: Exchange) -> None:
        self._in_flight.discard(exchange.request_id)
        if self._in_flight:
            self._append(exchange.line())
        else:
            # no other can come in this turn
            self._unwritten.append(exchange.line())
            self._write_events()

    def _append(self, event: Event | bytes) -> None:
        """Write the event at the end of this turn of the event loop, with all others of the turn."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self._write_events)
        self._unwritten.append(event)

    def send(self, reply: Reply, sent: bytes, *, is_last: bool) -> None:
        """Send what a user gets, but nothing before the events of this turn are written: who has an answer has its row."""
        if self._unwritten:
            self._unsent.append((reply, sent, is_last))
        else:
            reply.send(sent, is_last=is_last)

    def _write_events(self) -> None:
        events, self._unwritten = self._unwritten, []
        unsent, self._unsent = self._unsent, []
        try:
            if events:
                self._patient.append_all(events)
        finally:
            for reply, sent, is_last in unsent:
                reply.send(sent, is_last=is_last)


def _authorization(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"), "")


def _disk_full() -> RequestError:
    return RequestError(
        503, "The rating could not be stored: the disk is full; rate again later", "server_error", "not_stored"
    )


Handler = Callable[[DataPath, Scope, Receive, Send], Awaitable[None]]
_ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/v1/models"): DataPath.models,
    ("POST", "/v1/feedback"): DataPath.feedback,
}


def _named(destinations: Destinations, model: object) -> Destination:
    destination = destinations.by_name.get(model) if isinstance(model, str) else None
    if destination is None:
        known = ", ".join([VIRTUAL_MODEL, *destinations.by_name])
        raise RequestError(
            404,
            f"The model {model!r} is not deployed. Deployed: {known}",
            "invalid_request_error",
            "model_not_found",
            "model",
        )
    return destination


def _unknown_path(scope: Scope) -> RequestError:
    routes = [*(("POST", path) for path in QUESTION_PATHS), *_ROUTES]
    methods = [method for method, path in routes if path == scope["path"]]
    if methods:
        return invalid(f"{scope['method']} is not allowed here; allowed: {', '.join(methods)}", status=405)
    known = ", ".join(f"{method} {path}" for method, path in routes)
    return invalid(f"There is no {scope['method']} {scope['path']}; there are {known}", status=404)


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise invalid("the request broke off")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise invalid(f"the body is larger than {MAX_BODY_BYTES} bytes", status=413)
        if not message.get("more_body"):
            return b"".join([*parts, part]) if parts else part
        parts.append(part)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except ValueError as error:
        raise invalid(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    return value


async def _send_json(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _query(path: str, body: dict[str, Any]) -> str:
    """What is asked, as it is kept."""
    if path == "/completions":
        return _texts(body, "prompt")
    if path == "/embeddings":
        return _texts(body, "input")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be a list with at least one message", "messages")
    return _last_turn(messages)


def _last_turn(messages: list[Any]) -> str:
    """The last turn of the user."""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            if isinstance(content, list):
                return "\n".join(part["text"] for part in content if isinstance(part, dict) and "text" in part)
    return ""


def _texts(body: dict[str, Any], field: str) -> str:
    """A field that is a text, texts, or lists of token numbers, which stay unread."""
    value = body.get(field)
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise invalid(f"{field} must be a text or a list of them", field)
    return "\n".join(part for part in value if isinstance(part, str))
