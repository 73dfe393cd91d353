"""Sends spans to the site's collector with OpenTelemetry's own exporter; imported only where a collector is named."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

if TYPE_CHECKING:
    from datetime import datetime

    from stages.tracing import EndedSpan, SpanPlace

EXPORT_SECONDS = 2.0
"""For one delivery."""
_GATHERED_MILLISECONDS = 1000
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class _GivenNumbers(IdGenerator):
    """Gives the next span the numbers that it has already."""

    def __init__(self) -> None:
        self.next: ContextVar[SpanPlace] = ContextVar("next_span")

    def generate_trace_id(self) -> int:
        return self.next.get().trace

    def generate_span_id(self) -> int:
        return self.next.get().span


class Tracer:
    """Sends the spans of one process, gathered for a second, from a thread of its own."""

    def __init__(self, url: str, service: str) -> None:
        """`url` is the collector's, with its path: usually http://HOST:4318/v1/traces."""
        self._numbers = _GivenNumbers()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": f"tuneway-{service}"}), id_generator=self._numbers
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS),
                schedule_delay_millis=_GATHERED_MILLISECONDS,
                export_timeout_millis=EXPORT_SECONDS * 1000,
            )
        )
        self._tracer = self._provider.get_tracer("tuneway")
        # it logs a traceback each time that the collector is away
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def tell(self, span: EndedSpan) -> None:
        """Hand the span over. What a collector that is away would have got is given up in the end."""
        place, context = span.place, Context()
        if place.parent is not None:
            above = SpanContext(place.trace, place.parent, is_remote=True, trace_flags=_SAMPLED)
            context = set_span_in_context(NonRecordingSpan(above), context)
        token = self._numbers.next.set(place)
        try:
            started = self._tracer.start_span(
                span.name,
                context,
                kind=SpanKind.SERVER if span.is_call else SpanKind.INTERNAL,
                attributes=dict(span.attributes),
                start_time=_nanoseconds(span.began),
            )
        finally:
            self._numbers.next.reset(token)
        if span.error is not None:
            started.set_status(Status(StatusCode.ERROR, span.error))
        started.end(_nanoseconds(max(span.began, span.ended)))

    def flush(self) -> None:
        """Send what waits, before the process ends; it waits for the collector for `EXPORT_SECONDS` at most."""
        self._provider.force_flush(int(EXPORT_SECONDS * 1000))


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000
