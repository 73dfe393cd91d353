"""Traces for a site that collects them: OpenTelemetry's spans, sent as OTLP over HTTP once their work has ended.

Where TUNEWAY_TRACES_URL is not set nothing of this is loaded. The numbers of a run's spans are made from its names, not passed
along: the scheduler's worker, the runner and a launcher that outlived both tell of the same run in one trace, and what is told
twice after a kill is the same span. A collector that does not answer costs its spans, never the work.
"""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from contracts.enums import StageStatus
from stages.catalog import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from contracts.enums import StageName
    from contracts.jobs import JobSubmission
    from contracts.pipeline import PipelineRun
    from settings import Settings
    from stages.span_export import Tracer

PARENT_HEADER = "traceparent"
_PARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")

_calling: ContextVar[SpanPlace | None] = ContextVar("calling_span", default=None)


@dataclass(frozen=True, slots=True)
class SpanPlace:
    """Where a span stands: `trace` has 128 bits, `span` and `parent` 64; no number is 0."""

    trace: int
    span: int
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class EndedSpan:
    """Work that has ended. Times know their zone."""

    name: str
    place: SpanPlace
    began: datetime
    ended: datetime
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    error: str | None = None
    is_call: bool = False
    """Answered for somebody else, as a call of an API is."""


@contextmanager
def answering(place: SpanPlace) -> Iterator[None]:
    """What is asked of other services within belongs to this call."""
    token = _calling.set(place)
    try:
        yield
    finally:
        _calling.reset(token)


def _number(bits: int, *named: str) -> int:
    digest = blake2b("\0".join(named).encode(), digest_size=bits // 8).digest()
    return int.from_bytes(digest) or 1


def place_of_run(run: str) -> SpanPlace:
    """Of a run, by Airflow's `dag/run`."""
    return SpanPlace(_number(128, "run", run), _number(64, "run", run))


def place_of_stage(run: str, stage: StageName) -> SpanPlace:
    """Of one stage of a run."""
    whole = place_of_run(run)
    return SpanPlace(whole.trace, _number(64, "stage", run, stage.value), whole.span)


def place_of_attempt(submission: JobSubmission) -> SpanPlace:
    """Of an attempt of a job: below its stage in the trace of the run that handed it over, else in a trace of the job's own."""
    span = _number(64, "attempt", submission.job_key, str(submission.attempt))
    run, slash, _ = submission.owner.rpartition("/")[0].rpartition("/")  # of dag/run/task/try
    if not slash or "/" not in run:
        return SpanPlace(_number(128, "job", submission.job_key), span)
    stage = next(stage.name for stage in STAGES.values() if stage.job_kind is submission.kind)
    above = place_of_stage(run, stage)
    return SpanPlace(above.trace, span, above.span)


def place_of_call(request_id: str, parent: str) -> SpanPlace:
    """Of a call: below the caller's span where its `traceparent` (W3C Trace Context) names one.

    Else the trace has the number of the request id, so that the one leads to the other.
    """
    span = secrets.randbits(64) or 1
    if (given := _PARENT.fullmatch(parent)) is not None:
        return SpanPlace(int(given[1], 16), span, int(given[2], 16))
    is_number = re.fullmatch(r"[0-9a-f]{32}", request_id) is not None and int(request_id, 16) != 0
    return SpanPlace(int(request_id, 16) if is_number else _number(128, "call", request_id), span)


def parent_header() -> dict[str, str]:
    """The header by which another service finds the call that is being answered; none where no traces are sent."""
    place = _calling.get()
    return {} if place is None else {PARENT_HEADER: f"00-{place.trace:032x}-{place.span:016x}-01"}


@cache
def _tracer(url: str, service: str) -> Tracer:
    from stages.span_export import Tracer

    return Tracer(url, service)


def open_tracer(settings: Settings, service: str) -> Tracer | None:
    """The tracer of this process; None where no traces are sent."""
    return None if settings.traces_url is None else _tracer(settings.traces_url, service)


def spans_of_run(run: PipelineRun) -> list[EndedSpan]:
    """A run that has ended: itself and every stage that was begun."""
    assert run.finished_at is not None, "it has ended"
    run_key = run.run_id if run.run_id.startswith(f"{run.dag_id}/") else f"{run.dag_id}/{run.run_id}"
    failed = [state for state in run.stages if state.status is StageStatus.FAILED]
    spans = [
        EndedSpan(
            run.dag_id,
            place_of_run(run_key),
            run.started_at,
            run.finished_at,
            {"tuneway.run_id": run_key},
            f"failed at {', '.join(state.stage.value for state in failed)}" if failed else None,
        )
    ]
    for state in run.stages:
        if state.started_at is None or state.finished_at is None:
            continue
        error = None if state.error is None else str(state.error.get("what", "failed"))
        spans.append(
            EndedSpan(
                state.stage.value,
                place_of_stage(run_key, state.stage),
                state.started_at,
                state.finished_at,
                {"tuneway.run_id": run_key, "tuneway.stage": state.stage.value, "tuneway.status": state.status.value},
                error,
            )
        )
    return spans
