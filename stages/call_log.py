"""One line a call of an API of ours, and the id by which everything is found that the call caused."""

import logging
import re
import time
from http import HTTPStatus
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.log_lines import REQUEST_ID_HEADER, REQUEST_ID_PATTERN, log_context

_HEADER = REQUEST_ID_HEADER.lower().encode()
_log = logging.getLogger(__name__)


class CallLog:
    """An ASGI middleware: the X-Request-Id of who calls is kept where it is one, else there is a new one; the answer has it too.

    Without `reads`, a GET that succeeds is not logged.
    """

    def __init__(self, app: ASGIApp, *, reads: bool = True) -> None:
        self._app = app
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, then log method, path, status and time; never the query, which may name a person."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER), "")
        request_id = given if re.fullmatch(REQUEST_ID_PATTERN, given) else uuid4().hex
        status, began = 500, time.monotonic()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (_HEADER, request_id.encode())]}
            await send(message)

        with log_context(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            finally:
                if self._reads or scope["method"] != "GET" or status >= HTTPStatus.BAD_REQUEST:
                    took = (time.monotonic() - began) * 1000
                    _log.info("%s %s %d %.0f ms", scope["method"], scope["path"], status, took)
