"""One line a call of an API of ours, and the id by which everything is found that the call caused."""

from __future__ import annotations

import logging
import re
import time
from contextlib import nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import uuid4

from contracts.record import utc_now
from stages.tracing import PARENT_HEADER, EndedSpan, SpanPlace, answering, place_of_call
from storage.log_lines import REQUEST_ID_HEADER, REQUEST_ID_PATTERN, log_context

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from stages.span_export import Tracer

_HEADER = REQUEST_ID_HEADER.lower().encode()
_log = logging.getLogger(__name__)


class CallLog:
    """An ASGI middleware: the X-Request-Id of who calls is kept where it is one, else there is a new one; the answer has it too.

    Without `reads`, a GET that succeeds is not logged.
    """

    def __init__(self, app: ASGIApp, *, reads: bool = True, tracer: Tracer | None = None) -> None:
        self._app = app
        self._reads = reads
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, then log method, path, status and time; never the query, which may name a person."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _header(scope, _HEADER)
        request_id = given if re.fullmatch(REQUEST_ID_PATTERN, given) else uuid4().hex
        status, began, began_at = 500, time.monotonic(), utc_now()
        place = None if self._tracer is None else place_of_call(request_id, _header(scope, PARENT_HEADER.encode()))

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (_HEADER, request_id.encode())]}
            await send(message)

        with log_context(request_id=request_id), nullcontext() if place is None else answering(place):
            try:
                await self._app(scope, receive, answer)
            finally:
                is_told = self._reads or scope["method"] != "GET" or status >= HTTPStatus.BAD_REQUEST
                if is_told:
                    took = (time.monotonic() - began) * 1000
                    _log.info("%s %s %d %.0f ms", scope["method"], scope["path"], status, took)
                if is_told and self._tracer is not None and place is not None:
                    self._tracer.tell(_span_of(scope, place, status, began_at, request_id))


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def _span_of(scope: Scope, place: SpanPlace, status: int, began_at: datetime, request_id: str) -> EndedSpan:
    # the path as it is declared, once it is known: the names of spans are to be few
    path = getattr(scope.get("route"), "path", None) or "other"
    return EndedSpan(
        f"{scope['method']} {path}",
        place,
        began_at,
        utc_now(),
        {
            "http.request.method": scope["method"],
            "url.path": scope["path"],
            "http.response.status_code": status,
            "tuneway.request_id": request_id,
        },
        f"HTTP {status}" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None,
        is_call=True,
    )
