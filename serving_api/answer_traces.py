"""Spans of the router's answers, made from what is stored of them: the path of an answer itself does nothing for them."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from contracts.enums import AnswerStatus
from serving_api.event_mover import and_tell
from stages.tracing import EndedSpan, place_of_call

if TYPE_CHECKING:
    from serving_api.event_log import Event
    from serving_api.event_mover import Store
    from stages.span_export import Tracer

_RANGE = 2**32
_FAILURES = {AnswerStatus.BROKEN.value: "cut off", AnswerStatus.FAILED.value: "no answer"}


def traced(store: Store, tracer: Tracer, share: float) -> Store:
    """The same store; of the answers that it has stored the share, and all that failed, leave a span each."""

    def spans_in(events: list[Event]) -> list[EndedSpan]:
        return [span_of_answer(event) for event in events if _is_told(event, share)]

    def tell(found: list[list[EndedSpan]]) -> None:
        for span in chain.from_iterable(found):
            tracer.tell(span)

    return and_tell(store, spans_in, tell)


def _is_told(event: Event, share: float) -> bool:
    if event["kind"] != "answer" or event.get("asked_at") is None:
        return False
    return event.get("status") in _FAILURES or zlib.crc32(str(event["request_id"]).encode()) < share * _RANGE


def span_of_answer(event: Event) -> EndedSpan:
    """What the router did for one question; nothing of what was said, nor who asked."""
    request_id, status = str(event["request_id"]), event.get("status")
    began = datetime.fromtimestamp(event["asked_at"], UTC)
    about = {
        "tuneway.request_id": request_id,
        "tuneway.experiment_id": event["experiment_id"],
        "tuneway.arm": event["assigned_variant"],
        "tuneway.model_id": event["model_id"],
        "tuneway.stream": int(event["is_stream"]),
        "tuneway.first_token_ms": event.get("first_token_ms"),
        "tuneway.status": status,
    }
    return EndedSpan(
        "answer",
        place_of_call(request_id, ""),
        began,
        began + timedelta(milliseconds=event["response_time_ms"]),
        {name: value for name, value in about.items() if value is not None},
        _FAILURES.get(status or ""),
        is_call=True,
    )
