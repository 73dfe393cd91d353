"""Server-sent events: what is new is sent as it comes, for as long as the caller may see it. No thread waits for a client."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import Response, StreamingResponse

from contracts.errors import TooManyRequestsError, TunewayError, UnavailableError
from stages.job_streams import JobStream, StreamEvent

POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 10.0
"""Proxies commonly end connections that are silent for 30 to 60 s."""
ADMISSION_SECONDS = 15.0
"""A caller whose token has ended, was taken back or whose role has changed is not told anything after this time."""
RETRY_MILLISECONDS = 2000
MOST_STREAMS = 200
"""In one process: each looks at its file ten times a second, in a thread that it gives back at once."""
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "description": "For Last-Event-ID", "examples": ["1-4096"]},
                        "event": {"type": "string", "enum": ["log", "metrics", "reset", "refused", "end"]},
                        "data": {"type": "string"},
                    },
                }
            }
        },
        "description": "Events until the job is over",
    },
    204: {"description": "The job is over, and everything was received"},
}

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID", max_length=50, description="Of the last event received: the stream goes on behind it"
    ),
]

_open_streams = 0


class EventStream(StreamingResponse):
    """Its media type, for the OpenAPI."""

    media_type = "text/event-stream"


async def stream_events(stream: JobStream, is_resumed: bool, admit: Callable[[], Awaitable[None]]) -> Response:
    """The events of the stream. 204 tells a client that comes back after the end not to come again.

    `admit` raises where the caller may not see the job any more. Raises TooManyRequestsError where too many are open.
    """
    if _open_streams >= MOST_STREAMS:
        raise TooManyRequestsError(
            "Too many streams are open",
            value=_open_streams,
            allowed=str(MOST_STREAMS),
            next_step="close some, or ask for the log and the metrics again and again instead",
        )
    first = await asyncio.to_thread(stream.poll)
    if is_resumed and stream.is_over and len(first) == 1:
        return Response(status_code=204)
    return EventStream(_sent(stream, first, admit), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _sent(
    stream: JobStream, events: list[StreamEvent], admit: Callable[[], Awaitable[None]]
) -> AsyncIterator[bytes]:
    global _open_streams
    _open_streams += 1
    try:
        yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        sent_at = admitted_at = time.monotonic()
        while True:
            now = time.monotonic()
            if events:
                yield b"".join(map(_encoded, events))
                sent_at = now
            elif now - sent_at >= HEARTBEAT_SECONDS:
                yield b": nothing new\n\n"
                sent_at = now
            if stream.is_over:
                return
            await asyncio.sleep(POLL_SECONDS)
            try:
                if now - admitted_at >= ADMISSION_SECONDS:
                    await admit()
                    admitted_at = now
                events = await asyncio.to_thread(stream.poll)
            except UnavailableError:
                # a moment without PostgreSQL or policies: the client comes back to where it was
                return
            except TunewayError as error:
                yield _encoded(StreamEvent("", "refused", json.dumps(error.as_record(), ensure_ascii=False)))
                return
    finally:
        _open_streams -= 1


def _encoded(event: StreamEvent) -> bytes:
    number = [f"id: {event.id}"] if event.id else []
    lines = event.data.replace("\r", " ").split("\n")
    return "\n".join([*number, f"event: {event.name}", *(f"data: {line}" for line in lines), "", ""]).encode()
