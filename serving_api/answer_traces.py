"""Spans of the router's answers, made from what is stored of them: the path of an answer itself does nothing for them."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from stages.tracing import EndedSpan, place_of_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving_api.event_log import Event
    from stages.span_export import Tracer

_RANGE = 2**32


def traced(store: Callable[[list[Event]], None], tracer: Tracer, share: float) -> Callable[[list[Event]], None]:
    """The same store; of the answers that it has stored the share, and all that failed, leave a span each."""

    def store_and_trace(events: list[Event]) -> None:
        store(events)
        for event in events:
            if event["kind"] != "answer" or event.get("asked_at") is None:
                continue
            if _has_failed(event) or zlib.crc32(str(event["request_id"]).encode()) < share * _RANGE:
                tracer.tell(span_of_answer(event))

    return store_and_trace


def span_of_answer(event: Event) -> EndedSpan:
    """What the router did for one question; nothing of what was said, nor who asked."""
    request_id, status = str(event["request_id"]), int(event.get("status") or 0)
    began = datetime.fromtimestamp(event["asked_at"], UTC)
    about = {
        "tuneway.request_id": request_id,
        "tuneway.experiment_id": event["experiment_id"],
        "tuneway.arm": event["assigned_variant"],
        "tuneway.model_id": event["model_id"],
        "tuneway.stream": int(event["is_stream"]),
        "tuneway.first_token_ms": event.get("first_token_ms"),
        "http.response.status_code": status,
    }
    return EndedSpan(
        "answer",
        place_of_call(request_id, ""),
        began,
        began + timedelta(milliseconds=event["response_time_ms"]),
        {name: value for name, value in about.items() if value is not None},
        ("cut off" if status < HTTPStatus.BAD_REQUEST else f"HTTP {status}") if _has_failed(event) else None,
        is_call=True,
    )


def _has_failed(event: Event) -> bool:
    return event["variant"] is None or int(event.get("status") or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR
